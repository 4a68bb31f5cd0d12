/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dump.h.
 */
#include "readckpt/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "image/image_reason.h"

enum { LINE = 16, BLOCK = 1 << 16 };

struct dump {
	FILE *out;
	unsigned char before[LINE]; /* the line that was shown last */
	bool has_before, in_repeat;
	uint64_t end; /* address behind what was shown */
};

static void put_line(const struct dump *d, uint64_t address, const unsigned char *bytes,
		     size_t count)
{
	(void)fprintf(d->out, "%012" PRIx64 " ", address);
	for (size_t i = 0; i < LINE; i++) {
		if (i % 8 == 0)
			(void)fputc(' ', d->out);
		if (i < count)
			(void)fprintf(d->out, "%02x ", bytes[i]);
		else
			(void)fputs("   ", d->out);
	}
	(void)fputs(" |", d->out);
	for (size_t i = 0; i < count; i++)
		(void)fputc(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.', d->out);
	(void)fputs("|\n", d->out);
}

static void put_block(struct dump *d, uint64_t address, const unsigned char *bytes, size_t count)
{
	d->end = address + count;
	for (size_t at = 0; at < count; at += LINE) {
		size_t part = count - at < LINE ? count - at : LINE;

		if (part == LINE && d->has_before && memcmp(d->before, bytes + at, LINE) == 0) {
			if (!d->in_repeat)
				(void)fputs("*\n", d->out);
			d->in_repeat = true;
			continue;
		}
		put_line(d, address + at, bytes + at, part);
		d->in_repeat = false;
		d->has_before = part == LINE;
		if (d->has_before)
			memcpy(d->before, bytes + at, LINE);
	}
}

/* Checks all segments with bytes that reach into [start, end). */
static int check(const struct image *image, uint64_t start, uint64_t end, char *message)
{
	int err = 0;

	for (size_t i = 0; i < image->segment_count && !err; i++) {
		if (image->segments[i].start < end && start < image->segments[i].end)
			err = image__check_segment(image, i, message);
	}
	return err;
}

/* How much of [at, at + bytes) is one stretch, and whether it was missing. */
static size_t measure(const struct image_chain *chain, uint64_t at, size_t bytes, bool *ret_missing)
{
	struct image_stretch stretch;
	const struct image *image;
	uint64_t end;

	image_chain__locate(chain, at, &stretch, &image);
	if (stretch.kind == IMAGE_UNMAPPED)
		return 0;
	*ret_missing = image__is_missing(image, at, &end);
	if (stretch.end < end)
		end = stretch.end;
	return end - at < bytes ? (size_t)(end - at) : bytes;
}

static int put_memory(struct dump *d, const struct image_chain *chain, uint64_t at, uint64_t end,
		      uint64_t *ret_missing, char *message)
{
	static unsigned char block[BLOCK];
	const char *path = chain->images[0]->path;
	size_t held = 0; /* bytes in block; the first is that of address at - held */

	while (at < end || held) {
		size_t room = end - at < BLOCK - held ? (size_t)(end - at) : BLOCK - held, part;
		bool is_missing = false;
		int err;

		part = room ? measure(chain, at, room, &is_missing) : 0;
		if (part == 0 || held == BLOCK) {
			put_block(d, at - held, block, held);
			held = 0;
			if (part == 0 && at < end && room) {
				(void)snprintf(message, IMAGE_MESSAGE_BYTES,
					       "%s: 0x%" PRIx64 " is in no mapping", path, at);
				return -ENXIO;
			}
			continue;
		}
		if (is_missing && !*ret_missing)
			*ret_missing = at;
		err = image_chain__read(chain, at, block + held, part);
		if (err) {
			(void)snprintf(message, IMAGE_MESSAGE_BYTES,
				       "%s: cannot read what is at 0x%" PRIx64 ": %s", path, at,
				       image_reason__text(err));
			return err;
		}
		held += part;
		at += part;
	}
	return 0;
}

int dump__write(FILE *out, const struct image_chain *chain, uint64_t address, uint64_t bytes,
		char *message)
{
	struct dump dump = {.out = out};
	uint64_t missing = 0;
	int err;

	err = put_memory(&dump, chain, address, address + bytes, &missing, message);
	if (dump.in_repeat)
		(void)fprintf(out, "%012" PRIx64 "\n", dump.end);
	for (size_t i = 0; i < chain->count && !err; i++)
		err = check(chain->images[i], address, address + bytes, message);
	if (err)
		return err;
	if (missing) {
		(void)snprintf(message, IMAGE_MESSAGE_BYTES,
			       "%s: what is at 0x%" PRIx64 " could not be read when the image was "
			       "written; it is shown as zeros",
			       chain->images[0]->path, missing);
		return -ENODATA;
	}
	return 0;
}
