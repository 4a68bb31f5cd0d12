/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See save.h. While the process stands still, it is described. Memory that neither the checkpoint
 * nor a file has is copied: shared memory, and mappings whose file cannot be opened. The image is
 * written while the process runs on. The bytes of a page come from the first of these that has it:
 *
 *	the checkpoint, the copy, the file of the mapping
 *
 * A page that none of them has is zeros.
 */
#include "save/save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attach/attach_state.h"
#include "attach/copy.h"
#include "save/describe.h"
#include "attach/file_sources.h"
#include "save/landing.h"
#include "attach/layout.h"
#include "base/progress.h"
#include "image/image_elf.h"
#include "image/image_segmenter.h"
#include "target/helper.h"
#include "target/reason.h"

enum { BLOCK_PAGES = 64 };

struct saving {
	struct attach *attach;
	const char *name;
	struct checkpoint *from;
	struct mappings now;
	struct description description;
	struct page_tree copied;
	struct file_sources sources;
	struct landing landing;
	uint64_t stop_ns;
	struct image_writer *writer;
};

/* ---- while the process stands still ---- */

/* The threads of the checkpoint must be there to be asked. */
static int check_threads(const struct saving *s)
{
	struct attach *attach = s->attach;
	struct threads now = {0};
	int err = thread_watch__list(attach->threads, attach->freeze, &now);

	if (err)
		return err;
	for (size_t i = 0; i < s->from->threads.count; i++)
		if (!threads__have(&now, &s->from->threads.items[i]))
			err = -REASON_THREAD_ENDED;
	if (err)
		(void)threads__are_same(&s->from->threads, &now, attach->detail,
					sizeof(attach->detail));
	threads__clear(&now);
	return err;
}

/* Has the process pages of its own in a mapping, which the checkpoint has not? They were written
 * later, and what they were before is lost. */
static int check_written(const struct saving *s, const struct mapping *mapping)
{
	struct pagemap *pagemap = &s->attach->pagemap;
	struct pagemap_run run;
	uint64_t address;
	int more;

	pagemap__begin_any(pagemap, mapping->start, mapping->end, 0,
			   PAGEMAP_PRESENT | PAGEMAP_SWAPPED, PAGEMAP_FILE);
	while ((more = pagemap__next(pagemap, &run)) > 0) {
		if (run.categories & PAGEMAP_FILE)
			continue;
		for (uint64_t at = run.start; at < run.end; at += PAGE_BYTES)
			if (!page_tree__next(&s->from->tree, at, at + PAGE_BYTES, &address))
				return -REASON_PAGES_LOST;
	}
	return more;
}

static int copy_mapping(struct saving *s, const struct mapping *mapping)
{
	static const struct intervals none;
	struct intervals pages = {0};
	uint64_t count;
	int err = memory__data_pages(s->attach->memory, mapping->start, mapping->end, &pages);

	if (err)
		goto out;
	err = copy__pages(s->attach->memory, &pages, &none, &s->copied, &count);
out:
	intervals__clear(&pages);
	return err;
}

static bool is_there(const struct mappings *now, const struct mapping *mapping)
{
	for (size_t i = 0; i < now->count; i++)
		if (now->items[i].start <= mapping->start && now->items[i].end >= mapping->end)
			return now->items[i].inode == mapping->inode;
	return false;
}

/* Makes sure that the bytes of a mapping are known when the process runs on. */
static int secure(struct saving *s, const struct mapping *mapping)
{
	const enum layout_kind kind = layout__kind(mapping);
	int err;

	if (kind != LAYOUT_FILE && kind != LAYOUT_SHARED)
		return 0;
	err = file_sources__open(&s->sources, s->attach->pid, mapping);
	if (!err || err == -ENOMEM)
		return err;
	err = is_there(&s->now, mapping) ? 0 : -REASON_MEMORY_GONE;
	if (!err && kind == LAYOUT_FILE)
		err = check_written(s, mapping);
	if (!err)
		return copy_mapping(s, mapping);
	if (err != -REASON_MEMORY_GONE && err != -REASON_PAGES_LOST)
		return err;
	(void)snprintf(s->attach->detail, sizeof(s->attach->detail), "%s", mapping->path);
	return err;
}

static int secure_all(struct saving *s)
{
	const struct mappings *mappings = &s->from->mappings;
	int err = procfs__mappings(s->attach->pid, &s->now);

	if (err)
		return err;
	err = memory__refresh(s->attach->memory);
	for (size_t i = 0; i < mappings->count && !err; i++)
		err = secure(s, &mappings->items[i]);
	return err;
}

/* All that needs the process to stand still. */
static int look(struct saving *s)
{
	struct attach *attach = s->attach;
	struct described process = {
		.process = attach->process, .pid = attach->pid, .mem_fd = attach->mem_fd};
	int err = s->from ? check_threads(s) : attach_state__take_unlisted(attach, &s->from);

	if (err)
		return err;
	process.threads = &s->from->threads;
	process.registers = s->from->registers;
	process.registered = s->from->registered;
	err = secure_all(s);
	return err ? err : describe__process(&process, &s->description);
}

static int stop_and_look(void *argument)
{
	struct saving *s = argument;
	struct attach *attach = s->attach;
	int err = attach_state__stop(attach, false);

	if (err)
		return err;
	err = look(s);
	(void)freeze__kill_on_death(attach->freeze, false);
	freeze__release(attach->freeze);
	s->stop_ns = freeze__stop_ns(attach->freeze);
	return err;
}

/* ---- the image ---- */

/* The highest gap for so many bytes that neither a stack nor the heap grows into. */
static int find_gap(const struct mappings *mappings, uint64_t bytes, uint64_t *ret_address)
{
	static const uint64_t margin = 16 * PAGE_BYTES;

	for (size_t i = mappings->count; i-- > 1;) {
		const struct mapping *above = &mappings->items[i], *below = above - 1;
		const uint64_t room = above->start - below->end;

		if (above->start >= 1ULL << 47 || room < bytes + 2 * margin ||
		    !strcmp(above->path, "[stack]") || !strcmp(below->path, "[heap]"))
			continue;
		*ret_address = above->start - margin - bytes;
		return 0;
	}
	return -ENOMEM;
}

/* Adds the mappings, with those of the landing in their place. */
static int add_mappings(struct saving *s)
{
	const struct mappings *mappings = &s->from->mappings;
	struct image_draft *draft = &s->description.draft;
	char none[] = "";
	struct mapping code = {.flags = MAPPING_READ | MAPPING_EXEC, .path = none};
	struct mapping data = {.flags = MAPPING_READ | MAPPING_WRITE, .path = none};
	bool has_landing = false;

	code.start = s->landing.address;
	code.end = data.start = code.start + s->landing.code_bytes;
	data.end = code.start + s->landing.total_bytes;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (!has_landing && mapping->start > code.start) {
			image_draft__mapping(draft, &code, code.start, code.end);
			image_draft__mapping(draft, &data, data.start, data.end);
			has_landing = true;
		}
		image_draft__mapping(draft, mapping, mapping->start, mapping->end);
	}
	return draft->err;
}

static bool is_landing(const struct saving *s, const struct image_mapping *mapping)
{
	return mapping->start - s->landing.address < s->landing.total_bytes;
}

static const struct file_source *source_of(const struct saving *s,
					   const struct image_mapping *mapping)
{
	return mapping->inode ? file_sources__find(&s->sources, mapping->dev_major,
						   mapping->dev_minor, mapping->inode)
			      : NULL;
}

/* The first saved page in [at, end), and its address; NULL if there is none. Both trees may have
 * pages of a private mapping, whose file cannot be opened. */
static const uint8_t *next_page(const struct saving *s, uint64_t at, uint64_t end,
				uint64_t *ret_address)
{
	uint64_t first = end;
	uint32_t page = page_tree__next(&s->from->tree, at, end, &first);
	const uint32_t copied = page_tree__next(&s->copied, at, first, &first);

	if (copied)
		page = copied;
	*ret_address = first;
	return page ? page_store__bytes(s->copied.store, page) : NULL;
}

/* Adds segments for the saved pages; all others are zeros. */
static int cut_pages(struct saving *s, const struct image_mapping *mapping)
{
	struct image_segmenter segmenter;
	uint64_t address = 0;

	image_segmenter__begin(&segmenter, &s->description.draft.image, mapping);
	for (uint64_t at = mapping->start; next_page(s, at, mapping->end, &address);
	     at = address + PAGE_BYTES)
		image_segmenter__add(&segmenter, address, address + PAGE_BYTES);
	return image_segmenter__end(&segmenter);
}

/* Pages behind the end of a mapped file cannot be read. */
static int cut_file(struct saving *s, const struct image_mapping *mapping,
		    const struct file_source *source)
{
	struct image_draft *draft = &s->description.draft;
	const uint64_t length = page__round_up(source->bytes);
	uint64_t end = mapping->end;

	if (length <= mapping->offset)
		end = mapping->start;
	else if (length - mapping->offset < mapping->end - mapping->start)
		end = mapping->start + (length - mapping->offset);
	if (end < mapping->end)
		image_draft__missing(draft, mapping, end, mapping->end);
	return image_segmenter__put(&draft->image, mapping, mapping->start, mapping->end,
				    end > mapping->start);
}

static int cut_mapping(struct saving *s, const struct image_mapping *mapping)
{
	struct image_draft *draft = &s->description.draft;
	const struct file_source *source = source_of(s, mapping);

	if (mapping->flags & IMAGE_VDSO || is_landing(s, mapping))
		return image_segmenter__put(&draft->image, mapping, mapping->start, mapping->end,
					    true);
	if (source)
		return cut_file(s, mapping, source);
	return cut_pages(s, mapping);
}

static int cut_segments(struct saving *s)
{
	struct image *image = &s->description.draft.image;
	int err = image_draft__segments(&s->description.draft);

	for (size_t i = 0; i < image->mapping_count && !err; i++)
		err = cut_mapping(s, &image->mappings[i]);
	return err ? err : s->description.draft.err;
}

static int make_image(struct saving *s)
{
	struct description *d = &s->description;
	struct image *image = &d->draft.image;
	uint64_t address = 0;
	int err = find_gap(
		&s->from->mappings,
		landing__bytes(image->thread_count, image->registers[d->first].xstate_bytes),
		&address);

	if (err)
		return err;
	err = landing__make(&s->landing, address, image, d->first, d->timers);
	if (err)
		return err;
	err = add_mappings(s);
	if (err)
		return err;
	err = describe__advice(s->attach->pid, &d->draft);
	return err ? err : cut_segments(s);
}

/* ---- writing ---- */

/* Reads the pages [start, end) of a mapping to block. */
static int read_block(const struct saving *s, const struct image_mapping *mapping, uint64_t start,
		      uint64_t end, uint8_t *block)
{
	const struct file_source *source = source_of(s, mapping);
	const uint8_t *page;
	uint64_t address;
	int err = 0;

	if (is_landing(s, mapping)) {
		memcpy(block, s->landing.bytes + (start - s->landing.address), end - start);
		return 0;
	}
	if (mapping->flags & IMAGE_VDSO)
		return memory__read(s->attach->memory, start, block, end - start);
	if (source)
		err = file_source__read(source, mapping->offset + (start - mapping->start), block,
					end - start);
	else
		memset(block, 0, end - start);
	for (uint64_t at = start; !err && (page = next_page(s, at, end, &address));
	     at = address + PAGE_BYTES)
		memcpy(block + (address - start), page, PAGE_BYTES);
	return err;
}

static int write_segments(struct saving *s, uint8_t *block)
{
	const struct image *image = &s->description.draft.image;
	const struct image_mapping *mapping = image->mappings;
	struct progress progress = {0};
	uint64_t total = 0, done = 0;
	int err = 0;

	for (size_t i = 0; i < image->segment_count; i++)
		total += image->segments[i].bytes;
	for (size_t i = 0; i < image->segment_count && !err; i++) {
		const struct image_segment *segment = &image->segments[i];

		while (mapping->end <= segment->start)
			mapping++;
		for (uint64_t at = segment->start, next;
		     segment->bytes && at < segment->end && !err; at = next) {
			next = at + BLOCK_PAGES * PAGE_BYTES;
			if (next > segment->end)
				next = segment->end;
			err = read_block(s, mapping, at, next, block);
			if (err)
				goto out;
			err = image_writer__pages(s->writer, block, next - at);
			done += next - at;
			progress__step(&progress, "save", done, total);
		}
	}
out:
	progress__end(&progress);
	return err;
}

static int write_image(struct saving *s, const char *path)
{
	uint8_t *block = aligned_alloc(PAGE_BYTES, BLOCK_PAGES * PAGE_BYTES);
	int err;

	if (!block)
		return -ENOMEM;
	err = image_writer__open(s->writer, path);
	if (err)
		goto out;
	err = image_elf__begin(s->writer, &s->description.draft.image);
	if (err)
		goto out;
	err = write_segments(s, block);
	if (err)
		goto out;
	err = image_writer__commit(s->writer);
out:
	image_writer__abort(s->writer);
	free(block);
	return err;
}

/* Puts the step that failed into the detail. Returns the reason. */
static int note_failure(struct saving *s, const char *path, int err)
{
	const struct image_failure *failure = &s->writer->failure;

	if (!failure->step)
		return err;
	(void)snprintf(s->attach->detail, sizeof(s->attach->detail), "%s %s: %s", failure->step,
		       path, image_failure__reason(failure, err));
	return -REASON_NOT_WRITTEN;
}

int save__image(struct attach *attach, const char *path, const char *name,
		struct attach_result *ret_result)
{
	struct saving s = {.attach = attach, .name = name};
	int err;

	*attach->detail = '\0';
	s.copied.store = &attach->store;
	if (name) {
		s.from = checkpoints__find(&attach->list, name);
		if (!s.from)
			return -REASON_UNKNOWN_NAME;
	}
	s.writer = calloc(1, sizeof(*s.writer));
	if (!s.writer)
		return -ENOMEM;
	err = attach__release_late(attach) ? -REASON_NOT_STOPPED : helper__run(stop_and_look, &s);
	if (err)
		goto out;
	err = make_image(&s);
	if (err)
		goto out;
	err = write_image(&s, path);
	if (err) {
		err = note_failure(&s, path, err);
		goto out;
	}
	*ret_result = (struct attach_result){
		.pages = s.from->tree.pages + s.copied.pages,
		.bytes = (s.from->tree.pages + s.copied.pages) * PAGE_BYTES,
		.stop_ns = s.stop_ns,
		.threads = (uint32_t)s.from->threads.count,
	};
	memcpy(ret_result->name, s.from->name, sizeof(ret_result->name));
out:
	page_tree__clear(&s.copied);
	if (!name)
		attach_state__drop_unlisted(attach, s.from);
	landing__clear(&s.landing);
	describe__clear(&s.description);
	file_sources__clear(&s.sources);
	procfs__free_mappings(&s.now);
	free(s.writer);
	return attach_state__cause(attach, err);
}
