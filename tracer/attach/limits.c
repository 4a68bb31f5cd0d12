/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See limits.h. Source: setrlimit(2); may_expand_vm() in mm/mmap.c.
 */
#include "attach/limits.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "target/reason.h"

static const int resources[LIMITS_RAISED] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_NOFILE};

/* The usual fs.nr_open: no limit of descriptors may be higher. */
enum { DESCRIPTORS = 1 << 20 };

static bool set(pid_t pid, int resource, const struct rlimit64 *limit)
{
	return syscall(SYS_prlimit64, pid, resource, limit, NULL) == 0;
}

void limits__raise(struct limits *limits, pid_t pid)
{
	limits->pid = pid;
	for (int i = 0; i < LIMITS_RAISED; i++) {
		const uint64_t most = resources[i] == RLIMIT_NOFILE ? DESCRIPTORS : RLIM64_INFINITY;
		struct rlimit64 *before = &limits->before[i], up;

		if (syscall(SYS_prlimit64, pid, resources[i], NULL, before) != 0 ||
		    before->rlim_cur >= most)
			continue;
		up = (struct rlimit64){most, before->rlim_max > most ? before->rlim_max : most};
		limits->is_raised[i] = set(pid, resources[i], &up);
		if (limits->is_raised[i] || before->rlim_cur == before->rlim_max)
			continue;
		up = (struct rlimit64){before->rlim_max, before->rlim_max};
		limits->is_raised[i] = set(pid, resources[i], &up);
	}
}

void limits__put_back(struct limits *limits)
{
	for (int i = 0; i < LIMITS_RAISED; i++) {
		if (limits->is_raised[i])
			(void)set(limits->pid, resources[i], &limits->before[i]);
		limits->is_raised[i] = false;
	}
}

/* Does the mapping count as data of the process? */
static bool is_data(const struct mapping *mapping)
{
	return !(mapping->flags & MAPPING_SHARED) && (mapping->flags & MAPPING_WRITE);
}

/* Bytes of ranges in mappings that count for the limit now. */
static uint64_t count_before(const struct mappings *now, const struct intervals *ranges,
			     bool data_only)
{
	uint64_t bytes = 0;
	size_t next = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		const struct interval *range = &ranges->items[i];

		while (next < now->count && now->items[next].end <= range->start)
			next++;
		for (size_t k = next; k < now->count && now->items[k].start < range->end; k++) {
			const struct mapping *mapping = &now->items[k];
			const uint64_t start =
				mapping->start > range->start ? mapping->start : range->start;
			const uint64_t end = mapping->end < range->end ? mapping->end : range->end;

			if (!data_only || is_data(mapping))
				bytes += end - start;
		}
	}
	return bytes;
}

/* Bytes of parts that will count for it. */
static uint64_t count_after(const struct layout_parts *parts, bool data_only)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < parts->count; i++)
		if (!data_only || is_data(parts->items[i].mapping))
			bytes += parts->items[i].end - parts->items[i].start;
	return bytes;
}

/* changed: all addresses of the change. */
static bool has_room(pid_t pid, const struct mappings *now, const struct layout_change *change,
		     const struct intervals *changed, bool data_only)
{
	const int resource = data_only ? RLIMIT_DATA : RLIMIT_AS;
	const uint64_t more =
		count_after(&change->map, data_only) + count_after(&change->protect, data_only);
	const uint64_t less = count_before(now, changed, data_only);
	struct rlimit64 limit;
	uint64_t kib = 0;

	if (more <= less || syscall(SYS_prlimit64, pid, resource, NULL, &limit) != 0 ||
	    procfs__status_u64(pid, data_only ? "VmData" : "VmSize", &kib) != 0)
		return true;
	return limit.rlim_cur == RLIM64_INFINITY || kib * 1024 + more - less <= limit.rlim_cur;
}

/* What only gets other rights may become data, or cease to be. */
int limits__check(pid_t pid, const struct mappings *now, const struct layout_change *change)
{
	struct intervals changed = {0};
	int err = intervals__copy(&change->unmap, &changed);

	for (size_t i = 0; i < change->protect.count && !err; i++)
		err = intervals__add(&changed, change->protect.items[i].start,
				     change->protect.items[i].end);
	if (!err && !(has_room(pid, now, change, &changed, false) &&
		      has_room(pid, now, change, &changed, true)))
		err = -REASON_LIMITED;
	intervals__clear(&changed);
	return err;
}
