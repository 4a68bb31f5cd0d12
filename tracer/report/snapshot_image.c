/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See snapshot_image.h. At each checkpoint the description of the process is kept. With the pages
 * of the snapshot (snapshot_pages.h) it becomes the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "image/image.h"
#include "image/image_draft.h"
#include "image/image_elf.h"
#include "image/image_segmenter.h"
#include "report/snapshot_image.h"
#include "report/snapshot_pages.h"

enum { AUXV_BYTES = 1024 };

struct snapshot_image {
	struct mappings mappings; /* of the process */
	struct intervals ranges;  /* tracked at the checkpoint, in whole pages */
	struct page_head *heads;  /* in address order */
	size_t head_count;
	struct image_process process;
	char program[PATH_MAX], folder[PATH_MAX];
	_Alignas(8) uint8_t auxv[AUXV_BYTES];
	size_t auxv_bytes;
	uint64_t time_ns;
};

int snapshot_image__create(struct snapshot_image **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void forget(struct snapshot_image *s)
{
	procfs__free_mappings(&s->mappings);
	intervals__clear(&s->ranges);
	free(s->heads);
	memset(s, 0, sizeof(*s));
}

void snapshot_image__free(struct snapshot_image *s)
{
	if (!s)
		return;
	forget(s);
	free(s);
}

/* ---- at the checkpoint ---- */

static int remember_head(struct snapshot_image *s, uint64_t start, struct memory *memory)
{
	struct page_head *larger = realloc(s->heads, (s->head_count + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	s->heads = larger;
	larger += s->head_count++;
	memset(larger, 0, sizeof(*larger));
	larger->address = page__start(start);
	return memory__read(memory, larger->address, larger->bytes, start - larger->address);
}

static int remember_ranges(struct snapshot_image *s, const struct target *target,
			   const struct snapshot *snapshot)
{
	struct intervals ranges = {0};
	int err = snapshot__ranges(snapshot, true, &ranges);

	if (err)
		goto out;
	for (size_t i = 0; i < ranges.count; i++) {
		uint64_t start = ranges.items[i].start, end = ranges.items[i].end;

		err = intervals__add(&s->ranges, page__start(start), page__round_up(end));
		if (err)
			goto out;
		if (start % PAGE_BYTES)
			err = remember_head(s, start, target->memory);
		if (err)
			goto out;
	}
out:
	intervals__clear(&ranges);
	return err;
}

/* Reads a small file of /proc/PID; 0 bytes if it cannot be read. */
static size_t read_small(pid_t pid, const char *name, void *bytes, size_t count)
{
	ssize_t n = procfs__read(pid, name, bytes, count);

	return n < 0 ? 0 : (size_t)n;
}

/* ret_path: PATH_MAX bytes; "" if the link cannot be read. */
static void read_link(pid_t pid, const char *name, char *ret_path)
{
	if (procfs__readlink(pid, name, ret_path, PATH_MAX) < 0)
		ret_path[0] = '\0';
}

/* Unknown fields stay empty, for the memory is what counts. */
static void remember_process(struct snapshot_image *s, const struct target *target)
{
	struct image_process *process = &s->process;
	struct stat st;
	uint64_t number;
	size_t count;

	process->pid = target->pid;
	process->monotonic_ns = clock__read_ns(CLOCK_MONOTONIC);
	process->boottime_ns = clock__read_ns(CLOCK_BOOTTIME);
	if (!procfs__status_u64(target->pid, "PPid", &number))
		process->ppid = (int32_t)number;
	if (!procfs__status_u64(target->pid, "Umask", &number)) /* octal, read as decimal */
		process->umask = (uint32_t)(number / 100 * 64 + number / 10 % 10 * 8 + number % 10);
	if (!procfs__stat(target->pid, ".", &st)) {
		process->uid = st.st_uid;
		process->gid = st.st_gid;
	}
	memcpy(process->name, target->comm, sizeof(process->name) - 1);
	count = read_small(target->pid, "cmdline", process->arguments,
			   sizeof(process->arguments) - 1);
	for (size_t i = 0; i + 1 < count; i++)
		if (!process->arguments[i])
			process->arguments[i] = ' ';
	read_link(target->pid, "exe", s->program);
	read_link(target->pid, "cwd", s->folder);
	s->auxv_bytes = read_small(target->pid, "auxv", s->auxv, sizeof(s->auxv));
	for (size_t i = 0; i < s->mappings.count; i++)
		if (!strcmp(s->mappings.items[i].path, "[heap]")) {
			if (!process->start_brk)
				process->start_brk = s->mappings.items[i].start;
			process->brk = s->mappings.items[i].end;
		}
}

int snapshot_image__remember(struct snapshot_image *s, const struct target *target,
			     const struct snapshot *snapshot)
{
	int err;

	forget(s);
	err = procfs__mappings(target->pid, &s->mappings);
	if (err)
		return err;
	err = remember_ranges(s, target, snapshot);
	if (err) {
		forget(s);
		return err;
	}
	remember_process(s, target);
	s->time_ns = clock__read_ns(CLOCK_REALTIME);
	return 0;
}

/* ---- the image ---- */

struct making {
	struct image_draft draft;
	struct snapshot *snapshot;
	struct snapshot_pages pages;
};

/* What was tracked at the checkpoint and has not been unmapped since. */
static int find_ranges(const struct snapshot_image *s, const struct snapshot *snapshot,
		       struct intervals *ret)
{
	struct intervals ranges = {0}, now = {0};
	int err = snapshot__ranges(snapshot, true, &ranges);

	for (size_t i = 0; i < ranges.count && !err; i++)
		err = intervals__add(&now, page__start(ranges.items[i].start),
				     page__round_up(ranges.items[i].end));
	if (err)
		goto out;
	err = intervals__intersect(&s->ranges, &now, ret);
out:
	intervals__clear(&ranges);
	intervals__clear(&now);
	return err;
}

static int make_mappings(struct making *m, const struct snapshot_image *s,
			 const struct intervals *ranges)
{
	size_t at = 0;

	for (size_t i = 0; i < s->mappings.count && !m->draft.err; i++) {
		const struct mapping *from = &s->mappings.items[i];

		while (at < ranges->count && ranges->items[at].end <= from->start)
			at++;
		for (size_t j = at; j < ranges->count && !m->draft.err; j++) {
			uint64_t start = ranges->items[j].start, end = ranges->items[j].end;

			if (start >= from->end)
				break;
			image_draft__mapping(&m->draft, from,
					     start > from->start ? start : from->start,
					     end < from->end ? end : from->end);
		}
	}
	return m->draft.err;
}

static int cut_segments(struct making *m)
{
	struct image *image = &m->draft.image;
	const struct page *page = m->pages.items, *end = page + m->pages.count;
	struct image_segmenter segmenter;
	int err = image_draft__segments(&m->draft);

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		const struct image_mapping *mapping = &image->mappings[i];

		image_segmenter__begin(&segmenter, image, mapping);
		for (; page < end && page->address < mapping->end; page++) {
			if (page->address < mapping->start)
				continue;
			if (page->kind == PAGE_LOST)
				image_draft__missing(&m->draft, mapping, page->address,
						     page->address + PAGE_BYTES);
			else
				image_segmenter__add(&segmenter, page->address,
						     page->address + PAGE_BYTES);
		}
		err = image_segmenter__end(&segmenter);
	}
	return err ? err : m->draft.err;
}

static int describe(struct making *m, const struct snapshot_image *s)
{
	struct image *image = &m->draft.image;
	int err = image_draft__info(&m->draft, "tracer " TRACER_VERSION);

	image->info.missing |= IMAGE_MISSING_MAPPINGS;
	image->info.time_ns = s->time_ns;
	image->info.flags = IMAGE_NO_REGISTERS;
	image->process = s->process;
	image->process.exe = image_draft__string(&m->draft, s->program);
	image->process.cwd = image_draft__string(&m->draft, s->folder);
	image->auxv = s->auxv;
	image->auxv_bytes = s->auxv_bytes;
	return err ? err : m->draft.err;
}

/* ---- writing ---- */

static int write_page(struct image_writer *writer, struct snapshot *snapshot,
		      const struct page *page)
{
	const uint8_t *bytes = page->owned;
	int err = 0;

	if (page->kind == PAGE_LOST)
		return image_writer__zeros(writer, PAGE_BYTES);
	if (page->kind == PAGE_KEPT) {
		writer->failure.step = "cannot read the snapshot for";
		err = snapshot__read_page(snapshot, page->address, &bytes);
	}
	return err ? err : image_writer__pages(writer, bytes, PAGE_BYTES);
}

static int write_segment(struct making *m, struct image_writer *writer,
			 const struct image_segment *segment, size_t *at)
{
	const struct snapshot_pages *pages = &m->pages;
	uint64_t address = segment->start;
	int err = 0;

	while (address < segment->end && !err) {
		const struct page *page = *at < pages->count ? &pages->items[*at] : NULL;
		uint64_t next = page && page->address < segment->end ? page->address : segment->end;

		if (page && page->address < address) {
			++*at; /* in no mapping of the checkpoint */
		} else if (next > address) {
			err = image_writer__zeros(writer, next - address);
			address = next;
		} else {
			err = write_page(writer, m->snapshot, page);
			address += PAGE_BYTES;
			++*at;
		}
	}
	return err;
}

static int write_image(struct making *m, struct image_writer *writer, const char *path)
{
	size_t at = 0;
	int err = image_writer__open(writer, path);

	if (err)
		goto out;
	err = image_elf__begin(writer, &m->draft.image);
	for (size_t i = 0; i < m->draft.image.segment_count && !err; i++)
		if (m->draft.image.segments[i].bytes)
			err = write_segment(m, writer, &m->draft.image.segments[i], &at);
	if (err)
		goto out;
	err = image_writer__commit(writer);
out:
	image_writer__abort(writer);
	return err;
}

int snapshot_image__write(struct snapshot_image *s, const char *path, struct snapshot *snapshot,
			  const struct state *state, struct image_failure *ret_failure)
{
	struct image_writer *writer = NULL;
	struct intervals ranges = {0};
	struct making m = {.snapshot = snapshot};
	int err;

	*ret_failure = (struct image_failure){.step = "cannot save"};
	if (!state->valid || !s->mappings.count) {
		ret_failure->reason = "there is no snapshot; the program has not asked for a "
				      "checkpoint, or the last one has failed";
		return -ENODATA;
	}
	err = snapshot_pages__collect(&m.pages, snapshot, s->heads, s->head_count);
	if (err)
		goto out;
	err = describe(&m, s);
	if (err)
		goto out;
	err = find_ranges(s, snapshot, &ranges);
	if (err)
		goto out;
	err = make_mappings(&m, s, &ranges);
	if (err)
		goto out;
	err = cut_segments(&m);
	if (err)
		goto out;
	err = -ENOMEM;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		goto out;
	err = write_image(&m, writer, path);
	*ret_failure = writer->failure;
out:
	free(writer);
	intervals__clear(&ranges);
	snapshot_pages__free(&m.pages);
	image_draft__clear(&m.draft);
	return err;
}
