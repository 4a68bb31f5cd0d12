/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See table.h. One function for each part of the page, in the order in which they appear.
 */
#include "readckpt/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "image/setting_names.h"
#include "readckpt/text.h"

#define BOLD  "\033[1m"
#define RED   "\033[31m"
#define GREEN "\033[32m"
#define OFF   "\033[0m"

struct table {
	FILE *out;
	const struct image *image;
	const struct survey *survey;
	bool in_colours;
};

static void put_coloured(const struct table *t, const char *colour, const char *text)
{
	(void)fprintf(t->out, "%s%s%s", t->in_colours ? colour : "", text,
		      t->in_colours ? OFF : "");
}

static void put_title(const struct table *t, const char *title, size_t count)
{
	(void)fputc('\n', t->out);
	put_coloured(t, BOLD, title);
	(void)fprintf(t->out, " %zu\n", count);
}

static void put_label(const struct table *t, const char *label)
{
	(void)fprintf(t->out, "  %-9s ", label);
}

static void put_string(const struct table *t, uint32_t at)
{
	text__put(t->out, image__string(t->image, at));
}

/* ---- the head ---- */

static void put_missing(const struct table *t)
{
	const char *before = "";

	put_label(t, "missing");
	for (unsigned int bit = 0; text__missing(bit); bit++) {
		if (!(t->image->info.missing & 1u << bit))
			continue;
		(void)fprintf(t->out, "%s%s", before, text__missing(bit));
		before = "; ";
	}
	(void)fprintf(t->out, "%s\n", *before ? "" : "nothing");
}

static void put_origin(const struct table *t)
{
	const struct image_info *info = &t->image->info;
	char time[TEXT_TIME_BYTES];

	put_label(t, "written");
	(void)fprintf(t->out, "%s by ", text__time(info->time_ns, time));
	put_string(t, info->writer);
	(void)fputs(" on Linux ", t->out);
	put_string(t, info->kernel);
	(void)fputc('\n', t->out);
	put_label(t, "id");
	(void)fprintf(t->out, "%016" PRIx64 "\n", info->id);
	if (!(info->flags & IMAGE_INCREMENT))
		return;
	put_label(t, "adds to");
	put_string(t, info->parent);
	(void)fprintf(t->out, ", id %016" PRIx64 "; %u images in all\n", info->parent_id,
		      info->depth + 1);
}

static void put_process(const struct table *t)
{
	const struct image_process *process = &t->image->process;

	put_label(t, "process");
	(void)fprintf(t->out, "%d ", process->pid);
	text__put(t->out, process->name);
	(void)fputs(": ", t->out);
	text__put(t->out, process->arguments);
	(void)fputc('\n', t->out);
	put_label(t, "program");
	put_string(t, process->exe);
	(void)fputs(", in the folder ", t->out);
	put_string(t, process->cwd);
	(void)fputc('\n', t->out);
	put_label(t, "user");
	(void)fprintf(t->out, "%u, group %u, umask %03o\n", process->uid, process->gid,
		      process->umask);
	put_label(t, "brk");
	(void)fprintf(t->out, "%#" PRIx64 " to %#" PRIx64 "\n", process->start_brk, process->brk);
}

static void put_limits(const struct table *t)
{
	const struct image_attributes *attributes = &t->image->attributes;
	const char *before = "";

	if (!(attributes->flags & IMAGE_HAS_LIMITS))
		return;
	put_label(t, "limits");
	for (int i = 0; i < IMAGE_LIMITS; i++) {
		if (attributes->limits[i].soft == UINT64_MAX)
			continue;
		(void)fprintf(t->out, "%s%s %" PRIu64, before, text__limit(i),
			      attributes->limits[i].soft);
		before = ", ";
	}
	(void)fprintf(t->out, "%s\n", *before ? "" : "none");
}

/* Settings of prctl(2) and memory policies of a thread. tid 0: those of the process, and those of
 * addresses. */
static void put_settings(const struct table *t, int32_t tid)
{
	const struct image *image = t->image;

	for (size_t i = 0; i < image->setting_count; i++) {
		const struct image_setting *s = &image->settings[i];

		if (s->tid == tid)
			(void)fprintf(t->out, "    prctl %s %" PRIu64 " %" PRIu64 "\n",
				      setting_names__of(s->option), s->values[0], s->values[1]);
	}
	for (size_t i = 0; i < image->policy_count; i++) {
		const struct image_policy *p = &image->policies[i];

		if (p->tid != tid)
			continue;
		(void)fprintf(t->out, "    memory policy %#x, nodes %#" PRIx64 "...", p->mode,
			      p->nodes[0]);
		if (p->end)
			(void)fprintf(t->out, " from %#" PRIx64 " to %#" PRIx64, p->start, p->end);
		(void)fputc('\n', t->out);
	}
}

static void put_attributes(const struct table *t)
{
	const struct image_attributes *attributes = &t->image->attributes;
	const uint32_t flags = t->image->place.flags;
	const struct {
		bool is_so;
		const char *text;
	} list[] = {
		{attributes->membarrier != 0, "membarrier(2)"},
		{(attributes->flags & IMAGE_LOST_RSEQ) != 0, "rseq(2) that is not known"},
		{(attributes->flags & IMAGE_LOST_SEGMENTS) != 0, "segments of modify_ldt(2)"},
		{(attributes->flags & IMAGE_UNDUMPABLE) != 0, "not dumpable"},
		{(flags & IMAGE_SUBREAPER) != 0, "subreaper"},
		{(flags & IMAGE_NO_HUGE_PAGES) != 0, "no huge pages"},
		{(flags & IMAGE_FILTERED) != 0, "restricted by seccomp(2)"},
		{(flags & IMAGE_LOCKS_FUTURE) != 0, "locks memory to come"},
		{(flags & IMAGE_LANDLOCKED) != 0, "restricted by Landlock"},
	};
	const char *before = "";

	if (attributes->flags & IMAGE_HAS_OOM) {
		put_label(t, "kernel");
		(void)fprintf(t->out, "oom_score_adj %d", attributes->oom_score_adj);
		before = ", ";
	}
	if (attributes->flags & IMAGE_HAS_CORE_FILTER) {
		if (!*before)
			put_label(t, "kernel");
		(void)fprintf(t->out, "%scoredump_filter %#x", before, attributes->core_filter);
		before = ", ";
	}
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (!list[i].is_so)
			continue;
		if (!*before)
			put_label(t, "kernel");
		(void)fprintf(t->out, "%s%s", before, list[i].text);
		before = ", ";
	}
	if (*before)
		(void)fputc('\n', t->out);
	put_settings(t, 0);
}

static void put_rights(const struct table *t)
{
	const struct image_rights *rights = &t->image->rights;

	if (!rights->are_known)
		return;
	put_label(t, "rights");
	(void)fprintf(t->out,
		      "effective user %u, group %u, capabilities %#" PRIx64 ", bounded by %#" PRIx64
		      "\n",
		      rights->euid, rights->egid, rights->permitted, rights->bounding);
}

static void put_place(const struct table *t)
{
	const struct image_place *place = &t->image->place;

	if (!(place->flags & IMAGE_HAS_PLACE))
		return;
	put_label(t, "place");
	(void)fprintf(t->out, "root folder inode %" PRIu64 ", mount namespace %" PRIu64 ", boot ",
		      place->root_inode, place->mount_namespace);
	text__put(t->out, place->boot);
	(void)fputc('\n', t->out);
}

static void put_head(const struct table *t)
{
	const struct image *image = t->image;
	char size[TEXT_SIZE_BYTES];

	text__put(t->out, image->path);
	(void)fprintf(t->out, ": %s%s, format version %u%s%s\n",
		      text__size(image->file_bytes, size), image->compressed ? " unpacked" : "",
		      image->info.version,
		      image->info.flags & IMAGE_INCREMENT ? ", an increment" : "",
		      image->info.flags & IMAGE_NO_REGISTERS
			      ? ", memory without registers: restart refuses it"
			      : "");
	put_process(t);
	put_limits(t);
	put_attributes(t);
	put_rights(t);
	put_place(t);
	put_origin(t);
	put_missing(t);
}

/* ---- mappings ---- */

static void put_pages(const struct table *t, const struct survey_pages *pages)
{
	char size[TEXT_SIZE_BYTES];

	(void)fprintf(t->out, "%10s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64,
		      text__size(pages->all * PAGE_BYTES, size), pages->resident, pages->zero,
		      pages->parent, pages->missing);
}

static void put_mappings(const struct table *t)
{
	const struct image *image = t->image;
	char permissions[5], advice[TEXT_ADVICE_BYTES];

	put_title(t, "Mappings", image->mapping_count);
	(void)fprintf(t->out, "  %-12s %-12s %-4s %10s %8s %8s %8s %8s  %s\n", "START", "END",
		      "PERM", "SIZE", "RESIDENT", "ZERO", "PARENT", "MISSING", "NAME");
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		(void)fprintf(t->out, "  %012" PRIx64 " %012" PRIx64 " %s ", m->start, m->end,
			      text__permissions(m->flags, permissions));
		put_pages(t, &t->survey->mappings[i]);
		if (*image__string(image, m->path))
			(void)fputs("  ", t->out);
		put_string(t, m->path);
		if (m->flags & (IMAGE_DELETED | IMAGE_ARENA))
			(void)fprintf(t->out, " (%s)", text__kind(m->flags));
		if (image->advice && image->advice[i])
			(void)fprintf(t->out, " [%s]", text__advice(image->advice[i], advice));
		(void)fputc('\n', t->out);
	}
	(void)fprintf(t->out, "  %-30s ", "all, in pages of 4096 bytes");
	put_pages(t, &t->survey->total);
	(void)fputc('\n', t->out);
}

/* ---- threads ---- */

static void put_registers(const struct table *t, const struct image_registers *registers)
{
	const struct user_regs_struct *user = &registers->user;
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{"rip", user->rip},       {"rsp", user->rsp}, {"rbp", user->rbp},
		{"rflags", user->eflags}, {"rax", user->rax}, {"rbx", user->rbx},
		{"rcx", user->rcx},       {"rdx", user->rdx}, {"rsi", user->rsi},
		{"rdi", user->rdi},       {"r8", user->r8},   {"r9", user->r9},
		{"r10", user->r10},       {"r11", user->r11}, {"r12", user->r12},
		{"r13", user->r13},       {"r14", user->r14}, {"r15", user->r15},
	};
	const size_t count = sizeof(list) / sizeof(list[0]);

	for (size_t i = 0; i < count; i++)
		(void)fprintf(t->out, "%s%-6s %016" PRIx64 "%s", i % 4 ? "  " : "    ",
			      list[i].name, list[i].value,
			      i % 4 == 3 || i + 1 == count ? "\n" : "");
}

/* Prints only what most threads have not. */
static void put_scheduling(const struct table *t, const struct image_scheduling *s)
{
	const char *before = "    processors ";

	for (unsigned int i = 0; i < sizeof(s->processors) * 8; i++) {
		if (!(s->processors[i / 64] >> i % 64 & 1))
			continue;
		(void)fprintf(t->out, "%s%u", before, i);
		before = ", ";
	}
	if (before[0] == ',')
		(void)fputc('\n', t->out);
	if (s->nice || s->policy || s->io_priority)
		(void)fprintf(t->out, "    nice %d, policy %s, priority %u, io_priority %#x\n",
			      s->nice, text__policy(s->policy), s->priority, s->io_priority);
	if (s->death_signal)
		(void)fprintf(t->out, "    gets signal %u when its parent ends\n", s->death_signal);
	if (s->no_new_privs)
		(void)fputs("    no_new_privs\n", t->out);
}

static void put_threads(const struct table *t)
{
	const struct image *image = t->image;

	put_title(t, "Threads", image->thread_count);
	for (size_t i = 0; i < image->thread_count; i++) {
		const struct image_thread *thread = &image->threads[i];

		(void)fprintf(t->out, "  %d ", thread->tid);
		text__put(t->out, thread->name);
		(void)fprintf(t->out,
			      ": FS %#" PRIx64 ", GS %#" PRIx64 ", blocked signals %#" PRIx64
			      ", goes on at %#" PRIx64 "\n",
			      thread->fs_base, thread->gs_base, thread->signal_mask, thread->rip);
		put_registers(t, &image->registers[i]);
		if (image->scheduling)
			put_scheduling(t, &image->scheduling[i]);
		put_settings(t, thread->tid);
		(void)fprintf(t->out, "    vector registers: %zu bytes\n",
			      image->registers[i].xstate_bytes);
	}
}

/* ---- signals and files ---- */

static void put_signals(const struct table *t)
{
	const struct image_signal *signals = t->image->signals;
	char name[TEXT_SIGNAL_BYTES];
	size_t count = 0;

	for (int i = 0; i < IMAGE_SIGNALS; i++)
		count += signals[i].handler != 0;
	put_title(t, "Signals with an action", count);
	for (int i = 0; i < IMAGE_SIGNALS; i++) {
		const char *known = text__signal(i + 1, name);

		if (signals[i].handler == 0)
			continue;
		(void)fprintf(t->out, "  %2d %-9s ", i + 1, known ? known : "");
		if (signals[i].handler == 1)
			(void)fputs("ignored\n", t->out);
		else
			(void)fprintf(t->out,
				      "handler %#" PRIx64 ", flags %#" PRIx64 ", mask %#" PRIx64
				      "\n",
				      signals[i].handler, signals[i].flags, signals[i].mask);
	}
}

static void put_files(const struct table *t)
{
	const struct image *image = t->image;
	char flags[TEXT_FLAGS_BYTES];

	put_title(t, "Open files", image->file_count);
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		(void)fprintf(t->out, "  %3d ", file->fd);
		put_string(t, file->path);
		if (S_ISREG(file->mode))
			(void)fprintf(t->out, " at %" PRIu64, file->offset);
		if (S_ISREG(file->mode) && image->sizes)
			(void)fprintf(t->out, " of %" PRIu64, image->sizes[i]);
		(void)fprintf(t->out, " %s", text__open_flags(file->flags, flags));
		if (file->same_as >= 0)
			(void)fprintf(t->out, ", the same as %d", file->same_as);
		if (file->held & (IMAGE_LOCKED | IMAGE_LEASED))
			(void)fputs(file->held & IMAGE_LOCKED ? ", locked" : ", leased", t->out);
		if (file->held & IMAGE_WATCHES_CLOSED)
			(void)fputs(", watches closed numbers", t->out);
		(void)fputc('\n', t->out);
	}
}

/* ---- checksums ---- */

static void put_fault(const struct table *t, const char *fault)
{
	(void)fputs("  ", t->out);
	text__put(t->out, fault ? fault : "(out of memory)");
	(void)fputc('\n', t->out);
}

/* Parents that cannot be used say nothing of this file's own checksums. */
static void put_parents(const struct table *t)
{
	if (!t->survey->is_broken)
		return;
	(void)fputc('\n', t->out);
	put_coloured(t, BOLD, "Parents");
	(void)fputc(' ', t->out);
	put_coloured(t, RED, "NOT USABLE");
	(void)fputs(": this file alone is shown\n", t->out);
	put_fault(t, t->survey->faults[0]);
}

static void put_checksums(const struct table *t)
{
	const struct survey *survey = t->survey;
	const size_t first = survey->is_broken ? 1 : 0;
	char size[TEXT_SIZE_BYTES];

	(void)fputc('\n', t->out);
	put_coloured(t, BOLD, "Checksums");
	(void)fputc(' ', t->out);
	if (survey->fault_count == first) {
		put_coloured(t, GREEN, "all right");
		(void)fprintf(t->out, "%s: headers, notes, and %" PRIu64 " segments with %s\n",
			      survey->is_broken ? " in this file" : "", survey->segments,
			      text__size(survey->bytes, size));
		return;
	}
	put_coloured(t, RED, "DAMAGED");
	(void)fputc('\n', t->out);
	for (size_t i = first; i < survey->fault_count && i < SURVEY_FAULTS; i++)
		put_fault(t, survey->faults[i]);
	if (survey->fault_count > SURVEY_FAULTS)
		(void)fprintf(t->out, "  and %zu more\n", survey->fault_count - SURVEY_FAULTS);
}

void table__write(FILE *out, const struct image_chain *chain, const struct survey *survey,
		  bool in_colours)
{
	struct table t = {
		.out = out, .image = chain->images[0], .survey = survey, .in_colours = in_colours};

	put_head(&t);
	put_mappings(&t);
	put_threads(&t);
	put_signals(&t);
	put_files(&t);
	put_parents(&t);
	put_checksums(&t);
}
