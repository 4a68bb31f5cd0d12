/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that lives on malloc: a checkpoint, a million malloc and free in a mix of sizes, a
 * restore, and it goes on. The allocator's own records must be rolled back with the blocks:
 * they lie in the heap, in mappings, and in the data of the C library (its main arena),
 * which is rolled back with the heap. So --regions mmap,heap,bss, the default, is right.
 * But memory that is given back to the kernel is gone. So malloc is told (as GLIBC_TUNABLES could)
 * to keep its memory and map no block.
 */
#include <limits.h>
#include <malloc.h>
#include "workload.h"

enum { BLOCKS = 2003, MANY = 1000000, FEW = 30011 };

struct block {
	unsigned char *bytes;
	size_t size;
	uint64_t with;
};

static uint64_t next(uint64_t *random)
{
	return word_at(0x9e37, ++*random);
}

/* Small ones, pages, and now and then one that malloc would map by itself. */
static size_t pick_size(uint64_t *random)
{
	uint64_t dice = next(random) % 1000, value = next(random);

	if (dice < 600)
		return 1 + value % 128;
	if (dice < 950)
		return 1 + value % 4096;
	if (dice < 999)
		return 1 + value % 65536;
	return 131072 + value % 262144;
}

static void renew(struct block *block, uint64_t *random)
{
	free(block->bytes);
	block->size = pick_size(random);
	block->with = seed(next(random) % 1000000);
	block->bytes = malloc(block->size);
	must(block->bytes != NULL, "malloc");
}

static void check(const struct block *blocks, const char *what)
{
	for (int i = 0; i < BLOCKS; i++)
		expect(blocks[i].bytes, blocks[i].size, blocks[i].with, what);
}

static void churn_a_while(int count)
{
	struct block *blocks = calloc(BLOCKS, sizeof(*blocks));
	uint64_t random = workload.seed;

	must(mallopt(M_MMAP_MAX, 0) && mallopt(M_TRIM_THRESHOLD, INT_MAX), "mallopt");
	must(blocks != NULL, "calloc");
	for (int i = 0; i < BLOCKS; i++) {
		renew(&blocks[i], &random);
		fill(blocks[i].bytes, blocks[i].size, blocks[i].with);
	}
	save();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < count; i++) {
			struct block *block = &blocks[next(&random) % BLOCKS];

			renew(block, &random);
			fill(block->bytes, block->size < 64 ? block->size : 64, block->with);
		}
		restore();
		check(blocks, "a block");
		for (int i = 0; i < BLOCKS; i += 3) {
			renew(&blocks[i], &random);
			fill(blocks[i].bytes, blocks[i].size, blocks[i].with);
		}
		check(blocks, "a block, after new ones");
	}
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i].bytes);
	free(blocks);
}

static void many(void)
{
	churn_a_while(MANY / 2);
}

static void few(void)
{
	churn_a_while(FEW);
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {{"many", many}, {"few", few}, {NULL, NULL}};

	return play_workloads(workloads, argc, argv);
}
