/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ranges of all sizes: a single page, 60,000 of them, 8 GiB and 2 TiB with five pages in use.
 * The cost of a checkpoint must grow with the used pages, not with the mapped ones.
 */
#include "workload.h"

enum { MANY = 60000, FEWER = 2003, TOUCHED = 5, ACCESS = PROT_READ | PROT_WRITE };

static void one_page(void)
{
	unsigned char *memory = map_alone(PAGE, MAP_PRIVATE);

	fill(memory, PAGE, seed(1));
	save();
	fill(memory, PAGE, seed(2));
	restore();
	expect(memory, PAGE, seed(1), "the page");
}

/* Every second page; each is a mapping, and a range, of its own. */
static void map_many(size_t count)
{
	unsigned char *place = map_at(NULL, 2 * count * PAGE, PROT_NONE, MAP_PRIVATE);

	must(!munmap(place, 2 * count * PAGE), "munmap");
	for (size_t i = 0; i < count; i++) {
		map_at(place + 2 * i * PAGE, PAGE, ACCESS, MAP_PRIVATE | MAP_FIXED_NOREPLACE);
		fill(place + 2 * i * PAGE, 256, seed(i));
	}
	save();
	for (size_t i = 0; i < count; i += 7)
		fill(place + 2 * i * PAGE, 256, seed(i + 1));
	for (size_t i = 3; i < count; i += 701) {
		must(!munmap(place + 2 * i * PAGE, PAGE), "munmap");
		map_at(place + 2 * i * PAGE, PAGE, ACCESS, MAP_PRIVATE | MAP_FIXED_NOREPLACE);
	}
	restore();
	for (size_t i = 0; i < count; i++)
		expect(place + 2 * i * PAGE, 256, i % 701 == 3 ? 0 : seed(i), "a range");
	must(!munmap(place, 2 * count * PAGE), "munmap");
}

/* Neighbours that differ in protection only: many mappings, one range. */
static void map_touching(size_t count)
{
	unsigned char *place = map_at(NULL, count * PAGE, ACCESS, MAP_PRIVATE);

	for (size_t i = 0; i < count; i++) {
		fill(place + i * PAGE, 256, seed(i));
		if (i % 2)
			must(!mprotect(place + i * PAGE, PAGE, PROT_READ), "mprotect");
	}
	save();
	for (size_t i = 0; i < count; i += 2)
		fill(place + i * PAGE, 256, seed(i + 1));
	restore();
	for (size_t i = 0; i < count; i++)
		expect(place + i * PAGE, 256, seed(i), "a page");
	must(!munmap(place, count * PAGE), "munmap");
}

static void touch_five(size_t bytes)
{
	unsigned char *memory = map_at(NULL, bytes, ACCESS, MAP_PRIVATE | MAP_NORESERVE);
	const size_t step = bytes / TOUCHED / PAGE * PAGE;

	for (size_t i = 0; i < TOUCHED; i++)
		fill(memory + i * step, PAGE, seed(i));
	save();
	for (size_t i = 0; i < TOUCHED; i++) {
		fill(memory + i * step, PAGE, seed(i + 1));
		fill(memory + i * step + 23 * PAGE, PAGE, seed(i + 2));
	}
	restore();
	for (size_t i = 0; i < TOUCHED; i++) {
		expect(memory + i * step, PAGE, seed(i), "a page that was there");
		expect(memory + i * step + 23 * PAGE, PAGE, 0, "a page that was not there");
	}
	must(!munmap(memory, bytes), "munmap");
}

/* Pages that were written with zeros take no store, whichever share of the pages they are: first
 * all, then none, then a third. */
static void zeros(void)
{
	const size_t bytes = 23UL << 20, part = bytes / 3 / PAGE * PAGE;
	unsigned char *memory = map_alone(bytes, MAP_PRIVATE);

	fill(memory, bytes, 0);
	save();
	fill(memory, bytes, seed(1));
	restore();
	expect(memory, bytes, 0, "zeros");
	fill(memory, bytes, seed(2));
	save();
	fill(memory + part, part, seed(3));
	restore();
	expect(memory, bytes, seed(2), "no zeros");
	fill(memory + part, bytes - part, 0);
	save();
	fill(memory, bytes, seed(4));
	restore();
	expect(memory, part, seed(2), "before the zeros");
	expect(memory + part, bytes - part, 0, "zeros, among others");
	must(!munmap(memory, bytes), "munmap");
	save();
}

static void many(void)
{
	map_many(MANY);
}

static void fewer(void)
{
	map_many(FEWER);
}

static void fewer_touching(void)
{
	map_touching(FEWER);
}

static void wide(void)
{
	touch_five(8UL << 30);
}

static void huge_reserve(void)
{
	touch_five(2UL << 40);
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"one-page", one_page},
		{"zeros", zeros},
		{"many", many},
		{"fewer", fewer},
		{"fewer-touching", fewer_touching},
		{"8-gib", wide},
		{"2-tib", huge_reserve},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
