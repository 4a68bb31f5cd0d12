/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_elf.h. libelf makes the ELF header and the program headers. It has no function for
 * notes, and for segments it would need the whole memory of the image at once.
 */
#include "image/image_elf.h"

#include <errno.h>
#include <libelf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/image_write.h"

enum { BLOCK_BYTES = 1 << 12 };

/* Writes the headers to the file of elf. If libelf fails without an errno, there was no memory. */
static int fill(Elf *elf, const struct image_writer *w)
{
	const size_t count = image_writer__count_headers(w);
	Elf64_Ehdr *header = elf64_newehdr(elf);
	Elf64_Phdr *headers = header ? elf64_newphdr(elf, count) : NULL;

	if (!headers)
		return -ENOMEM;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_CORE;
	header->e_machine = EM_X86_64;
	header->e_version = EV_CURRENT;
	header->e_phoff = sizeof(*header);
	for (size_t i = 0; i < count; i++)
		headers[i] = image_writer__program_header(w, i);
	(void)elf_flagelf(elf, ELF_C_SET, ELF_F_LAYOUT); /* the offsets are ours */
	errno = 0;
	if (elf_update(elf, ELF_C_WRITE) != (int64_t)w->head_bytes)
		return errno ? -errno : -ENOMEM;
	return 0;
}

static int copy(struct image_writer *w, int fd)
{
	unsigned char block[BLOCK_BYTES];
	size_t at = 0;
	int err = 0;

	while (at < w->head_bytes && !err) {
		ssize_t n = pread(fd, block, sizeof(block), (off_t)at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		err = image_writer__add(w, block, (size_t)n);
		at += (size_t)n;
	}
	return err;
}

static int add_headers(struct image_writer *w)
{
	int fd = memfd_create("headers", MFD_CLOEXEC);
	Elf *elf;
	int err;

	if (fd < 0)
		return -errno;
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	err = elf ? fill(elf, w) : -ENOMEM;
	(void)elf_end(elf);
	if (!err)
		err = copy(w, fd);
	(void)close(fd);
	return err;
}

int image_elf__begin(struct image_writer *w, struct image *image)
{
	return image_writer__begin_with(w, image, add_headers);
}
