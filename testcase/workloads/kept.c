/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints that fail: a restore brings back the one before, whatever was copied by then. The
 * next checkpoint is right. Memory is compared from outside. The tracer is told to fail at one
 * point (TRACER_FAULT), or a page cannot be read any more. Memory is a large and a small mapping,
 * the heap, and bss. The first page of bss is held in chunks, for data lies in it too.
 */
#include "workload.h"

enum { LARGE_PAGES = 461, SMALL_PAGES = 23, FILE_PAGES = 11, AREAS = 4 };

static unsigned char in_bss[5 * PAGE + 23];

struct areas { /* on the stack: what is in bss is rolled back */
	struct area {
		unsigned char *at;
		size_t bytes;
	} items[AREAS];
};

static struct areas map_areas(size_t pages)
{
	struct areas areas = {{{map_alone(pages * PAGE, MAP_PRIVATE), pages * PAGE},
			       {map_alone(SMALL_PAGES * PAGE, MAP_PRIVATE), SMALL_PAGES * PAGE},
			       {sbrk(SMALL_PAGES * PAGE), SMALL_PAGES * PAGE},
			       {in_bss, sizeof(in_bss)}}};

	must(areas.items[2].at != (void *)-1, "sbrk");
	return areas;
}

/* part: tells what is there then. */
static void fill_all(const struct areas *areas, uint64_t part)
{
	for (uint64_t i = 0; i < AREAS; i++)
		fill(areas->items[i].at, areas->items[i].bytes, seed(10 * part + i));
}

static void expect_all(const struct areas *areas, uint64_t part, const char *what)
{
	for (uint64_t i = 0; i < AREAS; i++)
		expect_outside(areas->items[i].at, areas->items[i].bytes, seed(10 * part + i),
			       what);
}

/* A few pages of the first area, and all of the others. */
static void change_some(const struct areas *areas)
{
	for (size_t at = 3 * PAGE + 23; at < areas->items[0].bytes; at += 61 * PAGE)
		areas->items[0].at[at] ^= 0x5a;
	for (uint64_t i = 1; i < AREAS; i++)
		fill(areas->items[i].at, areas->items[i].bytes, seed(90 + i));
}

static void save_in_vain(void)
{
	int err = client__save(0);

	if (!err)
		finish(WORKLOAD_BROKEN, "the checkpoint has not failed");
}

/* After the restore, one more of each shows that nothing of the failed checkpoint is left. */
static void go_on(const struct areas *areas)
{
	change_some(areas);
	restore();
	expect_all(areas, 1, "after a checkpoint that has failed");
	change_some(areas);
	restore();
	expect_all(areas, 1, "after another restore");
	fill_all(areas, 2);
	save();
	fill_all(areas, 3);
	restore();
	expect_all(areas, 2, "after the next checkpoint");
}

static void few_changed(void)
{
	struct areas areas = map_areas(LARGE_PAGES);

	fill_all(&areas, 1);
	save();
	change_some(&areas);
	save_in_vain();
	go_on(&areas);
}

static void change_all(size_t pages)
{
	struct areas areas = map_areas(pages);

	fill_all(&areas, 1);
	save();
	fill_all(&areas, 4);
	save_in_vain();
	go_on(&areas);
}

static void all_changed(void)
{
	change_all(LARGE_PAGES);
}

static void few_pages(void)
{
	change_all(SMALL_PAGES);
}

/* The file behind a private mapping has become shorter: its pages cannot be read. */
static void unreadable(void)
{
	struct areas areas = map_areas(LARGE_PAGES);
	int fd = memfd_create("kept", MFD_CLOEXEC);
	unsigned char *file;

	must(fd >= 0 && !ftruncate(fd, FILE_PAGES * PAGE), "memfd_create");
	file = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(file != MAP_FAILED, "mmap");
	fill(file, FILE_PAGES * PAGE, seed(5));
	fill_all(&areas, 1);
	save();
	change_some(&areas);
	must(!ftruncate(fd, 3 * PAGE), "ftruncate");
	save_in_vain();
	must(!ftruncate(fd, FILE_PAGES * PAGE), "ftruncate");
	restore();
	expect_outside(file, FILE_PAGES * PAGE, seed(5), "the private mapping of a file");
	go_on(&areas);
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"few-changed", few_changed},
		{"all-changed", all_changed},
		{"few-pages", few_pages},
		{"unreadable", unreadable},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
