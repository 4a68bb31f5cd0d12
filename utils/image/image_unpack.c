/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_unpack.h. A few bytes of gzip can become a thousand times as many, so the data is
 * checked as it is unpacked: it must begin like an image, end where its headers say, and fit into
 * the memory that is free.
 */
#include "image/image_unpack.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/page.h"
#include "base/progress.h"
#include "image/image_headers.h"
#include "image/image_internal.h"
#include "image/image_reason.h"
#include "slab/slab_heap.h"

enum {
	BLOCK_BYTES = 1 << 18,
	BYTES_MAX_SHIFT = 40, /* 1 TiB, zeros counted */
};

struct unpacking {
	struct image *image;
	char *message;
	z_stream z;
	unsigned char *in, *out; /* BLOCK_BYTES each */
	int fd;                  /* of the file in memory */
	bool ended;              /* the end of the compressed data was seen */
	uint64_t bytes;          /* unpacked so far */
	uint64_t stored;         /* the part of these bytes that is not in pages of zeros */
	uint64_t stored_max;
	uint64_t expected; /* bytes, as the headers say; 0: not unpacked yet */
};

static int fail_damaged(const struct unpacking *u, const char *what)
{
	return image__fail(u->message, -EBADMSG, u->image->path, "cannot unpack: %s", what);
}

static int fail_longer(const struct unpacking *u)
{
	return fail_damaged(u, "there is more than its headers say");
}

/* Writes the first count bytes of out. Pages of zeros become holes. */
static int store(struct unpacking *u, size_t count)
{
	for (size_t at = 0; at < count; at += PAGE_BYTES) {
		size_t bytes = count - at < PAGE_BYTES ? count - at : PAGE_BYTES;
		ssize_t n;

		if (bytes == PAGE_BYTES && image__is_zero(u->out + at, PAGE_BYTES))
			continue;
		u->stored += bytes;
		if (u->stored > u->stored_max)
			return image__fail(u->message, -EFBIG, u->image->path,
					   "it needs more than the %llu MiB of memory that are "
					   "free; unpack it to a file first, with zcat",
					   (unsigned long long)u->stored_max >> 20);
		do {
			n = pwrite(u->fd, u->out + at, bytes, (off_t)(u->bytes + at));
		} while (n < 0 && errno == EINTR);
		if (n != (ssize_t)bytes)
			return image__fail(u->message, n < 0 ? -errno : -EIO, u->image->path,
					   "cannot unpack: %s", strerror(n < 0 ? errno : EIO));
	}
	u->bytes += count;
	return ftruncate(u->fd, (off_t)u->bytes) < 0 ? fail_damaged(u, strerror(errno)) : 0;
}

/* The last program header says where the file ends. */
static int read_expected(struct unpacking *u)
{
	Elf64_Ehdr header;
	Elf64_Phdr last;
	uint64_t at;
	int err;

	if (u->bytes < sizeof(header))
		return 0;
	err = image__read_at(u->fd, &header, sizeof(header), 0);
	if (err)
		return fail_damaged(u, image_reason__text(err));
	err = image_headers__check_elf(u->image, &header, u->message);
	if (err)
		return err;
	at = sizeof(header) + ((uint64_t)header.e_phnum - 1) * sizeof(last);
	if (u->bytes < at + sizeof(last))
		return 0;
	err = image__read_at(u->fd, &last, sizeof(last), at);
	if (err)
		return fail_damaged(u, image_reason__text(err));
	if (last.p_offset > 1ULL << BYTES_MAX_SHIFT || last.p_filesz > 1ULL << BYTES_MAX_SHIFT)
		return image__fail(u->message, -EFBIG, u->image->path,
				   "cannot unpack: it says that it is larger than %d TiB",
				   1 << (BYTES_MAX_SHIFT - 40));
	u->expected = last.p_offset + last.p_filesz;
	return u->expected ? 0 : fail_longer(u);
}

/* Reads and inflates until out is full, or the end. */
static int inflate_block(struct unpacking *u)
{
	z_stream *z = &u->z;

	z->next_out = u->out;
	z->avail_out = BLOCK_BYTES;
	while (z->avail_out > 0 && !u->ended) {
		int result;

		if (z->avail_in == 0) {
			ssize_t n = read(u->image->fd, u->in, BLOCK_BYTES);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return fail_damaged(u, strerror(errno));
			if (n == 0)
				return fail_damaged(u, "the compressed data is cut off");
			z->next_in = u->in;
			z->avail_in = (unsigned int)n;
		}
		result = inflate(z, Z_NO_FLUSH);
		if (result == Z_MEM_ERROR)
			return image__fail(u->message, -ENOMEM, u->image->path, "cannot unpack: %s",
					   strerror(ENOMEM));
		if (result != Z_OK && result != Z_STREAM_END)
			return fail_damaged(u, "the compressed data is damaged");
		u->ended = result == Z_STREAM_END;
	}
	return 0;
}

/* After the end there must be nothing. */
static int check_end(struct unpacking *u)
{
	ssize_t n;

	do {
		n = read(u->image->fd, u->in, 1);
	} while (n < 0 && errno == EINTR);
	if (u->z.avail_in > 0 || n != 0)
		return fail_damaged(u, "something was added after the compressed data");
	return 0;
}

static int unpack_block(struct unpacking *u)
{
	int err = inflate_block(u);

	if (err)
		return err;
	err = store(u, BLOCK_BYTES - u->z.avail_out);
	if (err)
		return err;
	if (!u->expected) {
		err = read_expected(u);
		if (err)
			return err;
	}
	return u->expected && u->bytes > u->expected ? fail_longer(u) : 0;
}

static int unpack_blocks(struct unpacking *u)
{
	struct progress progress = {0};
	int err = 0;

	while (!u->ended && !err) {
		progress__step(&progress, "unpacking the image", u->bytes, u->expected);
		err = unpack_block(u);
	}
	progress__end(&progress);
	if (err)
		return err;
	return check_end(u);
}

/* zlib's memory. */
static void *take_memory(void *image, unsigned int count, unsigned int size)
{
	return image__alloc(image, count, size);
}

static void give_back(void *image, void *memory)
{
	(void)slab_heap__free(((const struct image *)image)->heap, memory);
}

int image_unpack__replace(struct image *image, uint64_t memory_max, char *message)
{
	enum { GZIP = 16 };
	struct unpacking u = {
		.image = image, .message = message, .stored_max = memory_max, .fd = -1};
	bool is_told = false;
	int err = -ENOMEM;

	u.z.zalloc = take_memory;
	u.z.zfree = give_back;
	u.z.opaque = image;
	u.in = image__alloc(image, 2, BLOCK_BYTES);
	if (!u.in)
		goto out;
	u.out = u.in + BLOCK_BYTES;
	u.fd = memfd_create("image", MFD_CLOEXEC);
	if (u.fd < 0) {
		err = -errno;
		goto out;
	}
	if (inflateInit2(&u.z, MAX_WBITS + GZIP) != Z_OK)
		goto out;
	err = unpack_blocks(&u);
	is_told = true;
	(void)inflateEnd(&u.z);
	if (err)
		goto out;
	(void)close(image->fd);
	image->fd = u.fd;
	image->file_bytes = u.bytes;
	image->compressed = true;
	u.fd = -1;
out:
	if (err && !is_told)
		(void)image__fail(message, err, image->path, "cannot unpack: %s", strerror(-err));
	if (u.fd >= 0)
		(void)close(u.fd);
	(void)slab_heap__free(image->heap, u.in);
	return err;
}
