/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See squash.h. The chain is walked twice, in stretches of one image each: to find the
 * segments of the new image, and to copy them.
 */
#include "readckpt/squash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/page.h"
#include "base/progress.h"
#include "image/image_elf.h"
#include "image/image_reason.h"
#include "image/image_segmenter.h"

enum {
	BLOCK_BYTES = 1 << 18,
	COMPRESSED_MAX_SHIFT = 40, /* readers refuse to unpack more: 1 TiB */
};

struct squash {
	const struct image_chain *chain;
	struct image image; /* the new one; segments, missing and strings are its own */
	size_t missing_room;
	struct image_writer *writer;
	unsigned char *block;
	const char *path;
	char *message;
	struct progress progress;
	uint64_t written, bytes; /* of memory; bytes: all */
};

static int fail(const struct squash *s, int err, const char *path, const char *reason)
{
	(void)snprintf(s->message, IMAGE_MESSAGE_BYTES, "%s: cannot squash: %s", path, reason);
	return err;
}

/* ---- describing ---- */

static int add_missing(struct squash *s, uint64_t start, uint64_t end)
{
	struct image *image = &s->image;

	if (image->missing_count == s->missing_room) {
		size_t room = s->missing_room ? 2 * s->missing_room : 64;
		struct image_run *larger = realloc(image->missing, room * sizeof(*larger));

		if (!larger)
			return fail(s, -ENOMEM, s->chain->images[0]->path, strerror(ENOMEM));
		image->missing = larger;
		s->missing_room = room;
	}
	image->missing[image->missing_count++] = (struct image_run){start, end};
	image->info.missing |= IMAGE_MISSING_PAGES;
	return 0;
}

/* Notes which parts of [start, end) are missing in their owner. */
static int find_missing(struct squash *s, const struct image *owner, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		uint64_t to;
		bool is_missing = image__is_missing(owner, start, &to);

		if (to > end)
			to = end;
		if (is_missing)
			err = add_missing(s, start, to);
		start = to;
	}
	return err;
}

static int cut_mapping(struct squash *s, const struct image_mapping *m)
{
	const struct image *owner;
	struct image_stretch stretch;
	struct image_segmenter gathering;
	int err = 0;

	image_segmenter__begin(&gathering, &s->image, m);
	for (uint64_t at = m->start; at < m->end && !err; at = stretch.end) {
		image_chain__locate(s->chain, at, &stretch, &owner);
		err = find_missing(s, owner, at, stretch.end);
		if (stretch.kind == IMAGE_DATA)
			image_segmenter__add(&gathering, at, stretch.end);
	}
	if (err)
		return err;
	err = image_segmenter__end(&gathering);
	return err ? fail(s, err, s->chain->images[0]->path, image_reason__text(err)) : 0;
}

/* The strings of the first image, and our name. */
static int make_strings(struct squash *s)
{
	static const char writer[] = "readckpt " TRACER_VERSION;
	const struct image *first = s->chain->images[0];
	char *strings = malloc(first->string_bytes + sizeof(writer));

	if (!strings)
		return fail(s, -ENOMEM, first->path, strerror(ENOMEM));
	memcpy(strings, first->strings, first->string_bytes);
	memcpy(strings + first->string_bytes, writer, sizeof(writer));
	s->image.strings = strings;
	s->image.string_bytes = first->string_bytes + sizeof(writer);
	s->image.info.writer = (uint32_t)first->string_bytes;
	return 0;
}

static int describe(struct squash *s)
{
	const struct image *first = s->chain->images[0];
	struct image *image = &s->image;
	int err;

	*image = *first;
	image->segments = calloc(IMAGE_SEGMENTS_MAX, sizeof(*image->segments));
	image->missing = image->unchanged = NULL;
	image->segment_count = image->missing_count = image->unchanged_count = 0;
	image->info.flags &= ~(uint32_t)IMAGE_INCREMENT;
	image->info.missing &= ~(uint64_t)IMAGE_MISSING_PAGES;
	image->info.parent_id = image->info.depth = image->info.parent = 0;
	image->strings = NULL;
	if (!image->segments)
		return fail(s, -ENOMEM, first->path, strerror(ENOMEM));
	err = make_strings(s);
	for (size_t i = 0; i < first->mapping_count && !err; i++)
		err = cut_mapping(s, &first->mappings[i]);
	return err;
}

/* ---- copying ---- */

static int fail_writing(const struct squash *s, int err)
{
	const struct image_failure *failure = &s->writer->failure;

	(void)snprintf(s->message, IMAGE_MESSAGE_BYTES, "%s %s: %s", failure->step, s->path,
		       image_failure__reason(failure, err));
	return err;
}

static int copy_zeros(struct squash *s, uint64_t bytes)
{
	int err = bytes ? image_writer__zeros(s->writer, bytes) : 0;

	s->written += bytes;
	return err ? fail_writing(s, err) : 0;
}

/* Bytes of a file from offset on. Holes stay holes. */
static int copy_data(struct squash *s, const struct image *owner, uint64_t address, uint64_t bytes,
		     uint64_t offset)
{
	uint64_t at = 0;
	int err = 0;

	while (at < bytes && !err) {
		uint64_t data = image__skip_hole(owner, offset + at, offset + bytes) - offset;
		size_t part;

		data = page__start(data);
		err = copy_zeros(s, data - at);
		at = data;
		part = bytes - at < BLOCK_BYTES ? (size_t)(bytes - at) : BLOCK_BYTES;
		if (err || part == 0)
			break;
		err = image__read(owner, address + at, s->block, part);
		if (err)
			return fail(s, err, owner->path, image_reason__text(err));
		err = image_writer__pages(s->writer, s->block, part);
		if (err)
			return fail_writing(s, err);
		at += part;
		s->written += part;
		progress__step(&s->progress, "writing the image", s->written, s->bytes);
	}
	return err;
}

static int copy_segment(struct squash *s, const struct image_segment *segment)
{
	const struct image *owner;
	struct image_stretch stretch;
	int err = 0;

	for (uint64_t at = segment->start; at < segment->end && !err; at = stretch.end) {
		uint64_t bytes;

		image_chain__locate(s->chain, at, &stretch, &owner);
		bytes = (stretch.end < segment->end ? stretch.end : segment->end) - at;
		if (stretch.kind == IMAGE_DATA)
			err = copy_data(s, owner, at, bytes, stretch.offset);
		else
			err = copy_zeros(s, bytes);
	}
	return err;
}

/* Zeros cost time when they are compressed, and a hostile image can have very many. */
static int check_size(struct squash *s)
{
	for (size_t i = 0; i < s->image.segment_count; i++)
		s->bytes += s->image.segments[i].bytes;
	if (s->writer->output.compressed && s->bytes > 1ULL << COMPRESSED_MAX_SHIFT)
		return fail(s, -EFBIG, s->chain->images[0]->path,
			    "more than 1 TiB; write it without compression");
	return 0;
}

static int write_all(struct squash *s)
{
	int err = image_writer__open(s->writer, s->path);

	if (err)
		return fail_writing(s, err);
	err = check_size(s);
	if (err)
		return err;
	err = image_elf__begin(s->writer, &s->image);
	if (err)
		return fail_writing(s, err);
	for (size_t i = 0; i < s->image.segment_count && !err; i++) {
		if (s->image.segments[i].bytes)
			err = copy_segment(s, &s->image.segments[i]);
	}
	if (err)
		return err;
	err = image_writer__commit(s->writer);
	return err ? fail_writing(s, err) : 0;
}

int squash__write(const struct image_chain *chain, const char *path, char *message)
{
	struct squash s = {.chain = chain, .path = path, .message = message};
	int err = image_chain__check(chain, message);

	if (err)
		goto out;
	err = describe(&s);
	if (err)
		goto out;
	s.writer = calloc(1, sizeof(*s.writer));
	s.block = aligned_alloc(PAGE_BYTES, BLOCK_BYTES);
	if (!s.writer || !s.block) {
		err = fail(&s, -ENOMEM, chain->images[0]->path, strerror(ENOMEM));
		goto out;
	}
	err = write_all(&s);
	progress__end(&s.progress);
	image_writer__abort(s.writer); /* harmless after a success */
out:
	free(s.writer);
	free(s.block);
	free(s.image.segments);
	free(s.image.missing);
	free((char *)s.image.strings);
	return err;
}
