/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of an image that was opened, see image.h. Nothing is checked here that image__open has
 * checked.
 */
#include "image/image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "image/image_internal.h"
#include "image/image_reason.h"
#include "slab/slab_heap.h"

#define BLOCK_BYTES ((size_t)1 << 18) /* memory is read and checked in these */

/* Finds the first of count items, which are in order, that ends above address. An item is size
 * bytes long and begins with start and end. */
static size_t find(const void *items, size_t count, size_t size, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const uint64_t *bounds = (const void *)((const char *)items + middle * size);

		if (bounds[1] > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void image__locate(const struct image *image, uint64_t address, struct image_stretch *ret_stretch)
{
	size_t i = find(image->mappings, image->mapping_count, sizeof(*image->mappings), address);
	const struct image_mapping *mapping = &image->mappings[i];
	const struct image_segment *segment;
	const struct image_run *run;

	*ret_stretch =
		(struct image_stretch){.kind = IMAGE_UNMAPPED, .start = address, .end = UINT64_MAX};
	if (i == image->mapping_count)
		return;
	if (address < mapping->start) {
		ret_stretch->end = mapping->start;
		return;
	}
	ret_stretch->kind = IMAGE_ZERO;
	ret_stretch->end = mapping->end;
	ret_stretch->mapping = mapping;
	i = find(image->segments, image->segment_count, sizeof(*segment), address);
	segment = &image->segments[i];
	if (i < image->segment_count && segment->start <= address && segment->bytes) {
		ret_stretch->kind = IMAGE_DATA;
		ret_stretch->end = segment->end;
		ret_stretch->offset = segment->offset + (address - segment->start);
		return;
	}
	/* Not in the file: in the parent, or zeros; up to the next segment that has bytes. */
	i = i < image->segment_count ? image->filled[i] : i;
	if (i < image->segment_count && image->segments[i].start < ret_stretch->end)
		ret_stretch->end = image->segments[i].start;
	i = find(image->unchanged, image->unchanged_count, sizeof(*run), address);
	run = &image->unchanged[i];
	if (i == image->unchanged_count || run->start >= ret_stretch->end)
		return;
	if (run->start > address) {
		ret_stretch->end = run->start;
		return;
	}
	ret_stretch->kind = IMAGE_UNCHANGED;
	if (run->end < ret_stretch->end)
		ret_stretch->end = run->end;
}

bool image__is_missing(const struct image *image, uint64_t address, uint64_t *ret_end)
{
	size_t i = find(image->missing, image->missing_count, sizeof(*image->missing), address);
	const struct image_run *run = &image->missing[i];

	*ret_end = UINT64_MAX;
	if (i == image->missing_count)
		return false;
	*ret_end = run->start > address ? run->start : run->end;
	return run->start <= address;
}

/* Reads from a stretch of data or zeros. */
static int read_stretch(const struct image *image, const struct image_stretch *stretch, void *to,
			size_t bytes)
{
	if (stretch->kind == IMAGE_DATA)
		return image__read_at(image->fd, to, bytes, stretch->offset);
	memset(to, 0, bytes);
	return 0;
}

int image__read(const struct image *image, uint64_t address, void *buffer, size_t bytes)
{
	unsigned char *to = buffer;
	struct image_stretch stretch;
	int err = 0;

	while (bytes > 0 && !err) {
		size_t part;

		image__locate(image, address, &stretch);
		if (stretch.kind == IMAGE_UNMAPPED)
			return -ENXIO;
		if (stretch.kind == IMAGE_UNCHANGED)
			return -ENODATA;
		part = stretch.end - address < bytes ? (size_t)(stretch.end - address) : bytes;
		err = read_stretch(image, &stretch, to, part);
		to += part;
		address += part;
		bytes -= part;
	}
	return err;
}

uint64_t image__skip_hole(const struct image *image, uint64_t offset, uint64_t limit)
{
	off_t data = lseek(image->fd, (off_t)offset, SEEK_DATA);

	if (data < 0) /* ENXIO: all is a hole; anything else: not known */
		return errno == ENXIO ? limit : offset;
	if (data < (off_t)offset) /* no file system should say so */
		return offset;
	return (uint64_t)data < limit ? (uint64_t)data : limit;
}

uint64_t image__skip_data(const struct image *image, uint64_t offset, uint64_t limit)
{
	off_t hole = lseek(image->fd, (off_t)offset, SEEK_HOLE);

	/* A hole at offset or before it would make a loop over both endless. */
	return hole > (off_t)offset && (uint64_t)hole < limit ? (uint64_t)hole : limit;
}

/* Adds one block of memory to the checksum, and calls each for its pages. */
static void scan_block(struct image_sum *sum, uint64_t address, const unsigned char *block,
		       size_t bytes,
		       void (*each)(uint64_t address, const void *page, void *argument),
		       void *argument)
{
	for (size_t at = 0; each && at < bytes; at += PAGE_BYTES) {
		if (!image__is_zero(block + at, PAGE_BYTES))
			each(address + at, block + at, argument);
	}
	image__sum(sum, address, block, bytes);
}

int image__scan_segment(const struct image *image, size_t index,
			void (*each)(uint64_t address, const void *page, void *argument),
			void *argument, char *message)
{
	const struct image_segment *segment = &image->segments[index];
	uint64_t at = 0, limit = segment->offset + segment->bytes;
	unsigned char *block = NULL;
	struct image_sum sum = {0};
	int err = 0;

	if (segment->bytes) {
		block = slab_heap__alloc(image->heap, BLOCK_BYTES);
		err = block ? 0 : -ENOMEM;
	}
	while (at < segment->bytes && !err) {
		uint64_t data = image__skip_hole(image, segment->offset + at, limit);
		size_t part;

		at = page__start(data - segment->offset);
		part = segment->bytes - at < BLOCK_BYTES ? (size_t)(segment->bytes - at)
							 : BLOCK_BYTES;
		err = image__read_at(image->fd, block, part, segment->offset + at);
		if (!err)
			scan_block(&sum, segment->start + at, block, part, each, argument);
		at += part;
	}
	(void)slab_heap__free(image->heap, block);
	if (err)
		return image__fail(message, err, image->path, "cannot read segment %zu: %s", index,
				   image_reason__text(err));
	if (sum.crc != segment->crc)
		return image__fail(
			message, -EBADMSG, image->path,
			"damaged: the checksum of segment %zu, at 0x%llx, is 0x%08x, and "
			"must be 0x%08x",
			index, (unsigned long long)segment->start, sum.crc, segment->crc);
	return 0;
}

int image__check_segment(const struct image *image, size_t index, char *message)
{
	return image__scan_segment(image, index, NULL, NULL, message);
}

int image__check(const struct image *image, char *message)
{
	int err = 0;

	for (size_t i = 0; i < image->segment_count && !err; i++)
		err = image__check_segment(image, i, message);
	return err;
}
