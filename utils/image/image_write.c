/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing an image, see image.h. The file is written from its beginning to its end, so that it can
 * go through zlib. The headers must say how long the notes are, so the functions that write the
 * notes run twice: first they only count. image_elf.c has libelf make the headers, where malloc is
 * allowed.
 * Source: elf(5); fs/binfmt_elf.c for the notes of a core file.
 */
#include "image/image_write.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/procfs.h>
#include <zlib.h>

#include "image/image_reason.h"

int image_writer__open(struct image_writer *w, const char *path)
{
	memset(w, 0, offsetof(struct image_writer, output));
	return image_output__open(&w->output, path, &w->failure);
}

/* ---- headers and notes, through w->out ---- */

static void flush_out(struct image_writer *w)
{
	if (w->err)
		return;
	w->header_crc = (uint32_t)crc32(w->header_crc, w->out, (unsigned int)w->out_bytes);
	w->err = image_output__put(&w->output, w->out, w->out_bytes);
	w->out_bytes = 0;
}

/* Adds bytes, or only counts them. NULL is zeros. Does nothing after an error. */
static void add(struct image_writer *w, const void *bytes, size_t count)
{
	const unsigned char *from = bytes;

	w->counted += count;
	while (!w->counting && count > 0 && !w->err) {
		size_t room = sizeof(w->out) - w->out_bytes;
		size_t part = count < room ? count : room;

		if (from) {
			memcpy(w->out + w->out_bytes, from, part);
			from += part;
		} else {
			memset(w->out + w->out_bytes, 0, part);
		}
		w->out_bytes += part;
		count -= part;
		if (w->out_bytes == sizeof(w->out))
			flush_out(w);
	}
}

int image_writer__add(struct image_writer *w, const void *bytes, size_t count)
{
	add(w, bytes, count);
	return w->err;
}

static size_t padding_of(uint64_t bytes, uint64_t unit)
{
	return (size_t)((unit - bytes % unit) % unit);
}

/* The descriptor follows, and zeros up to a multiple of 4. */
static void add_note_head(struct image_writer *w, const char *name, uint32_t type, size_t bytes)
{
	size_t length = strlen(name) + 1;
	Elf64_Nhdr head = {(uint32_t)length, (uint32_t)bytes, type};

	add(w, &head, sizeof(head));
	add(w, name, length);
	add(w, NULL, padding_of(length, 4));
}

static void add_note(struct image_writer *w, const char *name, uint32_t type, const void *bytes,
		     size_t count)
{
	add_note_head(w, name, type, count);
	add(w, bytes, count);
	add(w, NULL, padding_of(count, 4));
}

static void add_thread_notes(struct image_writer *w, size_t i)
{
	const struct image_thread *thread = &w->image->threads[i];
	const struct image_registers *registers = &w->image->registers[i];
	const struct image_process *process = &w->image->process;
	struct elf_prstatus status;

	memset(&status, 0, sizeof(status));
	status.pr_pid = thread->tid;
	status.pr_ppid = process->ppid;
	status.pr_pgrp = process->pgrp;
	status.pr_sid = process->sid;
	status.pr_sighold = thread->signal_mask;
	status.pr_fpvalid = registers->xstate != NULL;
	_Static_assert(sizeof(status.pr_reg) == sizeof(registers->user), "the same registers");
	memcpy(&status.pr_reg, &registers->user, sizeof(status.pr_reg));
	add_note(w, "CORE", NT_PRSTATUS, &status, sizeof(status));
	if (!registers->xstate)
		return;
	add_note(w, "CORE", NT_FPREGSET, registers->xstate, sizeof(struct user_fpregs_struct));
	add_note(w, "LINUX", NT_X86_XSTATE, registers->xstate, registers->xstate_bytes);
}

static void add_process_note(struct image_writer *w)
{
	const struct image_process *process = &w->image->process;
	struct elf_prpsinfo info;

	memset(&info, 0, sizeof(info));
	info.pr_sname = 'R';
	info.pr_uid = process->uid;
	info.pr_gid = process->gid;
	info.pr_pid = process->pid;
	info.pr_ppid = process->ppid;
	info.pr_pgrp = process->pgrp;
	info.pr_sid = process->sid;
	_Static_assert(sizeof(info.pr_fname) == sizeof(process->name), "as long");
	_Static_assert(sizeof(info.pr_psargs) == sizeof(process->arguments), "as long");
	memcpy(info.pr_fname, process->name, sizeof(info.pr_fname));
	memcpy(info.pr_psargs, process->arguments, sizeof(info.pr_psargs));
	add_note(w, "CORE", NT_PRPSINFO, &info, sizeof(info));
}

static bool is_in_file_note(const struct image_mapping *mapping)
{
	return (mapping->flags & IMAGE_FILE) != 0;
}

/* NT_FILE: how many, the unit of offsets, three numbers for each, then the names. */
static void add_file_note(struct image_writer *w)
{
	const struct image *image = w->image;
	uint64_t head[2] = {0, PAGE_BYTES};
	size_t names = 0, bytes;

	for (size_t i = 0; i < image->mapping_count; i++) {
		if (!is_in_file_note(&image->mappings[i]))
			continue;
		head[0]++;
		names += strlen(image->strings + image->mappings[i].path) + 1;
	}
	bytes = sizeof(head) + head[0] * 3 * sizeof(uint64_t) + names;
	add_note_head(w, "CORE", NT_FILE, bytes);
	add(w, head, sizeof(head));
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];
		uint64_t item[3] = {m->start, m->end, m->offset / PAGE_BYTES};

		if (is_in_file_note(m))
			add(w, item, sizeof(item));
	}
	for (size_t i = 0; i < image->mapping_count; i++) {
		const char *path = image->strings + image->mappings[i].path;

		if (is_in_file_note(&image->mappings[i]))
			add(w, path, strlen(path) + 1);
	}
	add(w, NULL, padding_of(bytes, 4));
}

static void add_own_notes(struct image_writer *w)
{
	const struct image *image = w->image;
	const struct {
		uint32_t type;
		const void *bytes;
		size_t count;
	} notes[] = {
		{IMAGE_NOTE_INFO, &image->info, sizeof(image->info)},
		{IMAGE_NOTE_PROCESS, &image->process, sizeof(image->process)},
		{IMAGE_NOTE_SIGNALS, image->signals, sizeof(image->signals)},
		{IMAGE_NOTE_MAPPINGS, image->mappings,
		 image->mapping_count * sizeof(*image->mappings)},
		{IMAGE_NOTE_THREADS, image->threads, image->thread_count * sizeof(*image->threads)},
		{IMAGE_NOTE_FILES, image->files, image->file_count * sizeof(*image->files)},
		{IMAGE_NOTE_UNCHANGED, image->unchanged,
		 image->unchanged_count * sizeof(*image->unchanged)},
		{IMAGE_NOTE_MISSING, image->missing,
		 image->missing_count * sizeof(*image->missing)},
		{IMAGE_NOTE_STRINGS, image->strings, image->string_bytes},
		{IMAGE_NOTE_ATTRIBUTES, &image->attributes, sizeof(image->attributes)},
		{IMAGE_NOTE_GROUPS, image->groups, image->group_count * sizeof(*image->groups)},
		{IMAGE_NOTE_PLACE, &image->place, sizeof(image->place)},
		{IMAGE_NOTE_SIZES, image->sizes,
		 image->sizes ? image->file_count * sizeof(*image->sizes) : 0},
		{IMAGE_NOTE_ADVICE, image->advice,
		 image->advice ? image->mapping_count * sizeof(*image->advice) : 0},
		{IMAGE_NOTE_SCHEDULING, image->scheduling,
		 image->scheduling ? image->thread_count * sizeof(*image->scheduling) : 0},
		{IMAGE_NOTE_BIRTHS, image->births,
		 image->births ? image->file_count * sizeof(*image->births) : 0},
		{IMAGE_NOTE_SURROUNDINGS, &image->surroundings, sizeof(image->surroundings)},
		{IMAGE_NOTE_OBJECTS, image->objects, image->object_count * sizeof(*image->objects)},
		{IMAGE_NOTE_WATCHES, image->watches, image->watch_count * sizeof(*image->watches)},
		{IMAGE_NOTE_CONTENTS, image->contents, image->contents_bytes},
		{IMAGE_NOTE_SETTINGS, image->settings,
		 image->setting_count * sizeof(*image->settings)},
		{IMAGE_NOTE_POLICIES, image->policies,
		 image->policy_count * sizeof(*image->policies)},
		{IMAGE_NOTE_RIGHTS, &image->rights, sizeof(image->rights)},
	};

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		add_note(w, IMAGE_NOTE_NAME, notes[i].type, notes[i].bytes, notes[i].count);
}

/* In the kernel's order: the first thread, the process, the other threads. */
static void add_notes(struct image_writer *w)
{
	const struct image *image = w->image;

	if (image->thread_count > 0)
		add_thread_notes(w, 0);
	add_process_note(w);
	add_note(w, "CORE", NT_AUXV, image->auxv, image->auxv_bytes);
	add_file_note(w);
	for (size_t i = 1; i < image->thread_count; i++)
		add_thread_notes(w, i);
	add_own_notes(w);
}

/* The length of the note at the end. */
static size_t checksum_note_bytes(const struct image *image)
{
	return sizeof(Elf64_Nhdr) + sizeof(IMAGE_NOTE_NAME) +
	       padding_of(sizeof(IMAGE_NOTE_NAME), 4) + sizeof(struct image_checksums) +
	       image->segment_count * sizeof(uint32_t);
}

/* Gives each segment its place; returns the offset behind the last. */
static uint64_t place_segments(struct image *image, uint64_t offset)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		image->segments[i].offset = offset;
		image->segments[i].crc = 0;
		offset += image->segments[i].bytes;
	}
	return offset;
}

size_t image_writer__count_headers(const struct image_writer *w)
{
	return w->image->segment_count + 2;
}

Elf64_Phdr image_writer__program_header(const struct image_writer *w, size_t i)
{
	const struct image *image = w->image;
	const struct image_segment *segment;

	if (i == 0)
		return (Elf64_Phdr){.p_type = PT_NOTE,
				    .p_offset = w->head_bytes,
				    .p_filesz = w->notes_bytes,
				    .p_align = 4};
	if (i > image->segment_count)
		return (Elf64_Phdr){.p_type = PT_NOTE,
				    .p_offset = w->end,
				    .p_filesz = checksum_note_bytes(image),
				    .p_align = 4};
	segment = &image->segments[i - 1];
	return (Elf64_Phdr){.p_type = PT_LOAD,
			    .p_offset = segment->offset,
			    .p_filesz = segment->bytes,
			    .p_vaddr = segment->start,
			    .p_memsz = segment->end - segment->start,
			    .p_align = PAGE_BYTES,
			    .p_flags = (segment->flags & IMAGE_READ ? PF_R : 0) |
				       (segment->flags & IMAGE_WRITE ? PF_W : 0) |
				       (segment->flags & IMAGE_EXEC ? PF_X : 0)};
}

/* The same bytes as libelf makes, without malloc. */
static int add_headers(struct image_writer *w)
{
	const size_t count = image_writer__count_headers(w);
	const Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT,
			    ELFOSABI_NONE},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)count,
	};

	add(w, &header, sizeof(header));
	for (size_t i = 0; i < count; i++) {
		Elf64_Phdr program_header = image_writer__program_header(w, i);

		add(w, &program_header, sizeof(program_header));
	}
	return w->err;
}

int image_writer__begin_with(struct image_writer *w, struct image *image,
			     int (*headers)(struct image_writer *writer))
{
	uint64_t data;

	w->failure.step = "cannot write";
	if (image->segment_count > IMAGE_SEGMENTS_MAX)
		return -IMAGE_MANY_SEGMENTS;
	w->image = image;
	w->counting = true;
	w->counted = 0;
	add_notes(w);
	w->counting = false;
	w->notes_bytes = w->counted;
	w->head_bytes = sizeof(Elf64_Ehdr) + image_writer__count_headers(w) * sizeof(Elf64_Phdr);
	data = w->head_bytes + w->notes_bytes;
	w->end = place_segments(image, data + padding_of(data, PAGE_BYTES));
	w->err = headers(w);
	add_notes(w);
	add(w, NULL, padding_of(data, PAGE_BYTES));
	flush_out(w);
	return w->err;
}

int image_writer__begin(struct image_writer *w, struct image *image)
{
	return image_writer__begin_with(w, image, add_headers);
}

/* ---- memory ---- */

/* The segment of the next bytes, or NULL if it has fewer. */
static struct image_segment *next_segment(struct image_writer *w, uint64_t bytes)
{
	struct image *image = w->image;

	while (w->segment < image->segment_count) {
		struct image_segment *segment = &image->segments[w->segment];

		if (w->address < segment->start)
			w->address = segment->start;
		if (w->address < segment->start + segment->bytes)
			return segment->start + segment->bytes - w->address < bytes ? NULL
										    : segment;
		w->segment++;
	}
	return NULL;
}

int image_writer__zeros(struct image_writer *w, uint64_t bytes)
{
	if (!next_segment(w, bytes))
		return -EPROTO;
	w->address += bytes;
	return image_output__zeros(&w->output, bytes);
}

int image_writer__pages(struct image_writer *w, const void *pages, size_t bytes)
{
	struct image_segment *segment = next_segment(w, bytes);
	const unsigned char *page = pages;
	size_t at = 0;
	int err = 0;

	if (!segment)
		return -EPROTO;
	/* In turns: pages of zeros, and pages that are not, which are written together. */
	while (at < bytes && !err) {
		size_t from = at;

		while (at < bytes && image__is_zero(page + at, PAGE_BYTES))
			at += PAGE_BYTES;
		if (at > from)
			err = image_output__zeros(&w->output, at - from);
		from = at;
		while (at < bytes && !image__is_zero(page + at, PAGE_BYTES)) {
			segment->crc = image__crc_page(segment->crc, w->address + at, page + at);
			at += PAGE_BYTES;
		}
		if (at > from && !err)
			err = image_output__put(&w->output, page + from, at - from);
	}
	w->address += bytes;
	return err;
}

/* ---- the end ---- */

static int finish_segments(struct image_writer *w)
{
	return next_segment(w, 0) ? -EPROTO : 0;
}

static int add_checksums(struct image_writer *w)
{
	struct image *image = w->image;
	struct image_checksums head = {.header = w->header_crc,
				       .segments = (uint32_t)image->segment_count};
	size_t bytes = sizeof(head) + image->segment_count * sizeof(uint32_t);
	uint32_t self = (uint32_t)crc32(0, (const unsigned char *)&head, sizeof(head));

	for (size_t i = 0; i < image->segment_count; i++)
		self = (uint32_t)crc32(self, (const unsigned char *)&image->segments[i].crc,
				       sizeof(uint32_t));
	head.self = self;
	add_note_head(w, IMAGE_NOTE_NAME, IMAGE_NOTE_CHECKSUMS, bytes);
	add(w, &head, sizeof(head));
	for (size_t i = 0; i < image->segment_count; i++)
		add(w, &image->segments[i].crc, sizeof(uint32_t));
	flush_out(w);
	return w->err;
}

int image_writer__commit(struct image_writer *w)
{
	int err = finish_segments(w);

	if (!err)
		err = add_checksums(w);
	if (err) {
		image_writer__abort(w);
		return err;
	}
	return image_output__commit(&w->output);
}

void image_writer__abort(struct image_writer *w)
{
	image_output__abort(&w->output);
}
