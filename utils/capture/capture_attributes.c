/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_attributes.h.
 */
#include "capture/capture_attributes.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/dumpable.h"
#include "base/proc_text.h"
#include "process/registrations.h"

static volatile uint32_t locks_future; /* IMAGE_LOCKS_... */
static volatile bool is_landlocked;

void capture_attributes__note_landlock(void)
{
	is_landlocked = true;
}

void capture_attributes__note_locks(int flags)
{
	locks_future = !(flags & MCL_FUTURE)    ? 0
		       : !(flags & MCL_ONFAULT) ? IMAGE_LOCKS_FUTURE
						: IMAGE_LOCKS_FUTURE | IMAGE_LOCKS_ON_USE;
}

_Static_assert(IMAGE_LIMITS == (int)RLIM_NLIMITS, "all of them");

static int capture_limits(struct capture *c)
{
	struct image *image = c->image;
	long count;

	_Static_assert(sizeof(image->attributes.limits[0]) == sizeof(struct rlimit64), "as it is");
	for (int i = 0; i < IMAGE_LIMITS; i++) {
		if (syscall(SYS_prlimit64, 0, i, NULL, &image->attributes.limits[i]) < 0)
			return -errno;
	}
	count = syscall(SYS_getgroups, 0, NULL);
	if (count < 0)
		return -errno;
	image->groups = arena__take(c->arena, ((size_t)count + 1) * sizeof(*image->groups));
	if (!image->groups)
		return -ENOMEM;
	count = syscall(SYS_getgroups, count, image->groups);
	if (count < 0)
		return -errno;
	image->group_count = (size_t)count;
	image->attributes.flags |= IMAGE_HAS_LIMITS;
	return 0;
}

static void capture_oom(struct image_attributes *attributes)
{
	char text[16];
	const char *digits = text;
	int value;

	if (proc_text__read("/proc/self/oom_score_adj", text, sizeof(text)) <= 0)
		return;
	digits += text[0] == '-';
	value = (int)proc_text__take_number(&digits, 10);
	attributes->oom_score_adj = text[0] == '-' ? -value : value;
	attributes->flags |= IMAGE_HAS_OOM;
}

static void capture_core_filter(struct image_attributes *attributes)
{
	char text[32];
	const char *digits = text;

	if (proc_text__read("/proc/self/coredump_filter", text, sizeof(text)) <= 0)
		return;
	attributes->core_filter = (uint32_t)proc_text__take_number(&digits, 16);
	attributes->flags |= IMAGE_HAS_CORE_FILTER;
}

static void capture_membarrier(struct image_attributes *attributes)
{
	const long told = syscall(SYS_membarrier, REGISTRATIONS_GET_MEMBARRIERS, 0, 0);

	if (told >= 0) {
		attributes->membarrier = (uint32_t)told;
		return;
	}
	for (size_t i = 0; i < REGISTRATIONS_MEMBARRIERS; i++) {
		if (syscall(SYS_membarrier, registrations__membarriers[i].command, 0, 0) == 0)
			attributes->membarrier |=
				(uint32_t)registrations__membarriers[i].registration;
	}
}

/* Few programs have any. Where system calls are filtered, nothing is asked that few filters allow.
 * Source: modify_ldt(2). */
static bool has_segments(const struct image *image)
{
	enum { READ = 0 };
	uint64_t first;

	return !(image->place.flags & IMAGE_FILTERED) &&
	       (int)syscall(SYS_modify_ldt, READ, &first, sizeof(first)) > 0;
}

static uint64_t find_number(const char *text, const char *word)
{
	return proc_text__find_number(text, word, 10);
}

static void capture_surroundings(struct image_surroundings *surroundings)
{
	static const char *const links[IMAGE_NAMESPACES] = {
		"/proc/self/ns/net", "/proc/self/ns/uts",  "/proc/self/ns/ipc",
		"/proc/self/ns/pid", "/proc/self/ns/user", "/proc/self/ns/cgroup",
	};
	struct stat st;

	for (size_t i = 0; i < IMAGE_NAMESPACES; i++)
		surroundings->namespaces[i] = proc_text__find_namespace(links[i]);
	if (stat(".", &st) < 0)
		return;
	surroundings->folder_inode = st.st_ino;
	surroundings->folder_device = st.st_dev;
}

static void capture_rights(struct image_rights *rights, const char *status)
{
	*rights = (struct image_rights){
		.permitted = proc_text__find_number(status, "CapPrm:", 16),
		.effective = proc_text__find_number(status, "CapEff:", 16),
		.inheritable = proc_text__find_number(status, "CapInh:", 16),
		.bounding = proc_text__find_number(status, "CapBnd:", 16),
		.ambient = proc_text__find_number(status, "CapAmb:", 16),
		.euid = (uint32_t)syscall(SYS_geteuid),
		.egid = (uint32_t)syscall(SYS_getegid),
		.are_known = 1,
	};
}

static void capture_place(struct image *image)
{
	struct image_place *place = &image->place;
	char text[4096];
	struct stat st;
	int answer = 0;
	ssize_t n;

	if (stat("/", &st) < 0)
		return;
	place->root_inode = st.st_ino;
	place->root_device = st.st_dev;
	place->mount_namespace = proc_text__find_namespace("/proc/self/ns/mnt");
	n = proc_text__read("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	if (n > 0)
		memcpy(place->boot, text, strcspn(text, "\n") % sizeof(place->boot));
	n = proc_text__read("/proc/self/status", text, sizeof(text));
	if (n > 0 && find_number(text, "Seccomp:"))
		place->flags |= IMAGE_FILTERED;
	if (n > 0)
		capture_rights(&image->rights, text);
	if (prctl(PR_GET_CHILD_SUBREAPER, &answer, 0, 0, 0) == 0 && answer)
		place->flags |= IMAGE_SUBREAPER;
	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
		place->flags |= IMAGE_NO_HUGE_PAGES;
	place->flags |= locks_future | (is_landlocked ? IMAGE_LANDLOCKED : 0) | IMAGE_HAS_PLACE;
}

int capture_attributes__add(struct capture *c, const struct stopped_thread *threads)
{
	int err = capture_limits(c);

	if (err)
		return err;
	capture_oom(&c->image->attributes);
	capture_core_filter(&c->image->attributes);
	capture_membarrier(&c->image->attributes);
	capture_place(c->image);
	capture_surroundings(&c->image->surroundings);
	if (has_segments(c->image))
		c->image->attributes.flags |= IMAGE_LOST_SEGMENTS;
	if (!dumpable__was())
		c->image->attributes.flags |= IMAGE_UNDUMPABLE;
	for (; threads; threads = threads->next) {
		if (threads->rseq_is_unknown)
			c->image->attributes.flags |= IMAGE_LOST_RSEQ;
	}
	return 0;
}
