/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of load: the checksum of the memory, and a file that is cut off. After an error nothing
 * more is read. A file system may answer with places before the one asked for.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "become/load.h"
#include "tap.h"

enum { PIECES = 3, PIECE_BYTES = 23 * PAGE_BYTES };

static _Alignas(PAGE_BYTES) unsigned char memory[PIECES * PIECE_BYTES];
static unsigned char contents[PIECES * PIECE_BYTES];
static off_t answer; /* of lseek */

/* Replaces the function of the C library. */
off_t lseek(int fd, off_t offset, int whence)
{
	(void)fd;
	(void)offset;
	(void)whence;
	return answer;
}

/* The content of the file, and the checksum at its end. */
static void make_pieces(struct plan_piece pieces[PIECES + 1], int fd)
{
	struct image_sum sum = {0};

	memset(memory, 0, sizeof(memory));
	memset(pieces, 0, (PIECES + 1) * sizeof(*pieces));
	image__sum(&sum, (uintptr_t)memory, contents, sizeof(contents));
	for (size_t i = 0; i <= PIECES; i++)
		pieces[i] = (struct plan_piece){.address = (uintptr_t)memory + i * PIECE_BYTES,
						.bytes = i < PIECES ? PIECE_BYTES : 0,
						.offset = i * PIECE_BYTES,
						.fd = fd,
						.verify = 1,
						.crc = sum.crc};
}

static void test_load(void)
{
	struct plan_piece pieces[PIECES + 1];
	const struct plan plan = {.pieces = pieces, .piece_count = PIECES + 1, .messages_fd = -1};
	struct load_failure failure = {.fd = -1};
	int fd = memfd_create("load", MFD_CLOEXEC);

	must(fd < 0);
	for (size_t i = 0; i < sizeof(contents); i++)
		contents[i] = (unsigned char)((i * 2654435761u) >> 11);
	must(write(fd, contents, sizeof(contents)) != sizeof(contents));
	make_pieces(pieces, fd);
	tap__ok(!load__pieces(&plan, &failure), "all of it");
	tap__ok(memcmp(memory, contents, sizeof(memory)) == 0, "is there");
	make_pieces(pieces, fd);
	pieces[PIECES].crc ^= 23;
	tap__ok(load__pieces(&plan, &failure), "another checksum");
	tap__equal(failure.reason, LOAD_DAMAGED, "is a reason to fail");
	tap__equal(failure.fd, fd, "of that file");
	must(ftruncate(fd, PIECE_BYTES + 23) != 0);
	make_pieces(pieces, fd);
	failure.fd = -1;
	tap__ok(load__pieces(&plan, &failure), "a file that is cut off");
	tap__equal(failure.reason, LOAD_CUT_OFF, "is a reason to fail");
	tap__equal(failure.fd, fd, "of that file");
	tap__ok(pieces[0].is_loaded && pieces[1].is_loaded && !pieces[2].is_loaded,
		"the pieces behind it are not read");
	(void)close(fd);
	make_pieces(pieces, fd);
	tap__ok(load__pieces(&plan, &failure) && failure.reason == LOAD_UNREADABLE,
		"a file that cannot be read");
	tap__equal(failure.err, -EBADF, "because it is closed");
}

static void test_skip(void)
{
	const struct image image = {.fd = -1};

	answer = 4096;
	tap__equal(image__skip_hole(&image, 8192, 65536), 8192, "data before the place asked for");
	tap__equal(image__skip_data(&image, 8192, 65536), 65536, "a hole before it");
	answer = 8192;
	tap__equal(image__skip_hole(&image, 8192, 65536), 8192, "data there");
	tap__equal(image__skip_data(&image, 8192, 65536), 65536, "a hole where data was");
	answer = 12288;
	tap__equal(image__skip_hole(&image, 8192, 65536), 12288, "data behind");
	tap__equal(image__skip_data(&image, 8192, 65536), 12288, "a hole behind");
	answer = 1 << 20;
	tap__equal(image__skip_hole(&image, 8192, 65536), 65536, "data behind the end");
	tap__equal(image__skip_data(&image, 8192, 65536), 65536, "a hole behind the end");
}

int main(void)
{
	tap__plan(19);
	test_load();
	test_skip();
	return tap__done();
}
