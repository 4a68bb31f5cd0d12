/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See attributes.h. Each kind is tried, and what the kernel refuses is missing.
 */
#include "restart/attributes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/page.h"
#include "become/threads.h"
#include "image/setting_names.h"
#include "reopen/folder.h"
#include "reopen/program_file.h"
#include "reopen/same_root.h"

/* ---- limits ---- */

int attributes__read_limits(struct plan_limit limits[IMAGE_LIMITS])
{
	for (int i = 0; i < IMAGE_LIMITS; i++) {
		if (syscall(SYS_prlimit64, 0, i, NULL, &limits[i]) < 0) {
			log__error("cannot read a resource limit: %s", strerror(errno));
			return -errno;
		}
	}
	return 0;
}

/* A hard limit can only be raised now, when it does not matter yet: the soft one stays. */
static bool raise_hard(int resource, uint64_t hard)
{
	struct plan_limit limit;

	if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) < 0)
		return false;
	limit.hard = hard;
	return syscall(SYS_prlimit64, 0, resource, &limit, NULL) == 0;
}

static void set_limits(const struct image *image, struct plan_limit limits[IMAGE_LIMITS],
		       struct missing *missing)
{
	/* In the order of RLIMIT_... */
	static const char *const names[IMAGE_LIMITS] = {
		"processor time",
		"file size",
		"data",
		"stack",
		"core file",
		"resident set",
		"processes",
		"open files",
		"locked memory",
		"memory",
		"file locks",
		"pending signals",
		"message queues",
		"nice",
		"real-time priority",
		"real-time processor time",
	};

	for (int i = 0; i < IMAGE_LIMITS; i++) {
		struct plan_limit wanted = {image->attributes.limits[i].soft,
					    image->attributes.limits[i].hard};

		if (wanted.hard > limits[i].hard && !raise_hard(i, wanted.hard)) {
			missing__add(missing, "the limit of %s", names[i]);
			wanted.hard = limits[i].hard;
		}
		if (wanted.soft > wanted.hard)
			wanted.soft = wanted.hard;
		limits[i] = wanted;
	}
}

/* ---- the others ---- */

static bool has_groups(const struct image *image)
{
	uint32_t *groups = NULL;
	int count = getgroups(0, NULL);
	bool are_same = false;

	if (count < 0 || (size_t)count != image->group_count)
		return false;
	groups = calloc((size_t)count + 1, sizeof(*groups));
	if (groups && getgroups(count, groups) == count) /* sorted by the kernel */
		are_same = memcmp(groups, image->groups, (size_t)count * sizeof(*groups)) == 0;
	free(groups);
	return are_same;
}

static bool set_oom(int value)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
	int now;
	bool is_set;

	if (!file)
		return false;
	is_set = fscanf(file, "%d", &now) == 1 && now == value; /* NOLINT: the kernel's text */
	if (!is_set) {
		rewind(file);
		is_set = fprintf(file, "%d\n", value) > 0 && fflush(file) == 0;
	}
	(void)fclose(file);
	return is_set;
}

/* The filter belongs to the memory, which all threads will share. */
static bool set_core_filter(uint32_t filter)
{
	FILE *file = fopen("/proc/self/coredump_filter", "we");
	bool is_set;

	if (!file)
		return false;
	is_set = fprintf(file, "0x%x\n", filter) > 0;
	return fclose(file) == 0 && is_set;
}

static bool register_membarrier(uint32_t commands)
{
	bool are_set = true;

	for (uint32_t command = 1; command; command <<= 1) {
		if ((commands & command) && syscall(SYS_membarrier, command, 0, 0) < 0)
			are_set = false;
	}
	return are_set;
}

/* Each mask is tried: of the processors that there were, this machine may have none. */
static bool can_bind(struct plan *plan)
{
	uint64_t before[16];
	bool can = true;

	if (!plan->scheduling || syscall(SYS_sched_getaffinity, 0, sizeof(before), before) < 0)
		return true;
	for (size_t i = 0; i < plan->thread_count; i++) {
		const uint64_t *wanted = plan->scheduling[i].processors;
		uint64_t any = 0;

		for (size_t k = 0; k < 16; k++)
			any |= wanted[k];
		if (any && syscall(SYS_sched_setaffinity, 0, sizeof(before), wanted) < 0)
			can = false;
	}
	(void)syscall(SYS_sched_setaffinity, 0, sizeof(before), before);
	return can;
}

/* Tried in a child, since what is given away cannot be had again. */
static bool can_prioritise(const struct plan *plan)
{
	int status = 0;
	pid_t child;

	if (!plan->scheduling)
		return true;
	child = fork();
	if (child == 0) {
		for (size_t i = 0; i < plan->thread_count; i++) {
			if (!threads__set_priority(&plan->scheduling[i]))
				_exit(1);
		}
		_exit(0);
	}
	return child < 0 || waitpid(child, &status, __WALL) != child || status == 0;
}

/* Tries one setting in a child, since some hold for good. */
static bool can_set(const struct image_setting *setting)
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(threads__set_setting(setting) ? 0 : 1);
	return child < 0 || waitpid(child, &status, __WALL) != child || status == 0;
}

static bool is_tried(const struct image *image, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (memcmp(image->settings[k].values, image->settings[i].values,
			   sizeof(image->settings[i].values)) == 0 &&
		    image->settings[k].option == image->settings[i].option)
			return true;
	}
	return false;
}

static void try_settings(const struct image *image, struct missing *missing)
{
	for (size_t i = 0; i < image->setting_count; i++) {
		if (!is_tried(image, i) && !can_set(&image->settings[i]))
			missing__add(missing, "%s of prctl(2)",
				     setting_names__of(image->settings[i].option));
	}
}

/* This machine may have other nodes. */
static bool can_allocate(const struct image *image)
{
	void *page;
	bool can = true;

	if (image->policy_count == 0)
		return true;
	page = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return true;
	for (size_t i = 0; i < image->policy_count && can; i++)
		can = syscall(SYS_mbind, page, PAGE_BYTES, image->policies[i].mode,
			      image->policies[i].nodes, IMAGE_NODES_MAX, 0) == 0;
	(void)munmap(page, PAGE_BYTES);
	return can;
}

static bool is_filtered(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
}

static void set_place(const struct image *image, struct plan *plan, struct missing *missing)
{
	const uint32_t flags = image->place.flags;

	if ((flags & IMAGE_SUBREAPER) && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		missing__add(missing, "being the parent of orphans (PR_SET_CHILD_SUBREAPER)");
	if ((flags & IMAGE_NO_HUGE_PAGES) && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
		missing__add(missing, "PR_SET_THP_DISABLE");
	if (flags & IMAGE_LOCKS_FUTURE)
		plan->locks_future = MCL_FUTURE | (flags & IMAGE_LOCKS_ON_USE ? MCL_ONFAULT : 0);
	if ((flags & IMAGE_FILTERED) && !is_filtered())
		missing__add(missing, "its filter of system calls (seccomp)");
	if (flags & IMAGE_LANDLOCKED)
		missing__add(missing, "its restrictions by Landlock");
	if (image->process.sid == image->process.pid && getsid(0) != getpid())
		missing__add(missing, "a session of its own (setsid)");
	else if (image->process.pgrp == image->process.pid && getpgrp() != getpid())
		missing__add(missing, "a process group of its own (setpgid)");
}

/* Where personality(2) is forbidden, the one that restart has may be right. */
static bool has_personality(uint32_t wanted)
{
	FILE *file = fopen("/proc/self/personality", "re");
	char text[32] = "";
	bool has;

	if (!file)
		return false;
	has = fgets(text, sizeof(text), file) && strtoul(text, NULL, 16) == wanted;
	(void)fclose(file);
	return has;
}

static void set_surroundings(const struct image *image)
{
	folder__enter(image);
	(void)umask((mode_t)image->process.umask);
	if (!has_personality(image->process.personality) &&
	    personality(image->process.personality) < 0)
		log__warn("cannot set the personality 0x%x: %s", image->process.personality,
			  strerror(errno));
}

void attributes__set(const struct image *image, struct plan *plan, struct missing *missing)
{
	const struct image_attributes *attributes = &image->attributes;

	if (attributes->flags & IMAGE_HAS_LIMITS) {
		set_limits(image, plan->limits, missing);
		if (!has_groups(image))
			missing__add(missing, "its groups");
	}
	if ((attributes->flags & IMAGE_HAS_OOM) && !set_oom(attributes->oom_score_adj))
		missing__add(missing, "oom_score_adj (it was %d)", attributes->oom_score_adj);
	if ((attributes->flags & IMAGE_HAS_CORE_FILTER) &&
	    !set_core_filter(attributes->core_filter))
		missing__add(missing, "coredump_filter");
	try_settings(image, missing);
	if (!can_allocate(image))
		missing__add(missing, "its memory policies (set_mempolicy, mbind)");
	plan->is_undumpable = (attributes->flags & IMAGE_UNDUMPABLE) != 0;
	if (!register_membarrier(attributes->membarrier))
		missing__add(missing, "registrations of membarrier(2)");
	plan->program_fd = program_file__open(image, plan->first_fd);
	if (plan->program_fd < 0)
		missing__add(missing, "the name of its program file (/proc/PID/exe)");
	if (!can_bind(plan))
		missing__add(missing, "the processors that its threads may use");
	if (!can_prioritise(plan))
		missing__add(missing, "the priorities of its threads (nice, sched_setscheduler)");
	set_place(image, plan, missing);
	same_root__add_missing(image, missing);
	set_surroundings(image);
}
