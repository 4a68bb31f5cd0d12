/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See attach.h. Here: to attach and to detach, the list of checkpoints, and write tracking.
 */
#include "attach/attach.h"

#include <errno.h>
#include <fcntl.h>
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
#include "target/inject.h"
#include "target/reason.h"
#include "target/userfault.h"

/* ---- write tracking ---- */

/* Does it work on this kernel? */
static bool works(enum write_tracking_way way)
{
	struct pagemap *own = malloc(sizeof(*own));
	int fd = procfs__open(0, "pagemap", O_RDONLY);
	bool result = false;

	if (own && fd >= 0) {
		pagemap__init(own, fd);
		result = write_tracking__works(way, own);
	}
	if (fd >= 0)
		(void)close(fd);
	free(own);
	return result;
}

/* Can nothing be done with a process for which that is why it cannot make a userfaultfd? */
static bool is_fatal(int err)
{
	switch (err) {
	case -ESRCH:
	case -REASON_TRACED:
	case -REASON_NOT_STOPPED:
	case -REASON_CALLS_FOREIGN:
	case -REASON_PTRACE_FORBIDDEN:
		return true;
	default:
		return false;
	}
}

static int try_protect(struct attach *attach)
{
	int uffd = inject__userfaultfd(attach->pid);

	if (uffd >= 0)
		return write_tracking__watch(&attach->tracking, WRITE_TRACKING_PROTECT, uffd, -1);
	attach->serves_faults = uffd == -REASON_OWN_USERFAULT;
	return uffd;
}

static int try_soft_dirty(struct attach *attach)
{
	int fd = procfs__open(attach->pid, "clear_refs", O_WRONLY);

	return fd < 0 ? fd
		      : write_tracking__watch(&attach->tracking, WRITE_TRACKING_SOFT_DIRTY, -1, fd);
}

static int start_tracking(struct attach *attach, enum write_tracking_way best)
{
	int err;

	if (best == WRITE_TRACKING_PROTECT && works(WRITE_TRACKING_PROTECT)) {
		err = try_protect(attach);
		if (!err || is_fatal(err))
			return err;
	}
	if (best != WRITE_TRACKING_NONE && works(WRITE_TRACKING_SOFT_DIRTY)) {
		err = try_soft_dirty(attach);
		if (!err || err == -ESRCH)
			return err;
	}
	return write_tracking__watch(&attach->tracking, WRITE_TRACKING_NONE, -1, -1);
}

/* Of base, what cannot change unless it is mapped anew: read-only mappings of files. */
static int find_quiet(const struct attach *attach, const struct mappings *mappings,
		      struct intervals *ret_quiet)
{
	struct intervals same = {0}, quiet = {0};
	int err = 0;

	if (!attach->base)
		return 0;
	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) == LAYOUT_FILE && !(mapping->flags & MAPPING_WRITE))
			err = intervals__add(&quiet, mapping->start, mapping->end);
	}
	if (!err)
		err = layout__same(&attach->base->mappings, mappings, &same);
	if (!err)
		err = intervals__intersect(&quiet, &same, ret_quiet);
	intervals__clear(&same);
	intervals__clear(&quiet);
	return err;
}

int attach_state__find_changes(struct attach *attach, const struct mappings *mappings)
{
	static const struct write_tracking none = WRITE_TRACKING_OFF;
	const struct write_tracking *tracking = attach->base ? &attach->tracking : &none;
	struct intervals quiet = {0};
	uint64_t pinned = 0;
	int err;

	/* Pages that a device writes to are not noticed, see write_tracking.h. */
	if (!procfs__status_u64(attach->pid, "VmPin", &pinned) && pinned)
		tracking = &none;
	err = find_quiet(attach, mappings, &quiet);
	if (!err)
		err = changes__find(tracking, &attach->pagemap, mappings, &quiet, &attach->changes);
	intervals__clear(&quiet);
	return err;
}

static void arm_again(struct attach *attach, const struct intervals *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		(void)write_tracking__rearm(&attach->tracking, &attach->pagemap,
					    ranges->items[i].start, ranges->items[i].end);
}

static void arm_all(struct attach *attach, const struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (layout__kind(&mappings->items[i]) == LAYOUT_ANONYMOUS)
			(void)write_tracking__arm(&attach->tracking, &attach->pagemap,
						  mappings->items[i].start, mappings->items[i].end);
}

/* What a mapping and ranges have in common. */
static void arm_parts(struct attach *attach, const struct mapping *mapping,
		      const struct intervals *ranges)
{
	struct intervals own = {0}, parts = {0};

	if (!intervals__add(&own, mapping->start, mapping->end) &&
	    !intervals__intersect(&own, ranges, &parts))
		for (size_t i = 0; i < parts.count; i++)
			(void)write_tracking__arm(&attach->tracking, &attach->pagemap,
						  parts.items[i].start, parts.items[i].end);
	intervals__clear(&own);
	intervals__clear(&parts);
}

void attach_state__arm(struct attach *attach, const struct mappings *mappings,
		       const struct intervals *ranges)
{
	for (size_t i = 0; ranges->count && i < mappings->count; i++)
		if (layout__kind(&mappings->items[i]) == LAYOUT_ANONYMOUS)
			arm_parts(attach, &mappings->items[i], ranges);
}

static bool is_listed(const struct attach *attach, const struct checkpoint *checkpoint)
{
	const struct checkpoint *found = attach->list.first;

	while (found && found != checkpoint)
		found = found->next;
	return found;
}

/* If it was taken out of the list, it is ours to free. */
void attach_state__lose_base(struct attach *attach)
{
	if (!is_listed(attach, attach->base))
		checkpoint__free(attach->base);
	attach->base = NULL;
}

void attach_state__set_base(struct attach *attach, struct checkpoint *base,
			    const struct mappings *mappings, const struct intervals *touched)
{
	const bool first = !attach->base;

	if (attach->base != base)
		attach_state__lose_base(attach);
	attach->base = write_tracking__begin_round(&attach->tracking) ? NULL : base;
	arm_again(attach, touched);
	arm_again(attach, &attach->changes.data);
	if (first)
		arm_all(attach, mappings);
	else
		attach_state__arm(attach, mappings, &attach->changes.unarmed);
}

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

int attach_state__stop(struct attach *attach, bool drop_faults)
{
	int err = attach__release_late(attach) ? -REASON_NOT_STOPPED
					       : freeze__stop(attach->freeze, 0);

	if (!err)
		err = freeze__deliver(attach->freeze, drop_faults);
	if (!err && pagemap__check(&attach->pagemap))
		err = syscall(SYS_pidfd_send_signal, attach->pidfd, 0, NULL, 0) ? -ESRCH
										: -REASON_EXECED;
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
	pid_t *tids = NULL;
	size_t count = 0;

	if (err != -ESRCH || procfs__threads(attach->pid, &tids, &count))
		return err;
	free(tids);
	return count > 1 ? -REASON_LEADER_ENDED : err;
}

/* ---- to attach and to detach ---- */

/* The end of a child is told to its parent by waitid(2), which only the parent may call then. */
static bool is_child(pid_t pid)
{
	uint64_t parent;

	return !procfs__status_u64(pid, "PPid", &parent) && parent == (uint64_t)getpid();
}

static int open_files(struct attach *attach)
{
	int err, pidfd_err;

	attach->pidfd = (int)syscall(SYS_pidfd_open, attach->pid, 0);
	pidfd_err = attach->pidfd < 0 ? -errno : 0;
	err = may_attach__check(attach->pid); /* whose reason tells more */
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
	return memory__open(attach->pid, &attach->memory);
}

int attach__open(pid_t pid, enum write_tracking_way best, struct attach **ret_attach)
{
	struct attach *attach = calloc(1, sizeof(*attach));
	int err;

	if (!attach)
		return -ENOMEM;
	attach->pid = pid;
	attach->pidfd = attach->mem_fd = attach->pagemap_fd = attach->files_fd = -1;
	attach->tracking = (struct write_tracking)WRITE_TRACKING_OFF;
	err = open_files(attach); /* it is the process of the pidfd: */
	if (!err && syscall(SYS_pidfd_send_signal, attach->pidfd, 0, NULL, 0) && errno == ESRCH)
		err = -ESRCH;
	if (!err)
		err = freeze__create(pid, is_child(pid), &attach->freeze);
	if (!err)
		err = start_tracking(attach, best);
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
	freeze__free(attach->freeze);
	write_tracking__close(&attach->tracking);
	attach_state__lose_base(attach);
	checkpoints__clear(&attach->list);
	page_store__clear(&attach->store);
	changes__clear(&attach->changes);
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
		return -ENOENT;
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
		.pid = attach->pid,
		.way = attach->tracking.way,
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
