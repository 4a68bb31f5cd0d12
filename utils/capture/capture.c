/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture.h. This file describes what a process has once; its threads, mappings and open files
 * have files of their own. Source: proc(5); fs/proc/array.c for the fields of stat.
 */
#include "capture/capture.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture_advice.h"
#include "capture/capture_attributes.h"
#include "capture/capture_files.h"
#include "capture/capture_mappings.h"
#include "capture/capture_objects.h"
#include "capture/capture_settings.h"
#include "base/proc_text.h"
#include "image/image_reason.h"
#include "process/file_sharing.h"
#include "process/registrations.h"

enum {
	SMALL_BYTES = 4096,
	STRINGS_EXTRA = 1 << 16, /* for everything but mappings and files */
};

/* Field number n (as proc(5) counts, from 1) of /proc/self/stat; the name may hold anything. */
static uint64_t stat_field(const char *stat, unsigned int n)
{
	const char *p = strrchr(stat, ')');

	for (unsigned int field = 2; p && *p && field < n; p++)
		field += *p == ' ';
	return p ? proc_text__take_number(&p, 10) : 0;
}

static void capture_numbers(struct image_process *process, const char *stat)
{
	process->start_code = stat_field(stat, 26);
	process->end_code = stat_field(stat, 27);
	process->start_stack = stat_field(stat, 28);
	process->start_data = stat_field(stat, 45);
	process->end_data = stat_field(stat, 46);
	process->start_brk = stat_field(stat, 47);
	process->arg_start = stat_field(stat, 48);
	process->arg_end = stat_field(stat, 49);
	process->env_start = stat_field(stat, 50);
	process->env_end = stat_field(stat, 51);
	process->brk = (uint64_t)syscall(SYS_brk, 0);
	process->xcr0 = registrations__xcr0();
	process->ppid = getppid();
	process->pgrp = getpgrp();
	process->sid = getsid(0);
	process->uid = getuid();
	process->gid = getgid();
	process->umask = umask(0);
	(void)umask((mode_t)process->umask);
	process->monotonic_ns = clock__read_ns(CLOCK_MONOTONIC);
	process->boottime_ns = clock__read_ns(CLOCK_BOOTTIME);
}

static uint32_t add_link(struct capture *c, const char *path)
{
	char text[SMALL_BYTES];
	ssize_t n = readlink(path, text, sizeof(text));

	return n > 0 && (size_t)n < sizeof(text) ? capture_strings__add(c, text, (size_t)n) : 0;
}

static int capture_process(struct capture *c)
{
	struct image_process *process = &c->image->process;
	char text[SMALL_BYTES];
	struct utsname name;
	ssize_t n;

	n = proc_text__read("/proc/self/stat", text, sizeof(text));
	if (n < 0)
		return (int)n;
	capture_numbers(process, text);
	/* A container may forbid personality(2). */
	if (proc_text__read("/proc/self/personality", text, sizeof(text)) > 0)
		process->personality = (uint32_t)proc_text__find_number(text, "", 16);
	process->cwd = add_link(c, "/proc/self/cwd");
	process->exe = add_link(c, "/proc/self/exe");
	if (proc_text__read("/proc/self/comm", text, sizeof(text)) > 0)
		memcpy(process->name, text, strcspn(text, "\n") % sizeof(process->name));
	n = proc_text__read("/proc/self/cmdline", text, sizeof(text));
	if (n == -EFBIG)
		n = sizeof(text);
	for (ssize_t i = 0; i < n - 1 && i < (ssize_t)sizeof(process->arguments) - 1; i++)
		process->arguments[i] = (char)(text[i] ? text[i] : ' ');
	if (uname(&name) == 0)
		c->image->info.kernel = capture_strings__add(c, name.release, strlen(name.release));
	return 0;
}

static int capture_auxv(struct capture *c)
{
	char *auxv = arena__take(c->arena, SMALL_BYTES);
	ssize_t n = auxv ? proc_text__read("/proc/self/auxv", auxv, SMALL_BYTES) : -ENOMEM;

	if (n < 0)
		return (int)n;
	c->image->auxv = auxv;
	c->image->auxv_bytes = (size_t)n / sizeof(Elf64_auxv_t) * sizeof(Elf64_auxv_t);
	return 0;
}

/* The kernel lists the children of a thread. */
static bool has_children(pid_t tid)
{
	char path[64], text[64];
	ssize_t n;

	proc_text__make_path(path, "/proc/self/task/", (uint64_t)tid, 10, "/children");
	n = proc_text__read(path, text, sizeof(text));
	return n > 0 || n == -EFBIG;
}

uint64_t capture__missing(const struct stopped_thread *threads, uint64_t come_again)
{
	uint64_t missing = 0;

	for (const struct stopped_thread *t = threads; t; t = t->next) {
		if (has_children(t->thread.tid))
			missing |= IMAGE_MISSING_CHILDREN;
		if (t->pending & ~come_again)
			missing |= IMAGE_MISSING_PENDING;
		if (memcmp(threads->namespaces, t->namespaces, sizeof(t->namespaces)) != 0)
			missing |= IMAGE_MISSING_NAMESPACES;
	}
	return missing;
}

static bool is_one_apart(const struct stopped_thread *threads)
{
	for (const struct stopped_thread *t = threads->next; t; t = t->next) {
		if (file_sharing__is_apart(threads->thread.tid, t->thread.tid) ||
		    memcmp(threads->users, t->users, sizeof(t->users)) != 0)
			return true;
	}
	return false;
}

static void capture_signals(struct image *image)
{
	for (int i = 0; i < IMAGE_SIGNALS; i++)
		(void)syscall(SYS_rt_sigaction, i + 1, NULL, &image->signals[i], sizeof(uint64_t));
}

static int read_maps(struct arena *arena, char **ret_text, size_t *ret_bytes)
{
	enum { MAPS_BYTES = 16 << 20 }; /* some 200000 lines */
	char *text = arena__take(arena, MAPS_BYTES);
	ssize_t n = text ? proc_text__read("/proc/self/maps", text, MAPS_BYTES) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret_text = text;
	*ret_bytes = (size_t)n;
	return 0;
}

int capture__process(struct image *image, struct arena *arena, struct stopped_thread *threads,
		     const struct image_run *own, size_t own_count, const int *hidden_fds,
		     const char **step)
{
	struct capture c = {.image = image, .arena = arena};
	size_t maps_bytes = 0;
	char *maps = NULL;
	ssize_t files;
	int err;

	*step = "cannot describe this process";
	if (is_one_apart(threads))
		return -IMAGE_APART;
	*step = "cannot read /proc/self/fd";
	files = capture_files__add(NULL, hidden_fds);
	if (files < 0)
		return (int)files;
	*step = "cannot read /proc/self/maps";
	err = read_maps(arena, &maps, &maps_bytes);
	if (err)
		return err;
	*step = "cannot describe this process";
	err = capture_strings__open(&c, maps_bytes + (size_t)files * PATH_MAX + STRINGS_EXTRA);
	if (err)
		return err;
	c.file_room = (size_t)files + 1;
	image->files = arena__take(arena, c.file_room * sizeof(*image->files));
	image->sizes = arena__take(arena, c.file_room * sizeof(*image->sizes));
	image->births = arena__take(arena, c.file_room * sizeof(*image->births));
	if (!image->files || !image->sizes || !image->births)
		return -ENOMEM;
	err = capture_mappings__add(&c, maps, own, own_count);
	if (err)
		return err;
	err = capture_advice__add(&c);
	if (err)
		return err;
	err = capture_threads__add(&c, threads);
	if (err)
		return err;
	err = capture_process(&c);
	if (err)
		return err;
	err = capture_auxv(&c);
	if (err)
		return err;
	err = capture_attributes__add(&c, threads);
	if (err)
		return err;
	err = capture_settings__add(&c, threads);
	if (err)
		return err;
	files = capture_files__add(&c, hidden_fds);
	if (files < 0)
		return (int)files;
	capture_signals(image);
	return capture_objects__add(&c);
}
