/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_headers.h. An enemy may have made the file: each number of it is compared with a limit
 * before it is used, and two numbers are never added if the sum could overflow.
 */
#include "image/image_headers.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "image/image_internal.h"
#include "image/image_reason.h"
#include "slab/slab_heap.h"

enum {
	NOTES_BYTES_MAX = 256 << 20, /* all notes together */
	USER_ADDRESS_BITS = 47,
};

static const uint64_t user_end = 1ULL << USER_ADDRESS_BITS;

int image_headers__check_elf(const struct image *image, const Elf64_Ehdr *header, char *message)
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

/* Adds a segment. *address, *file_offset: where the last one ends in memory and in the file. */
static int read_segment(struct image *image, const Elf64_Phdr *header, uint64_t *address,
			uint64_t *file_offset, char *message)
{
	struct image_segment *segment = &image->segments[image->segment_count];
	const uint64_t last_page = page__start(UINT64_MAX);
	uint64_t start = header->p_vaddr, bytes = header->p_memsz;

	if (start % PAGE_BYTES || bytes % PAGE_BYTES || bytes == 0 || start < *address ||
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
	if (header->p_offset % PAGE_BYTES || header->p_offset < *file_offset ||
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
	*address = segment->end;
	*file_offset = segment->offset + segment->bytes;
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
	static const char damaged[] = "the checksums at its end: damaged, or not written by "
				      "libckpt or tracer";
	const size_t head = sizeof(Elf64_Nhdr) + 8; /* the name takes 7 bytes, and 1 of padding */
	size_t bytes =
		head + sizeof(struct image_checksums) + image->segment_count * sizeof(uint32_t);
	unsigned char *note;
	struct image_checksums sums;
	Elf64_Nhdr note_head;
	uint32_t self;
	int err;

	if (header->p_filesz != bytes)
		return image__fail(message, -EBADMSG, image->path, "%s", damaged);
	note = image__alloc(image, bytes, 1);
	err = note ? image__read_at(image->fd, note, bytes, header->p_offset) : -ENOMEM;
	if (err) {
		(void)image__fail(message, err, image->path, "cannot read the checksums: %s",
				  image_reason__text(err));
		goto out;
	}
	memcpy(&note_head, note, sizeof(note_head));
	memcpy(&sums, note + head, sizeof(sums));
	self = sums.self;
	memset(note + head + offsetof(struct image_checksums, self), 0, sizeof(self));
	if (note_head.n_namesz != sizeof(IMAGE_NOTE_NAME) ||
	    memcmp(note + sizeof(note_head), IMAGE_NOTE_NAME "\0", 8) != 0 ||
	    note_head.n_type != IMAGE_NOTE_CHECKSUMS || note_head.n_descsz != bytes - head ||
	    sums.segments != image->segment_count || sums.reserved != 0 ||
	    self != crc32(0, note + head, (unsigned int)(bytes - head))) {
		err = image__fail(message, -EBADMSG, image->path, "%s", damaged);
		goto out;
	}
	for (size_t i = 0; i < image->segment_count; i++)
		memcpy(&image->segments[i].crc, note + head + sizeof(sums) + i * sizeof(uint32_t),
		       sizeof(uint32_t));
	*ret_header = sums.header;
out:
	(void)slab_heap__free(image->heap, note);
	return err;
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
				   image_reason__text(err));
	if (crc32(0, image->notes, (unsigned int)bytes) != expected)
		return image__fail(message, -EBADMSG, image->path,
				   "damaged: the checksum of its headers and notes is wrong");
	return 0;
}

/* For image__locate, which would search too long: there may be many segments without bytes. */
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

int image_headers__read(struct image *image, size_t *ret_offset, size_t *ret_bytes, char *message)
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
		return image__fail(message, err, image->path, "cannot read: %s",
				   image_reason__text(err));
	err = image_headers__check_elf(image, &header, message);
	if (err)
		return err;
	count = header.e_phnum;
	bytes = count * sizeof(*headers);
	if (bytes > image->file_bytes - sizeof(header))
		return image__fail(message, -EBADMSG, image->path, "it is cut off");
	headers = image__alloc(image, count + 1, sizeof(*headers));
	err = headers ? image__read_at(image->fd, headers, bytes, sizeof(header)) : -ENOMEM;
	if (err) {
		(void)image__fail(message, err, image->path, "cannot read: %s",
				  image_reason__text(err));
		goto out;
	}
	err = read_segments(image, headers, count, message);
	if (err)
		goto out;
	err = index_filled(image, message);
	if (err)
		goto out;
	err = read_checksums(image, &headers[count - 1], &header_crc, message);
	if (err)
		goto out;
	err = check_head(image, sizeof(header) + bytes, headers[0].p_filesz, header_crc, message);
	if (err)
		goto out;
	*ret_offset = sizeof(header) + bytes;
	*ret_bytes = headers[0].p_filesz;
out:
	(void)slab_heap__free(image->heap, headers);
	return err;
}
