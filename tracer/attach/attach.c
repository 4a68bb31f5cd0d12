/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See attach.h. Here: to attach and to detach, and the list of checkpoints.
 */
#include "attach/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "attach/attach_state.h"
#include "attach/layout.h"
#include "attach/may_attach.h"
#include "base/page.h"
#include "base/procfs.h"
#include "target/reason.h"
#include "target/sharers.h"

enum {
	PROCESSOR = 39,   /* field of proc_pid_stat(5) */
	AWAKE_NS = 50000, /* a stop takes half of that, and to wake up from sleep a quarter */
};

void attach_state__retire(struct attach *attach, struct checkpoint *checkpoint)
{
	checkpoints__remove(&attach->list, checkpoint);
	if (checkpoint != attach->base)
		checkpoint__free(checkpoint);
}

bool attach__release_late(struct attach *attach)
{
	if (freeze__holds_any(attach->freeze))
		freeze__release(attach->freeze);
	return freeze__holds_any(attach->freeze);
}

bool attach_state__is_undisturbed(const struct attach *attach)
{
	return attach->base && attach->is_sure &&
	       fault_list__has_all(attach->faults, &attach->mark);
}

int attach_state__check_sharers(struct attach *attach, const struct threads *threads)
{
	pid_t sharer;

	if (attach_state__is_undisturbed(attach))
		return 0;
	sharer = sharers__find(&attach->sharers, attach->pid, threads);
	attach->is_shared = sharer;
	if (!sharer)
		return 0;
	(void)snprintf(attach->detail, sizeof(attach->detail), "process %d", sharer);
	return -REASON_MEMORY_SHARED;
}

/* Was its first thread on another processor than ours? Then it can stop while we look. */
static bool stops_elsewhere(pid_t pid)
{
	struct procfs_fields fields;

	return !procfs__fields(pid, "stat", &fields) &&
	       fields.items[PROCESSOR] != (uint64_t)sched_getcpu();
}

/* What a scan needs is found while the process runs. */
static int prepare_scan(struct attach *attach)
{
	int err;

	(void)attach_state__look_for_userfaults(attach);
	err = attach->base ? checkpoint__find_dense(attach->base) : 0;
	if (err || !attach->base || attach->base->dense.count < DENSE_BLOCKS_SHARED)
		return err;
	if (!attach->second && !attach->has_no_second)
		attach->has_no_second = second_thread__start(&attach->second) != 0;
	second_thread__wake(attach->second);
	return 0;
}

int attach_state__stop(struct attach *attach, bool drop_faults)
{
	int err;

	if (attach__release_late(attach))
		return -REASON_NOT_STOPPED;
	attach_state__look_for_pins(attach);
	err = attach->base ? checkpoint__find_own(attach->base) : 0;
	if (!err && !attach_state__is_undisturbed(attach))
		err = prepare_scan(attach);
	if (err)
		return err;
	freeze__stay_awake(attach->freeze, stops_elsewhere(attach->pid) ? AWAKE_NS : 0);
	err = freeze__stop(attach->freeze, 0);
	if (err)
		goto out;
	err = freeze__deliver(attach->freeze, drop_faults);
	if (err)
		goto out;
	if (!attach_state__is_undisturbed(attach) && pagemap__check(&attach->pagemap))
		err = syscall(SYS_pidfd_send_signal, attach->pidfd, 0, NULL, 0) ? -ESRCH
										: -REASON_EXECED;
out:
	if (err)
		freeze__release(attach->freeze);
	return err;
}

void attach__on_return(struct attach *attach, attach_return *call, void *argument)
{
	attach->returned = call;
	attach->argument = argument;
}

int attach_state__cause(const struct attach *attach, int err)
{
	struct threads threads = {0};
	bool run_on;

	if (err != -ESRCH || threads__read(attach->process, &threads))
		return err;
	run_on = threads.count;
	threads__clear(&threads);
	return run_on ? -REASON_LEADER_ENDED : err;
}

/* ---- to attach and to detach ---- */

/* The end of the caller's own child is for its parent to wait for, not for freeze.c. */
static bool is_child(pid_t pid)
{
	uint64_t parent;

	return !procfs__status_u64(pid, "PPid", &parent) && parent == (uint64_t)getpid();
}

static int open_descriptors(struct attach *attach)
{
	int err, pidfd_err;

	attach->pidfd = (int)syscall(SYS_pidfd_open, attach->process, 0);
	pidfd_err = attach->pidfd < 0 ? -errno : 0;
	err = may_attach__check(attach->process, &attach->pid); /* whose reason tells more */
	if (err || pidfd_err)
		return err ? err : pidfd_err;
	attach->mem_fd = procfs__open(attach->pid, "mem", O_RDONLY);
	if (attach->mem_fd < 0)
		return attach->mem_fd;
	attach->pagemap_fd = procfs__open(attach->pid, "pagemap", O_RDONLY);
	if (attach->pagemap_fd < 0)
		return attach->pagemap_fd;
	attach->files_fd = procfs__open(attach->pid, "fd", O_RDONLY | O_DIRECTORY);
	if (attach->files_fd < 0)
		return attach->files_fd;
	pagemap__init(&attach->pagemap, attach->pagemap_fd);
	pagemap__init(&attach->second_pagemap, attach->pagemap_fd);
	return memory__open(attach->pid, &attach->memory);
}

int attach__open(pid_t pid, enum write_tracking_way best, const struct hooks *hooks,
		 struct attach **ret_attach)
{
	struct attach *attach = calloc(1, sizeof(*attach));
	int err;

	if (!attach)
		return -ENOMEM;
	attach->process = attach->pid = pid;
	attach->pidfd = attach->mem_fd = attach->pagemap_fd = attach->files_fd = -1;
	attach->tracking = (struct write_tracking)WRITE_TRACKING_OFF;
	err = open_descriptors(attach);
	if (err)
		goto out;
	if (syscall(SYS_pidfd_send_signal, attach->pidfd, 0, NULL, 0) && errno == ESRCH) {
		err = -ESRCH; /* the files may be those of another process */
		goto out;
	}
	err = freeze__create(attach->pid, is_child(pid), &attach->freeze);
	if (err)
		goto out;
	err = thread_watch__create(attach->pid, &attach->threads);
	if (err)
		goto out;
	err = sharers__look_around(attach->pid, &attach->sharers);
	if (err)
		goto out;
	if (hooks) /* else the signal stacks of threads are not known */
		(void)thread_reader__open(hooks, attach->process, &attach->reader);
	err = attach_state__start_tracking(attach, best, hooks);
out:
	if (err == -REASON_PTRACE_FORBIDDEN)
		err = may_attach__refusal(pid);
	if (err) {
		attach__close(attach);
		return err;
	}
	*ret_attach = attach;
	return 0;
}

void attach__close(struct attach *attach)
{
	if (!attach)
		return;
	second_thread__stop(attach->second);
	freeze__free(attach->freeze);
	thread_watch__free(attach->threads);
	thread_reader__close(attach->reader);
	sharers__clear(&attach->sharers);
	attach_state__stop_tracking(attach);
	attach_state__lose_base(attach);
	checkpoints__clear(&attach->list);
	page_store__clear(&attach->store);
	changes__clear(&attach->changes);
	intervals__clear(&attach->hot);
	open_files__clear(&attach->opened);
	open_files__clear(&attach->closed);
	memory__free(attach->memory);
	if (attach->files_fd >= 0)
		(void)close(attach->files_fd);
	if (attach->pagemap_fd >= 0)
		(void)close(attach->pagemap_fd);
	if (attach->mem_fd >= 0)
		(void)close(attach->mem_fd);
	if (attach->pidfd >= 0)
		(void)close(attach->pidfd);
	for (size_t i = 0; i < attach->named_count; i++)
		free(attach->named[i]);
	free(attach->named);
	free(attach);
}

/* ---- the list ---- */

int attach__delete(struct attach *attach, const char *name)
{
	struct checkpoint *checkpoint = checkpoints__find(&attach->list, name);

	if (!checkpoint)
		return -REASON_UNKNOWN_NAME;
	attach_state__retire(attach, checkpoint);
	if (!attach->list.first)
		attach_state__lose_base(attach);
	return 0;
}

void attach__visit(const struct attach *attach,
		   void (*each)(const struct attach_checkpoint *checkpoint, void *argument),
		   void *argument)
{
	for (const struct checkpoint *checkpoint = attach->list.first; checkpoint;
	     checkpoint = checkpoint->next) {
		const struct attach_checkpoint shown = {
			.name = checkpoint->name,
			.time_ns = checkpoint->time_ns,
			.pages = checkpoint->tree.pages,
			.own_bytes = page_tree__own_bytes(&checkpoint->tree),
			.threads = (uint32_t)checkpoint->threads.count,
		};

		each(&shown, argument);
	}
}

struct attach_status attach__status(const struct attach *attach)
{
	return (struct attach_status){
		.pid = attach->process,
		.way = attach->tracking.way,
		.has_list = attach->faults,
		.checkpoints = attach->list.count,
		.store_bytes = attach->store.pages * PAGE_BYTES,
		.rollbacks = attach->rollbacks,
	};
}

/* Has it been named? If not, it is from now on. */
static bool was_named(struct attach *attach, const char *path)
{
	char **larger;

	for (size_t i = 0; i < attach->named_count; i++)
		if (!strcmp(attach->named[i], path))
			return true;
	larger = reallocarray(attach->named, attach->named_count + 1, sizeof(*larger));
	if (!larger)
		return false;
	attach->named = larger;
	larger[attach->named_count] = strdup(path);
	if (larger[attach->named_count])
		attach->named_count++;
	return false;
}

void attach__name_left_alone(struct attach *attach,
			     void (*each)(const struct mapping *mapping, void *argument),
			     void *argument)
{
	const struct checkpoint *newest = checkpoints__find(&attach->list, NULL);

	for (size_t i = 0; newest && i < newest->mappings.count; i++) {
		const struct mapping *mapping = &newest->mappings.items[i];
		const enum layout_kind kind = layout__kind(mapping);

		if ((kind == LAYOUT_DEVICE ||
		     (kind == LAYOUT_SHARED && (mapping->flags & MAPPING_WRITE))) &&
		    !was_named(attach, mapping->path))
			each(mapping, argument);
	}
}

static void visit_files(const struct attach *attach, const struct open_files *files,
			enum attach_file_state state,
			void (*each)(const struct attach_file *file, void *argument),
			void *argument)
{
	for (size_t i = 0; i < files->count; i++) {
		struct attach_file file = {.fd = files->items[i].fd, .state = state};
		char name[32];

		(void)snprintf(name, sizeof(name), "fd/%d", file.fd);
		if (state == ATTACH_FILE_OPENED)
			(void)procfs__readlink(attach->pid, name, file.name, sizeof(file.name));
		each(&file, argument);
	}
}

void attach__visit_files(const struct attach *attach,
			 void (*each)(const struct attach_file *file, void *argument),
			 void *argument)
{
	visit_files(attach, &attach->opened,
		    attach->were_closed ? ATTACH_FILE_ENDED : ATTACH_FILE_OPENED, each, argument);
	visit_files(attach, &attach->closed, ATTACH_FILE_CLOSED, each, argument);
}

const char *attach__detail(const struct attach *attach)
{
	return attach->detail;
}

int attach__pidfd(const struct attach *attach)
{
	return attach->pidfd;
}
