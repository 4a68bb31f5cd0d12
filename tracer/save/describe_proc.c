/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What /proc tells of a process, see describe.h. Source: proc(5); fs/proc/array.c for the fields of
 * stat.
 */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/procfs.h"
#include "image/image_reason.h"
#include "process/registrations.h"
#include "save/describe.h"

static int read_numbers(pid_t pid, struct image_process *process)
{
	struct procfs_fields fields;
	const uint64_t *stat = fields.items;
	char text[16];
	int err = procfs__fields(pid, "stat", &fields);

	if (err)
		return err;
	process->ppid = (int32_t)stat[4];
	process->pgrp = (int32_t)stat[5];
	process->sid = (int32_t)stat[6];
	process->start_code = stat[26];
	process->end_code = stat[27];
	process->start_stack = stat[28];
	process->start_data = stat[45];
	process->end_data = stat[46];
	process->start_brk = stat[47];
	process->arg_start = stat[48];
	process->arg_end = stat[49];
	process->env_start = stat[50];
	process->env_end = stat[51];
	process->xcr0 = registrations__xcr0();
	if (procfs__string(pid, "personality", text, sizeof(text)) > 0)
		process->personality = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

static uint32_t add_link(pid_t pid, const char *name, struct image_draft *draft)
{
	char text[PATH_MAX];

	return procfs__readlink(pid, name, text, sizeof(text)) < 0
		       ? 0
		       : image_draft__string(draft, text);
}

static void read_names(pid_t pid, struct image_draft *draft)
{
	struct image_process *process = &draft->image.process;
	ssize_t count;

	process->cwd = add_link(pid, "cwd", draft);
	process->exe = add_link(pid, "exe", draft);
	count = procfs__read(pid, "comm", process->name, sizeof(process->name) - 1);
	process->name[count > 0 ? strcspn(process->name, "\n") : 0] = '\0';
	count = procfs__read(pid, "cmdline", process->arguments, sizeof(process->arguments) - 1);
	for (ssize_t i = 0; i + 1 < count; i++) {
		if (!process->arguments[i])
			process->arguments[i] = ' ';
	}
}

/* What follows a key in status; "" if there is no such key. */
static const char *find_line(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) : "";
}

static int read_groups(struct image *image, const char *text)
{
	char *end;

	for (;; text = end) {
		const unsigned long group = strtoul(text, &end, 10);
		uint32_t *larger;

		if (end == text || *text == '\n')
			return 0;
		larger = reallocarray(image->groups, image->group_count + 1, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		image->groups = larger;
		image->groups[image->group_count++] = (uint32_t)group;
	}
}

static int read_status(pid_t pid, struct image *image)
{
	char text[16384];
	ssize_t length = procfs__string(pid, "status", text, sizeof(text));

	if (length < 0)
		return (int)length;
	image->process.umask = (uint32_t)strtoul(find_line(text, "\nUmask:"), NULL, 8);
	image->process.uid = (uint32_t)strtoul(find_line(text, "\nUid:"), NULL, 10);
	image->process.gid = (uint32_t)strtoul(find_line(text, "\nGid:"), NULL, 10);
	if (strtoul(find_line(text, "\nSeccomp:"), NULL, 10))
		image->place.flags |= IMAGE_FILTERED;
	return read_groups(image, find_line(text, "\nGroups:\t"));
}

static int read_limits(pid_t pid, struct image_attributes *attributes)
{
	_Static_assert(sizeof(attributes->limits[0]) == sizeof(struct rlimit64),
		       "the kernel writes a limit to each");
	char text[16];

	for (int i = 0; i < IMAGE_LIMITS; i++) {
		if (syscall(SYS_prlimit64, pid, i, NULL, &attributes->limits[i]) < 0)
			return -errno;
	}
	attributes->flags |= IMAGE_HAS_LIMITS;
	if (procfs__string(pid, "oom_score_adj", text, sizeof(text)) > 0) {
		attributes->oom_score_adj = (int32_t)strtol(text, NULL, 10);
		attributes->flags |= IMAGE_HAS_OOM;
	}
	return 0;
}

static void read_place(pid_t pid, struct image_place *place)
{
	char text[64];
	struct stat st;
	FILE *file;

	if (procfs__stat(pid, "root", &st))
		return;
	place->root_inode = st.st_ino;
	place->root_device = st.st_dev;
	if (procfs__readlink(pid, "ns/mnt", text, sizeof(text)) >= 0)
		place->mount_namespace = strtoull(text + strcspn(text, "0123456789"), NULL, 10);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (file) {
		if (fgets(text, sizeof(text), file))
			memcpy(place->boot, text, strcspn(text, "\n") % sizeof(place->boot));
		(void)fclose(file);
	}
	place->flags |= IMAGE_HAS_PLACE;
}

/* What no image holds. */
static void find_missing(const struct described *process, struct image_info *info)
{
	char name[64], text[64];

	for (size_t i = 0; i < process->threads->count; i++) {
		const pid_t tid = process->threads->items[i].tid;

		(void)snprintf(name, sizeof(name), "task/%d/children", tid);
		if (procfs__read(process->pid, name, text, sizeof(text)) > 0)
			info->missing |= IMAGE_MISSING_CHILDREN;
	}
	if (procfs__read(process->pid, "timers", text, sizeof(text)) > 0)
		info->missing |= IMAGE_MISSING_TIMERS;
}

struct status {
	uint64_t process_pending, pending; /* signals, bit N-1 for signal N */
	uint64_t users[8]; /* and groups: real, effective, saved, of the file system */
};

static void read_four(const char *text, uint64_t ret[4])
{
	char *end;

	for (size_t i = 0; i < 4; i++, text = end)
		ret[i] = strtoull(text, &end, 10);
}

static int read_thread_status(pid_t tid, struct status *ret)
{
	char text[16384];
	ssize_t length = procfs__string(tid, "status", text, sizeof(text));

	if (length < 0)
		return (int)length;
	ret->process_pending = strtoull(find_line(text, "\nShdPnd:"), NULL, 16);
	ret->pending = strtoull(find_line(text, "\nSigPnd:"), NULL, 16);
	read_four(find_line(text, "\nUid:"), ret->users);
	read_four(find_line(text, "\nGid:"), ret->users + 4);
	return 0;
}

/* A timer that has expired is not set again before its signal is taken: the landing lets it expire
 * once more. Other signals that are pending are lost. */
int describe__status(const struct described *process, struct description *d)
{
	static const int signals[LANDING_TIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
	struct status first, of_thread;
	uint64_t pending;
	int err = read_thread_status(process->pid, &first);

	if (err)
		return err;
	pending = first.process_pending;
	for (size_t i = 0; i < LANDING_TIMERS; i++) {
		const uint64_t bit = 1ULL << (signals[i] - 1);
		struct itimerval *timer = &d->timers[i];

		if (!(pending & bit) || timer->it_value.tv_sec || timer->it_value.tv_usec)
			continue;
		timer->it_value.tv_usec = 1;
		pending &= ~bit;
	}
	for (size_t i = 0; i < process->threads->count; i++) {
		err = read_thread_status(process->threads->items[i].tid, &of_thread);
		if (err)
			return err;
		if (memcmp(first.users, of_thread.users, sizeof(first.users)) != 0)
			return -IMAGE_APART;
		pending |= of_thread.pending;
	}
	if (pending)
		d->draft.image.info.missing |= IMAGE_MISSING_PENDING;
	return 0;
}

int describe__proc(const struct described *process, struct description *d)
{
	struct image *image = &d->draft.image;
	const pid_t pid = process->pid;
	ssize_t auxv_bytes;
	int err = read_numbers(pid, &image->process);

	if (err)
		return err;
	image->process.pid = process->process;
	err = read_status(pid, image);
	if (err)
		return err;
	err = read_limits(pid, &image->attributes);
	if (err)
		return err;
	read_names(pid, &d->draft);
	read_place(pid, &image->place);
	find_missing(process, &image->info);
	auxv_bytes = procfs__read(pid, "auxv", d->auxv, sizeof(d->auxv));
	if (auxv_bytes < 0)
		return (int)auxv_bytes;
	image->auxv = d->auxv;
	image->auxv_bytes = (size_t)auxv_bytes / sizeof(Elf64_auxv_t) * sizeof(Elf64_auxv_t);
	return 0;
}
