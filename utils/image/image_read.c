/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading an image, see image.h: opening it and its headers. What is in the notes is read in
 * image_notes.c, the memory in image_memory.c. The file may be of an enemy: no number of it is used
 * before it was compared with a limit, and no sum is made of two that could overflow.
 */
#include "image/image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/procfs.h"
#include "image/image_internal.h"
#include "slab/slab_heap.h"

enum {
	NOTES_BYTES_MAX = 256 << 20, /* all notes together */
	USER_ADDRESS_BITS = 47,
};

static const uint64_t user_end = 1ULL << USER_ADDRESS_BITS;

int image__fail(char *message, int err, const char *path, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(message, IMAGE_MESSAGE_BYTES, "%s: ", path);
	if (n >= 0 && n < IMAGE_MESSAGE_BYTES) {
		va_start(args, format);
		(void)vsnprintf(message + n, IMAGE_MESSAGE_BYTES - (size_t)n, format, args);
		va_end(args);
	}
	/* Some of it is from the file, and the terminal obeys what it is told. */
	for (char *c = message; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return err;
}

int image__read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	unsigned char *to = buffer;

	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		to += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* ---- headers ---- */

int image__check_elf_header(const struct image *image, const Elf64_Ehdr *header, char *message)
{
	const char *path = image->path;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return image__fail(message, -ENOEXEC, path, "not an image: it is no ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return image__fail(
			message, -EPROTONOSUPPORT, path,
			"an ELF file of another kind of machine (number %u); only x86-64 "
			"is supported",
			header->e_machine);
	if (header->e_type != ET_CORE)
		return image__fail(message, -ENOEXEC, path,
				   "not an image: an ELF file, but no core file");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff != sizeof(*header) ||
	    header->e_phnum < 1)
		return image__fail(message, -ENOEXEC, path,
				   "not an image: a core file, but not written by libckpt or "
				   "tracer");
	return 0;
}

/* A segment as the file has it; before are the end of the memory and the file behind the last. */
static int read_segment(struct image *image, const Elf64_Phdr *header, uint64_t *before_address,
			uint64_t *before_offset, char *message)
{
	struct image_segment *segment = &image->segments[image->segment_count];
	const uint64_t last_page = page__start(UINT64_MAX);
	uint64_t start = header->p_vaddr, bytes = header->p_memsz;

	if (start % PAGE_BYTES || bytes % PAGE_BYTES || bytes == 0 || start < *before_address ||
	    bytes > last_page - start)
		return image__fail(message, -EBADMSG, image->path,
				   "segment %zu has impossible addresses", image->segment_count);
	if (header->p_filesz != 0 && header->p_filesz != bytes)
		return image__fail(message, -EBADMSG, image->path,
				   "segment %zu is in the file in part", image->segment_count);
	if (header->p_filesz != 0 && start + bytes > user_end)
		return image__fail(message, -EBADMSG, image->path,
				   "segment %zu is beyond the addresses of programs",
				   image->segment_count);
	if (header->p_offset % PAGE_BYTES || header->p_offset < *before_offset ||
	    header->p_offset > image->file_bytes ||
	    header->p_filesz > image->file_bytes - header->p_offset)
		return image__fail(message, -EBADMSG, image->path,
				   "segment %zu is not inside the file, which may have been cut "
				   "off",
				   image->segment_count);
	segment->start = start;
	segment->end = start + bytes;
	segment->offset = header->p_offset;
	segment->bytes = header->p_filesz;
	segment->flags = (header->p_flags & PF_R ? IMAGE_READ : 0) |
			 (header->p_flags & PF_W ? IMAGE_WRITE : 0) |
			 (header->p_flags & PF_X ? IMAGE_EXEC : 0);
	*before_address = segment->end;
	*before_offset = segment->offset + segment->bytes;
	image->segment_count++;
	return 0;
}

/* The first and the last program header are notes, all between are segments. */
static int read_segments(struct image *image, const Elf64_Phdr *headers, size_t count,
			 char *message)
{
	const Elf64_Phdr *notes = &headers[0], *checksums = &headers[count - 1];
	uint64_t address = 0, head = sizeof(Elf64_Ehdr) + count * sizeof(*headers), offset;
	int err;

	if (count < 2 || notes->p_type != PT_NOTE || checksums->p_type != PT_NOTE)
		return image__fail(message, -ENOEXEC, image->path,
				   "not an image: a core file, but not written by libckpt or "
				   "tracer");
	if (notes->p_offset != head || notes->p_filesz > NOTES_BYTES_MAX ||
	    notes->p_filesz > image->file_bytes - head)
		return image__fail(message, -EBADMSG, image->path,
				   "its notes are not inside the file, which may have been cut "
				   "off");
	offset = page__round_up(head + notes->p_filesz);
	image->segments = image__alloc(image, count, sizeof(*image->segments));
	if (!image->segments)
		return image__fail(message, -ENOMEM, image->path, "%s", strerror(ENOMEM));
	for (size_t i = 1; i < count - 1; i++) {
		if (headers[i].p_type != PT_LOAD)
			return image__fail(message, -EBADMSG, image->path,
					   "program header %zu is of type %u", i,
					   headers[i].p_type);
		err = read_segment(image, &headers[i], &address, &offset, message);
		if (err)
			return err;
	}
	if (checksums->p_offset != offset || checksums->p_offset > image->file_bytes ||
	    checksums->p_filesz != image->file_bytes - checksums->p_offset ||
	    checksums->p_filesz > NOTES_BYTES_MAX)
		return image__fail(message, -EBADMSG, image->path,
				   "it ends too early or too late: it was cut off, or something "
				   "was added");
	return 0;
}

/* The note at the end: gives each segment its checksum, and *ret_header that of the head. */
static int read_checksums(struct image *image, const Elf64_Phdr *header, uint32_t *ret_header,
			  char *message)
{
	const size_t head = sizeof(Elf64_Nhdr) + 8; /* the name takes 7 bytes, and 1 of padding */
	size_t bytes =
		head + sizeof(struct image_checksums) + image->segment_count * sizeof(uint32_t);
	unsigned char *note = NULL;
	struct image_checksums sums;
	Elf64_Nhdr note_head;
	uint32_t self;
	int err = -EBADMSG;

	if (header->p_filesz != bytes)
		goto out;
	note = image__alloc(image, bytes, 1);
	err = note ? image__read_at(image->fd, note, bytes, header->p_offset) : -ENOMEM;
	if (err)
		goto out;
	memcpy(&note_head, note, sizeof(note_head));
	memcpy(&sums, note + head, sizeof(sums));
	self = sums.self;
	memset(note + head + offsetof(struct image_checksums, self), 0, sizeof(self));
	err = -EBADMSG;
	if (note_head.n_namesz != sizeof(IMAGE_NOTE_NAME) ||
	    memcmp(note + sizeof(note_head), IMAGE_NOTE_NAME "\0", 8) != 0 ||
	    note_head.n_type != IMAGE_NOTE_CHECKSUMS || note_head.n_descsz != bytes - head ||
	    sums.segments != image->segment_count || sums.reserved != 0 ||
	    self != crc32(0, note + head, (unsigned int)(bytes - head)))
		goto out;
	for (size_t i = 0; i < image->segment_count; i++)
		memcpy(&image->segments[i].crc, note + head + sizeof(sums) + i * sizeof(uint32_t),
		       sizeof(uint32_t));
	*ret_header = sums.header;
	err = 0;
out:
	(void)slab_heap__free(image->heap, note);
	if (err)
		return image__fail(message, err, image->path, "the checksums at its end: %s",
				   err == -EBADMSG ? "damaged, or not written by libckpt or tracer"
						   : strerror(-err));
	return 0;
}

/* Headers, notes and the zeros after them; the notes stay in image->notes. */
static int check_head(struct image *image, size_t head, size_t notes, uint32_t expected,
		      char *message)
{
	size_t bytes = page__round_up(head + notes);
	int err;

	image->notes = image__alloc(image, bytes, 1);
	image->notes_bytes = bytes;
	err = image->notes ? image__read_at(image->fd, image->notes, bytes, 0) : -ENOMEM;
	if (err)
		return image__fail(message, err, image->path, "cannot read its notes: %s",
				   err == -EBADMSG ? "the file is cut off" : strerror(-err));
	if (crc32(0, image->notes, (unsigned int)bytes) != expected)
		return image__fail(message, -EBADMSG, image->path,
				   "damaged: the checksum of its headers and notes is wrong");
	/* What the notes point to needs to be aligned, which the headers do: to 8 bytes. */
	return 0;
}

/* For image__locate, which must not search: there may be many segments without bytes. */
static int index_filled(struct image *image, char *message)
{
	size_t next = image->segment_count;

	image->filled = image__alloc(image, image->segment_count + 1, sizeof(*image->filled));
	if (!image->filled)
		return image__fail(message, -ENOMEM, image->path, "%s", strerror(ENOMEM));
	for (size_t i = image->segment_count; i-- > 0;) {
		if (image->segments[i].bytes)
			next = i;
		image->filled[i] = (uint32_t)next;
	}
	return 0;
}

static int read_headers(struct image *image, char *message)
{
	Elf64_Phdr *headers = NULL;
	uint32_t header_crc = 0;
	Elf64_Ehdr header;
	size_t count, bytes;
	int err;

	if (image->file_bytes < sizeof(header))
		return image__fail(message, -ENOEXEC, image->path,
				   "not an image: it has only %llu bytes",
				   (unsigned long long)image->file_bytes);
	err = image__read_at(image->fd, &header, sizeof(header), 0);
	if (err)
		return image__fail(message, err, image->path, "cannot read: %s", strerror(-err));
	err = image__check_elf_header(image, &header, message);
	if (err)
		return err;
	count = header.e_phnum;
	bytes = count * sizeof(*headers);
	if (bytes > image->file_bytes - sizeof(header))
		return image__fail(message, -EBADMSG, image->path, "it is cut off");
	headers = image__alloc(image, count + 1, sizeof(*headers));
	err = headers ? image__read_at(image->fd, headers, bytes, sizeof(header)) : -ENOMEM;
	if (err) {
		(void)image__fail(message, err, image->path, "cannot read: %s", strerror(-err));
		goto out;
	}
	err = read_segments(image, headers, count, message);
	if (!err)
		err = index_filled(image, message);
	if (!err)
		err = read_checksums(image, &headers[count - 1], &header_crc, message);
	if (!err)
		err = check_head(image, sizeof(header) + bytes, headers[0].p_filesz, header_crc,
				 message);
	if (!err)
		err = image__read_notes(image, sizeof(header) + bytes, headers[0].p_filesz,
					message);
out:
	(void)slab_heap__free(image->heap, headers);
	return err;
}

static int open_file(const char *path, struct image *image, char *message)
{
	unsigned char magic[2] = {0};
	char absolute[PATH_MAX];
	struct stat st;

	if (!realpath(path, absolute))
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	image->path = image__alloc(image, strlen(absolute) + 1, 1);
	if (!image->path)
		return image__fail(message, -ENOMEM, path, "%s", strerror(ENOMEM));
	memcpy(image->path, absolute, strlen(absolute));
	/* To open a device can do something; the open of a FIFO would wait for a writer. */
	if (stat(image->path, &st) < 0)
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return image__fail(message, -ENOEXEC, path, "not an image: it is no plain file");
	image->fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image->fd < 0 || fstat(image->fd, &st) < 0)
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return image__fail(message, -ENOEXEC, path, "not an image: it is no plain file");
	image->file_bytes = (uint64_t)st.st_size;
	if (st.st_size >= 2 && image__read_at(image->fd, magic, sizeof(magic), 0) == 0 &&
	    magic[0] == 0x1f && magic[1] == 0x8b)
		/* restart needs it twice: here, and where the process has it. */
		return image__unpack(image, procfs__available_memory() / 2, message);
	return 0;
}

/* An image without anything, in a heap of its own. */
static struct image *make_image(void)
{
	struct slab_heap *heap;
	struct image *image;

	if (slab_heap__create(NULL, 0, &heap))
		return NULL;
	image = slab_heap__alloc(heap, sizeof(*image));
	if (!image) {
		slab_heap__destroy(heap);
		return NULL;
	}
	*image = (struct image){.heap = heap, .fd = -1};
	return image;
}

int image__open(const char *path, struct image **ret, char *message)
{
	struct image *image = make_image();
	int err;

	if (!image) {
		(void)image__fail(message, -ENOMEM, path, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = open_file(path, image, message);
	if (!err)
		err = read_headers(image, message);
	if (err) {
		image__free(image);
		return err;
	}
	*ret = image;
	return 0;
}

void image__free(struct image *image)
{
	if (!image)
		return;
	if (image->fd >= 0)
		(void)close(image->fd);
	slab_heap__destroy(image->heap);
}

void *image__alloc(const struct image *image, size_t count, size_t size)
{
	void *memory = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(count, size, &bytes))
		memory = slab_heap__alloc(image->heap, bytes);
	return memory ? memset(memory, 0, bytes) : NULL;
}

const char *image__string(const struct image *image, uint32_t at)
{
	return at < image->string_bytes ? image->strings + at : "";
}
