/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checksums of memory, see image.h. Usable inside a signal handler.
 */
#include "image/image.h"

#include <zlib.h>

bool image__is_zero(const void *from, size_t bytes)
{
	const uint64_t *words = from;

	for (size_t i = 0; i < bytes / sizeof(*words); i += 8) {
		if (words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] |
		    words[i + 5] | words[i + 6] | words[i + 7])
			return false;
	}
	return true;
}

uint32_t image__crc_page(uint32_t crc, uint64_t address, const void *page)
{
	crc = (uint32_t)crc32(crc, (const unsigned char *)&address, sizeof(address));
	return (uint32_t)crc32(crc, page, PAGE_BYTES);
}

void image__sum(struct image_sum *sum, uint64_t address, const void *pages, size_t bytes)
{
	const unsigned char *page = pages;

	for (size_t at = 0; at < bytes; at += PAGE_BYTES) {
		if (image__is_zero(page + at, PAGE_BYTES))
			continue;
		sum->crc = image__crc_page(sum->crc, address + at, page + at);
		sum->bytes += sizeof(address) + PAGE_BYTES;
	}
}

void image__add_sum(struct image_sum *sum, const struct image_sum *next)
{
	sum->crc = (uint32_t)crc32_combine(sum->crc, next->crc, (z_off_t)next->bytes);
	sum->bytes += next->bytes;
}
