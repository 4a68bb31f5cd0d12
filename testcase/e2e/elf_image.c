/* SPDX-License-Identifier: BSD-2-Clause
 *
 * elf_image IMAGE CORE: reads IMAGE as readckpt does, and CORE, the same image uncompressed, with
 * libelf, which knows nothing of images. Header, segments, memory and notes must be the same.
 * Images are written and read without libelf, so this is a second opinion.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "image/image.h"

enum { OWN_NOTES = IMAGE_NOTE_LAST - IMAGE_NOTE_INFO + 1, SEGMENT_BLOCK = 1 << 20 };

/* How often each note was seen. */
struct notes {
	size_t prstatus, fpregset, xstate, prpsinfo, auxv, file, other;
	size_t own[OWN_NOTES];
};

struct pair {
	struct image *image;
	Elf *core;
	struct notes notes;
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	va_list args;

	(void)fputs("elf_image: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	exit(1);
}

static void check_header(const struct pair *p)
{
	GElf_Ehdr header;
	size_t count;

	if (elf_kind(p->core) != ELF_K_ELF || !gelf_getehdr(p->core, &header))
		fail("libelf: %s", elf_errmsg(-1));
	if (gelf_getclass(p->core) != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_type != ET_CORE || header.e_machine != EM_X86_64)
		fail("it is no core file of x86-64");
	if (elf_getphdrnum(p->core, &count) || count != p->image->segment_count + 2)
		fail("it has not %zu segments and two program headers of notes",
		     p->image->segment_count);
}

static GElf_Phdr program_header(const struct pair *p, size_t i)
{
	GElf_Phdr header;

	if (!gelf_getphdr(p->core, (int)i, &header))
		fail("program header %zu: %s", i, elf_errmsg(-1));
	return header;
}

static Elf_Data *chunk(const struct pair *p, uint64_t offset, uint64_t bytes, Elf_Type type)
{
	Elf_Data *data = elf_getdata_rawchunk(p->core, (int64_t)offset, bytes, type);

	if (!data || data->d_size != bytes)
		fail("%" PRIu64 " bytes at %" PRIu64 ": %s", bytes, offset, elf_errmsg(-1));
	return data;
}

/* In blocks: a segment may be larger than the memory that is free. */
static void check_segment(const struct pair *p, size_t i)
{
	const struct image_segment *segment = &p->image->segments[i];
	GElf_Phdr header = program_header(p, i + 1);
	uint32_t flags = (segment->flags & IMAGE_READ ? PF_R : 0) |
			 (segment->flags & IMAGE_WRITE ? PF_W : 0) |
			 (segment->flags & IMAGE_EXEC ? PF_X : 0);
	struct image_sum sum = {0};

	if (header.p_type != PT_LOAD || header.p_vaddr != segment->start ||
	    header.p_memsz != segment->end - segment->start || header.p_filesz != segment->bytes ||
	    header.p_flags != flags || header.p_align != PAGE_BYTES ||
	    header.p_offset % PAGE_BYTES != 0)
		fail("segment %zu, at 0x%" PRIx64 ", is another", i, segment->start);
	for (uint64_t at = 0; at < segment->bytes; at += SEGMENT_BLOCK) {
		uint64_t left = segment->bytes - at;
		size_t bytes = left < SEGMENT_BLOCK ? (size_t)left : SEGMENT_BLOCK;
		const Elf_Data *data = chunk(p, header.p_offset + at, bytes, ELF_T_BYTE);

		image__sum(&sum, segment->start + at, data->d_buf, bytes);
	}
	if (sum.crc != segment->crc)
		fail("the memory of segment %zu, at 0x%" PRIx64 ", is other", i, segment->start);
}

static void check_registers(struct pair *p, const void *descriptor, size_t bytes)
{
	size_t i = p->notes.prstatus++;
	struct elf_prstatus status;

	if (i >= p->image->thread_count || bytes != sizeof(status))
		fail("NT_PRSTATUS number %zu is too many, or has %zu bytes", i, bytes);
	memcpy(&status, descriptor, sizeof(status));
	if (status.pr_pid != p->image->threads[i].tid ||
	    memcmp(&status.pr_reg, &p->image->registers[i].user, sizeof(status.pr_reg)) != 0)
		fail("NT_PRSTATUS number %zu is of another thread, or has other registers", i);
}

static void take_core_note(struct pair *p, uint32_t type, const void *descriptor, size_t bytes)
{
	struct notes *n = &p->notes;

	switch (type) {
	case NT_PRSTATUS:
		check_registers(p, descriptor, bytes);
		break;
	case NT_FPREGSET:
		n->fpregset++;
		break;
	case NT_PRPSINFO:
		n->prpsinfo++;
		break;
	case NT_AUXV:
		n->auxv +=
			bytes == p->image->auxv_bytes && !memcmp(descriptor, p->image->auxv, bytes);
		break;
	case NT_FILE:
		n->file++;
		break;
	default:
		n->other++;
	}
}

static void take_note(struct pair *p, const char *name, uint32_t type, const void *descriptor,
		      size_t bytes)
{
	struct notes *n = &p->notes;

	if (!strcmp(name, IMAGE_NOTE_NAME) && type - IMAGE_NOTE_INFO < OWN_NOTES)
		n->own[type - IMAGE_NOTE_INFO]++;
	else if (!strcmp(name, "LINUX") && type == NT_X86_XSTATE)
		n->xstate++;
	else if (!strcmp(name, "CORE"))
		take_core_note(p, type, descriptor, bytes);
	else
		n->other++;
}

static void read_notes(struct pair *p, size_t i)
{
	GElf_Phdr header = program_header(p, i);
	size_t at = 0, name, descriptor;
	GElf_Nhdr note;
	Elf_Data *data;

	if (header.p_type != PT_NOTE)
		fail("program header %zu is not of notes", i);
	data = chunk(p, header.p_offset, header.p_filesz, ELF_T_NHDR);
	while (at < header.p_filesz) {
		const char *bytes = data->d_buf;

		at = gelf_getnote(data, at, &note, &name, &descriptor);
		if (!at)
			fail("libelf finds no note where one must be");
		take_note(p, note.n_namesz ? bytes + name : "", note.n_type, bytes + descriptor,
			  note.n_descsz);
	}
}

static void check_notes(struct pair *p)
{
	const struct notes *n = &p->notes;
	size_t with_xstate = 0;

	read_notes(p, 0);
	read_notes(p, p->image->segment_count + 1);
	for (size_t i = 0; i < p->image->thread_count; i++)
		with_xstate += p->image->registers[i].xstate_bytes != 0;
	if (n->prstatus != p->image->thread_count || n->fpregset != with_xstate ||
	    n->xstate != with_xstate)
		fail("%zu threads, but %zu NT_PRSTATUS, %zu NT_FPREGSET, %zu NT_X86_XSTATE",
		     p->image->thread_count, n->prstatus, n->fpregset, n->xstate);
	if (n->prpsinfo != 1 || n->auxv != 1 || n->file != 1 || n->other != 0)
		fail("%zu NT_PRPSINFO, %zu NT_AUXV, %zu NT_FILE, %zu of an unknown kind",
		     n->prpsinfo, n->auxv, n->file, n->other);
	for (size_t i = 0; i < OWN_NOTES; i++)
		if (n->own[i] != 1)
			fail("note %zu of ours is there %zu times", i + 1, n->own[i]);
}

int main(int argc, char **argv)
{
	char message[IMAGE_MESSAGE_BYTES];
	struct pair p = {.image = NULL};
	int fd;

	if (argc != 3) {
		(void)fputs("usage: elf_image IMAGE CORE\n", stderr);
		return 2;
	}
	if (image__open(argv[1], &p.image, message))
		fail("%s", message);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", argv[2], strerror(errno));
	if (elf_version(EV_CURRENT) == EV_NONE)
		fail("libelf: %s", elf_errmsg(-1));
	p.core = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!p.core)
		fail("libelf: %s", elf_errmsg(-1));
	check_header(&p);
	for (size_t i = 0; i < p.image->segment_count; i++)
		check_segment(&p, i);
	check_notes(&p);
	(void)elf_end(p.core);
	(void)close(fd);
	image__free(p.image);
	return 0;
}
