/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_sums.h.
 */
#include "libckpt/page_sums.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/page.h"

int page_sums__make(size_t count, uint64_t pages, struct page_sums *ret_table)
{
	const size_t head = count * sizeof(struct page_sums_range);
	const size_t bytes = page__round_up(head + pages * sizeof(uint64_t) + 1);
	unsigned char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -ENOMEM;
	*ret_table = (struct page_sums){.base = base,
					.bytes = bytes,
					.ranges = (void *)base,
					.sums = (void *)(base + head)};
	return 0;
}

void page_sums__add(struct page_sums *table, uint64_t start, uint64_t end)
{
	struct page_sums_range *range = &table->ranges[table->count];

	*range = (struct page_sums_range){.start = start, .end = end};
	if (table->count > 0)
		range->first = range[-1].first + (range[-1].end - range[-1].start) / PAGE_BYTES;
	table->count++;
}

uint64_t *page_sums__find(const struct page_sums *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->ranges[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == table->count || address < table->ranges[low].start)
		return NULL;
	return &table->sums[table->ranges[low].first +
			    (address - table->ranges[low].start) / PAGE_BYTES];
}

/* Four lanes, so that the multiplications overlap. */
uint64_t page_sums__sum(const void *page)
{
	const uint64_t *words = page, prime = 0x9e3779b97f4a7c15;
	uint64_t a = 1, b = 2, c = 3, d = 4;

	for (size_t i = 0; i < PAGE_BYTES / sizeof(*words); i += 4) {
		a = (a ^ words[i]) * prime;
		b = (b ^ words[i + 1]) * prime;
		c = (c ^ words[i + 2]) * prime;
		d = (d ^ words[i + 3]) * prime;
		a ^= a >> 29;
		b ^= b >> 29;
		c ^= c >> 29;
		d ^= d >> 29;
	}
	a = (a ^ b >> 7) * prime + (c ^ d >> 11) * (prime + 2);
	a ^= (b * prime) ^ (d >> 3);
	return (a ^ a >> 32) | 1;
}

void page_sums__free(struct page_sums *table)
{
	if (table->base)
		(void)munmap(table->base, table->bytes);
	*table = (struct page_sums){0};
}
