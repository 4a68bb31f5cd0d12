/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See json.h. Always holds: a value is written by put_... alone, which know whether a comma must
 * come before it, and what is opened is closed in the same function.
 */
#include "readckpt/json.h"

#include <inttypes.h>
#include <stdbool.h>

#include "image/setting_names.h"
#include "readckpt/text.h"

struct json {
	FILE *out;
	int depth;
	bool first; /* nothing is before the next value in its object or array */
};

/* ---- JSON ---- */

/* What comes before a value. key: NULL in an array. */
static void begin(struct json *j, const char *key)
{
	if (!j->first)
		(void)fputc(',', j->out);
	if (j->depth > 0)
		(void)fprintf(j->out, "\n%*s", 2 * j->depth, "");
	if (key)
		(void)fprintf(j->out, "\"%s\": ", key);
	j->first = false;
}

static void open_with(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	(void)fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

static void close_with(struct json *j, char bracket)
{
	j->depth--;
	if (!j->first)
		(void)fprintf(j->out, "\n%*s", 2 * j->depth, "");
	(void)fputc(bracket, j->out);
	j->first = false;
}

static void put_text(struct json *j, const char *key, const char *text)
{
	begin(j, key);
	(void)fputc('"', j->out);
	text__put_json(j->out, text);
	(void)fputc('"', j->out);
}

static void put_number(struct json *j, const char *key, uint64_t value)
{
	begin(j, key);
	(void)fprintf(j->out, "%" PRIu64, value);
}

static void put_signed(struct json *j, const char *key, int64_t value)
{
	begin(j, key);
	(void)fprintf(j->out, "%" PRId64, value);
}

static void put_hex(struct json *j, const char *key, uint64_t value)
{
	begin(j, key);
	(void)fprintf(j->out, "\"0x%" PRIx64 "\"", value);
}

static void put_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	(void)fputs(value ? "true" : "false", j->out);
}

/* ---- the image ---- */

static void put_pages(struct json *j, const struct survey_pages *pages)
{
	put_number(j, "pages", pages->all);
	put_number(j, "resident_pages", pages->resident);
	put_number(j, "zero_pages", pages->zero);
	put_number(j, "parent_pages", pages->parent);
	put_number(j, "missing_pages", pages->missing);
}

static void put_info(struct json *j, const struct image *image)
{
	const struct image_info *info = &image->info;
	char time[TEXT_TIME_BYTES];

	put_number(j, "version", info->version);
	put_text(j, "writer", image__string(image, info->writer));
	put_text(j, "kernel", image__string(image, info->kernel));
	put_text(j, "time", text__time(info->time_ns, time));
	put_number(j, "time_ns", info->time_ns);
	put_hex(j, "id", info->id);
	put_bool(j, "has_registers", !(info->flags & IMAGE_NO_REGISTERS));
	put_bool(j, "increment", (info->flags & IMAGE_INCREMENT) != 0);
	if (info->flags & IMAGE_INCREMENT) {
		open_with(j, "parent", '{');
		put_text(j, "path", image__string(image, info->parent));
		put_hex(j, "id", info->parent_id);
		put_number(j, "images_before", info->depth);
		close_with(j, '}');
	}
	open_with(j, "missing", '[');
	for (unsigned int bit = 0; text__missing_key(bit); bit++) {
		if (info->missing & 1u << bit)
			put_text(j, NULL, text__missing_key(bit));
	}
	close_with(j, ']');
}

static void put_process(struct json *j, const struct image *image)
{
	const struct image_process *process = &image->process;
	char umask[16];

	open_with(j, "process", '{');
	put_signed(j, "pid", process->pid);
	put_signed(j, "ppid", process->ppid);
	put_signed(j, "pgrp", process->pgrp);
	put_signed(j, "sid", process->sid);
	put_number(j, "uid", process->uid);
	put_number(j, "gid", process->gid);
	(void)snprintf(umask, sizeof(umask), "%04o", process->umask);
	put_text(j, "umask", umask);
	put_hex(j, "personality", process->personality);
	put_text(j, "name", process->name);
	put_text(j, "arguments", process->arguments);
	put_text(j, "program", image__string(image, process->exe));
	put_text(j, "folder", image__string(image, process->cwd));
	put_hex(j, "start_brk", process->start_brk);
	put_hex(j, "brk", process->brk);
	put_hex(j, "start_stack", process->start_stack);
	put_number(j, "monotonic_ns", process->monotonic_ns);
	put_number(j, "boottime_ns", process->boottime_ns);
	close_with(j, '}');
}

/* null: there is none. */
static void put_bound(struct json *j, const char *key, uint64_t value)
{
	if (value != UINT64_MAX) {
		put_number(j, key, value);
		return;
	}
	begin(j, key);
	(void)fputs("null", j->out);
}

static void put_attributes(struct json *j, const struct image *image)
{
	const struct image_attributes *attributes = &image->attributes;

	open_with(j, "attributes", '{');
	if (attributes->flags & IMAGE_HAS_LIMITS) {
		open_with(j, "limits", '{');
		for (int i = 0; i < IMAGE_LIMITS; i++) {
			open_with(j, text__limit(i), '{');
			put_bound(j, "soft", attributes->limits[i].soft);
			put_bound(j, "hard", attributes->limits[i].hard);
			close_with(j, '}');
		}
		close_with(j, '}');
		open_with(j, "groups", '[');
		for (size_t i = 0; i < image->group_count; i++)
			put_number(j, NULL, image->groups[i]);
		close_with(j, ']');
	}
	if (attributes->flags & IMAGE_HAS_OOM)
		put_signed(j, "oom_score_adj", attributes->oom_score_adj);
	if (attributes->flags & IMAGE_HAS_CORE_FILTER)
		put_hex(j, "coredump_filter", attributes->core_filter);
	put_hex(j, "membarrier", attributes->membarrier);
	put_bool(j, "lacks_rseq", (attributes->flags & IMAGE_LOST_RSEQ) != 0);
	put_bool(j, "lacks_segments", (attributes->flags & IMAGE_LOST_SEGMENTS) != 0);
	put_bool(j, "dumpable", (attributes->flags & IMAGE_UNDUMPABLE) == 0);
	if (image->place.flags & IMAGE_HAS_PLACE) {
		put_number(j, "root_inode", image->place.root_inode);
		put_number(j, "mount_namespace", image->place.mount_namespace);
		put_text(j, "boot", image->place.boot);
		put_bool(j, "subreaper", (image->place.flags & IMAGE_SUBREAPER) != 0);
		put_bool(j, "no_huge_pages", (image->place.flags & IMAGE_NO_HUGE_PAGES) != 0);
		put_bool(j, "filtered", (image->place.flags & IMAGE_FILTERED) != 0);
		put_bool(j, "locks_future", (image->place.flags & IMAGE_LOCKS_FUTURE) != 0);
		put_bool(j, "landlocked", (image->place.flags & IMAGE_LANDLOCKED) != 0);
		put_number(j, "folder_inode", image->surroundings.folder_inode);
		open_with(j, "namespaces", '[');
		for (size_t i = 0; i < IMAGE_NAMESPACES; i++)
			put_number(j, NULL, image->surroundings.namespaces[i]);
		close_with(j, ']');
	}
	if (image->rights.are_known) {
		put_number(j, "euid", image->rights.euid);
		put_number(j, "egid", image->rights.egid);
		put_hex(j, "capabilities", image->rights.permitted);
		put_hex(j, "effective_capabilities", image->rights.effective);
		put_hex(j, "inheritable_capabilities", image->rights.inheritable);
		put_hex(j, "bounding_set", image->rights.bounding);
		put_hex(j, "ambient_capabilities", image->rights.ambient);
	}
	close_with(j, '}');
}

static void put_settings(struct json *j, const struct image *image)
{
	open_with(j, "settings", '[');
	for (size_t i = 0; i < image->setting_count; i++) {
		const struct image_setting *s = &image->settings[i];

		open_with(j, NULL, '{');
		put_signed(j, "tid", s->tid); /* 0: the process */
		put_text(j, "option", setting_names__of(s->option));
		put_number(j, "value", s->values[0]);
		put_number(j, "second_value", s->values[1]);
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_policies(struct json *j, const struct image *image)
{
	open_with(j, "memory_policies", '[');
	for (size_t i = 0; i < image->policy_count; i++) {
		const struct image_policy *p = &image->policies[i];

		open_with(j, NULL, '{');
		put_signed(j, "tid", p->tid); /* 0: of addresses */
		put_hex(j, "start", p->start);
		put_hex(j, "end", p->end);
		put_hex(j, "mode", p->mode);
		open_with(j, "nodes", '[');
		for (size_t k = 0; k < sizeof(p->nodes) * 8; k++) {
			if (p->nodes[k / 64] >> k % 64 & 1)
				put_number(j, NULL, k);
		}
		close_with(j, ']');
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_mappings(struct json *j, const struct image *image, const struct survey *survey)
{
	char permissions[5];

	open_with(j, "mappings", '[');
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		open_with(j, NULL, '{');
		put_hex(j, "start", m->start);
		put_hex(j, "end", m->end);
		put_number(j, "bytes", m->end - m->start);
		put_text(j, "permissions", text__permissions(m->flags, permissions));
		put_text(j, "kind", text__kind(m->flags));
		put_text(j, "name", image__string(image, m->path));
		put_number(j, "offset", m->offset);
		put_number(j, "inode", m->inode);
		if (image->advice)
			put_hex(j, "advice", image->advice[i]);
		put_pages(j, &survey->mappings[i]);
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_segments(struct json *j, const struct image *image, const struct survey *survey)
{
	open_with(j, "segments", '[');
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct image_segment *segment = &image->segments[i];

		open_with(j, NULL, '{');
		put_hex(j, "start", segment->start);
		put_hex(j, "end", segment->end);
		put_number(j, "offset", segment->offset);
		put_number(j, "bytes", segment->bytes);
		put_hex(j, "crc", segment->crc);
		put_bool(j, "intact", survey->segment_ok[i]);
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_registers(struct json *j, const struct user_regs_struct *user)
{
	open_with(j, "registers", '{');
	put_hex(j, "rip", user->rip);
	put_hex(j, "rsp", user->rsp);
	put_hex(j, "rbp", user->rbp);
	put_hex(j, "rflags", user->eflags);
	put_hex(j, "rax", user->rax);
	put_hex(j, "rbx", user->rbx);
	put_hex(j, "rcx", user->rcx);
	put_hex(j, "rdx", user->rdx);
	put_hex(j, "rsi", user->rsi);
	put_hex(j, "rdi", user->rdi);
	put_hex(j, "r8", user->r8);
	put_hex(j, "r9", user->r9);
	put_hex(j, "r10", user->r10);
	put_hex(j, "r11", user->r11);
	put_hex(j, "r12", user->r12);
	put_hex(j, "r13", user->r13);
	put_hex(j, "r14", user->r14);
	put_hex(j, "r15", user->r15);
	put_hex(j, "orig_rax", user->orig_rax);
	close_with(j, '}');
}

static void put_scheduling(struct json *j, const struct image_scheduling *s)
{
	const size_t count = sizeof(s->processors) / sizeof(s->processors[0]);

	open_with(j, "processors", '['); /* none: any */
	for (size_t i = 0; i < count * 64; i++) {
		if (s->processors[i / 64] >> i % 64 & 1)
			put_number(j, NULL, i);
	}
	close_with(j, ']');
	put_signed(j, "nice", s->nice);
	put_text(j, "policy", text__policy(s->policy));
	put_number(j, "priority", s->priority);
	put_hex(j, "io_priority", s->io_priority);
	put_number(j, "timer_slack_ns", s->timer_slack_ns);
	put_number(j, "death_signal", s->death_signal);
	put_bool(j, "no_new_privs", s->no_new_privs != 0);
}

static void put_threads(struct json *j, const struct image *image)
{
	open_with(j, "threads", '[');
	for (size_t i = 0; i < image->thread_count; i++) {
		const struct image_thread *thread = &image->threads[i];

		open_with(j, NULL, '{');
		put_signed(j, "tid", thread->tid);
		put_text(j, "name", thread->name);
		put_hex(j, "fs_base", thread->fs_base);
		put_hex(j, "gs_base", thread->gs_base);
		put_hex(j, "signal_mask", thread->signal_mask);
		put_hex(j, "goes_on_at", thread->rip);
		put_hex(j, "goes_on_with_rsp", thread->rsp);
		put_registers(j, &image->registers[i].user);
		if (image->scheduling)
			put_scheduling(j, &image->scheduling[i]);
		put_number(j, "xstate_bytes", image->registers[i].xstate_bytes);
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_signals(struct json *j, const struct image *image)
{
	char buffer[TEXT_SIGNAL_BYTES];

	open_with(j, "signals", '[');
	for (int i = 0; i < IMAGE_SIGNALS; i++) {
		const struct image_signal *signal = &image->signals[i];
		const char *name = text__signal(i + 1, buffer);

		if (signal->handler == 0)
			continue;
		open_with(j, NULL, '{');
		put_signed(j, "signal", i + 1);
		put_text(j, "name", name ? name : "");
		put_bool(j, "ignored", signal->handler == 1);
		put_hex(j, "handler", signal->handler);
		put_hex(j, "flags", signal->flags);
		put_hex(j, "mask", signal->mask);
		close_with(j, '}');
	}
	close_with(j, ']');
}

/* *at: where the call before has stopped, whose fd was lower. In a hostile file there may be a
 * million files and objects: too many to search all for each. */
static bool is_made_anew(const struct image *image, int fd, size_t *at)
{
	while (*at < image->object_count && image->objects[*at].fd < fd)
		++*at;
	return *at < image->object_count && image->objects[*at].fd == fd;
}

static void put_files(struct json *j, const struct image *image)
{
	char flags[TEXT_FLAGS_BYTES], mode[16];
	size_t object = 0;

	open_with(j, "files", '[');
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		open_with(j, NULL, '{');
		put_signed(j, "fd", file->fd);
		put_text(j, "path", image__string(image, file->path));
		put_number(j, "offset", file->offset);
		if (image->sizes)
			put_number(j, "size", image->sizes[i]);
		if (image->births && image->births[i])
			put_number(j, "birth_ns", image->births[i]);
		put_text(j, "flags", text__open_flags(file->flags, flags));
		(void)snprintf(mode, sizeof(mode), "%07o", file->mode);
		put_text(j, "mode", mode);
		put_signed(j, "same_as", file->same_as);
		put_bool(j, "locked", (file->held & IMAGE_LOCKED) != 0);
		put_bool(j, "leased", (file->held & IMAGE_LEASED) != 0);
		put_bool(j, "watches_closed", (file->held & IMAGE_WATCHES_CLOSED) != 0);
		put_bool(j, "made_anew", is_made_anew(image, file->fd, &object));
		close_with(j, '}');
	}
	close_with(j, ']');
}

static void put_faults(struct json *j, const struct survey *survey)
{
	open_with(j, "faults", '[');
	for (size_t i = 0; i < survey->fault_count && i < SURVEY_FAULTS; i++)
		put_text(j, NULL, survey->faults[i] ? survey->faults[i] : "out of memory");
	close_with(j, ']');
}

void json__write(FILE *out, const struct image_chain *chain, const struct survey *survey)
{
	struct json j = {.out = out, .first = true};
	const struct image *image = chain->images[0];

	open_with(&j, NULL, '{');
	put_text(&j, "file", image->path);
	put_bool(&j, "intact", survey->fault_count == 0);
	put_faults(&j, survey);
	put_number(&j, "file_bytes", image->file_bytes);
	put_bool(&j, "compressed", image->compressed);
	put_info(&j, image);
	put_process(&j, image);
	put_attributes(&j, image);
	open_with(&j, "total", '{');
	put_pages(&j, &survey->total);
	close_with(&j, '}');
	put_mappings(&j, image, survey);
	put_segments(&j, image, survey);
	put_threads(&j, image);
	put_settings(&j, image);
	put_policies(&j, image);
	put_signals(&j, image);
	put_files(&j, image);
	open_with(&j, "chain", '[');
	for (size_t i = 0; i < chain->count; i++)
		put_text(&j, NULL, chain->images[i]->path);
	close_with(&j, ']');
	close_with(&j, '}');
	(void)fputc('\n', out);
}

void json__write_error(FILE *out, const char *path, const char *message)
{
	struct json j = {.out = out, .first = true};

	open_with(&j, NULL, '{');
	put_text(&j, "file", path);
	put_bool(&j, "intact", false);
	open_with(&j, "faults", '[');
	put_text(&j, NULL, message);
	close_with(&j, ']');
	close_with(&j, '}');
	(void)fputc('\n', out);
}
