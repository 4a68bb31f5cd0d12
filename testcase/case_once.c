/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cases anon, shared, bss and untouched: one kind of memory each, saved once, destroyed, recovered
 * once and verified whole.
 */
#include <sys/mman.h>

#include "cases.h"

#define SHARED_HINT ((void *)0x200000000000) /* free in any 47-bit address space; only a hint */
#define BSS_BYTES   (23 * 1024 + 23)         /* every checkpoint of every case pays for these */

/* The only static data of the program. Bss begins within the last page that is mapped from the
 * file, where the smallest objects usually lie, so these are checked beside the large one. */
static unsigned char bss_large[BSS_BYTES];
static uint64_t bss_word;
static uint32_t bss_int;
static unsigned char bss_odd[7];
extern char edata[]; /* made by the linker, end(3): where bss begins */

/* Fills, saves, destroys, recovers, verifies. */
static enum result save_destroy_recover(struct run *run, const struct area *areas,
					unsigned int count)
{
	enum result result;
	unsigned int i;

	for (i = 0; i < count; i++)
		area__fill(&areas[i]);
	result = run__save(run);
	if (result)
		return result;
	result = run__verify(run, areas, count, "after the checkpoint");
	for (i = 0; i < count; i++)
		area__scramble(&areas[i], area__derive(run->seed, i));
	if (run__recover(run))
		return RESULT_BROKEN;
	if (run__verify(run, areas, count, "after the restore"))
		return RESULT_WRONG;
	return result;
}

static enum result run_mapping(struct run *run, int shared, void *hint)
{
	struct area area = {.bytes = run__page_bytes(run), .seed = run->seed};
	enum result result;

	area.at = run__map(run, area.bytes, shared, hint);
	if (!area.at)
		return RESULT_BROKEN;
	run__print(run, "%zu bytes at %p%s", area.bytes, area.at,
		   !hint             ? ""
		   : area.at == hint ? " as hinted"
				     : " (the hint was not taken)");
	result = save_destroy_recover(run, &area, 1);
	run__report(run, area.bytes, result);
	(void)munmap(area.at, area.bytes);
	return result;
}

enum result case__anon(struct run *run)
{
	return run_mapping(run, 0, NULL);
}

enum result case__shared(struct run *run)
{
	return run_mapping(run, 1, SHARED_HINT);
}

enum result case__bss(struct run *run)
{
	struct area areas[] = {
		{.at = bss_large, .bytes = sizeof(bss_large)},
		{.at = &bss_word, .bytes = sizeof(bss_word)},
		{.at = &bss_int, .bytes = sizeof(bss_int)},
		{.at = bss_odd, .bytes = sizeof(bss_odd)},
	};
	unsigned int i, count = sizeof(areas) / sizeof(areas[0]);
	size_t bytes = 0;
	enum result result;

	for (i = 0; i < count; i++) {
		areas[i].seed = area__derive(run->seed, i);
		areas[i].range = i;
		bytes += areas[i].bytes;
	}
	run__print(run, "%zu bytes in %u objects; bss begins at %p, byte %zu of its page", bytes,
		   count, (void *)edata, (uintptr_t)edata & (run__page_size() - 1));
	result = save_destroy_recover(run, areas, count);
	run__report(run, bytes, result);
	return result;
}

/* Page i of three: written before the checkpoint, only read before it (it is the kernel's shared
 * zero page, or a fresh shared one), or not touched at all. */
static struct area untouched_page(const struct run *run, char *start, size_t i, unsigned int range)
{
	size_t page = run__page_size();

	return (struct area){.at = start + i * page,
			     .bytes = page,
			     .seed = area__derive(run->seed, i),
			     .content = i % 3 ? CONTENT_ZERO : CONTENT_PATTERN,
			     .range = range};
}

static enum result prepare_untouched(const struct run *run, char *start, size_t pages,
				     unsigned int range)
{
	enum result result = RESULT_OK;
	struct area area;
	size_t i;

	for (i = 0; i < pages; i++) {
		area = untouched_page(run, start, i, range);
		if (i % 3 == 0)
			area__fill(&area);
		else if (i % 3 == 1 && run__verify(run, &area, 1, "before the checkpoint"))
			result = RESULT_WRONG;
	}
	return result;
}

static void scramble_pages(const struct run *run, char *start, size_t pages)
{
	struct area area;
	size_t i;

	for (i = 0; i < pages; i++) {
		area = untouched_page(run, start, i, 0);
		area__scramble(&area, area__derive(run->seed, pages + i));
	}
}

static enum result verify_pages(const struct run *run, char *start, size_t pages,
				unsigned int range)
{
	struct area area;
	size_t i;

	for (i = 0; i < pages; i++) {
		area = untouched_page(run, start, i, range);
		if (run__verify(run, &area, 1,
				i % 3 == 0   ? "a page written before the checkpoint"
				: i % 3 == 1 ? "a page only read before the checkpoint"
					     : "a page first touched after the checkpoint"))
			return RESULT_WRONG; /* one line is enough: there may be thousands */
	}
	return RESULT_OK;
}

static enum result run_untouched(struct run *run, char *private_at, char *shared_at, size_t bytes)
{
	size_t pages = bytes / run__page_size();

	run__print(run,
		   "%zu pages private at %p and as many shared at %p; of three pages, one "
		   "written, one read, one not touched before the checkpoint",
		   pages, (void *)private_at, (void *)shared_at);
	if (prepare_untouched(run, private_at, pages, 0) ||
	    prepare_untouched(run, shared_at, pages, 1))
		return RESULT_WRONG;
	if (run__save(run))
		return RESULT_BROKEN;
	scramble_pages(run, private_at, pages);
	scramble_pages(run, shared_at, pages);
	if (run__recover(run))
		return RESULT_BROKEN;
	if (verify_pages(run, private_at, pages, 0) | verify_pages(run, shared_at, pages, 1))
		return RESULT_WRONG;
	return RESULT_OK;
}

enum result case__untouched(struct run *run)
{
	size_t bytes = run__page_bytes(run);
	char *private_at = run__map(run, bytes, 0, NULL);
	char *shared_at = run__map(run, bytes, 1, NULL);
	enum result result = RESULT_BROKEN;

	if (private_at && shared_at) {
		result = run_untouched(run, private_at, shared_at, bytes);
		run__report(run, 2 * bytes, result);
	}
	if (private_at)
		(void)munmap(private_at, bytes);
	if (shared_at)
		(void)munmap(shared_at, bytes);
	return result;
}
