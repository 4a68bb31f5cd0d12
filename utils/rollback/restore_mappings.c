/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_mappings.h. Mappings are compared by address, not one by one: the kernel splits and
 * merges them as it likes.
 */
#include "rollback/restore_mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/maps_name.h"
#include "base/raw_syscall.h"
#include "rollback/bytes.h"
#include "rollback/zones.h"

/* One step, for a part of the address space. then, now: the mapping that the part lies in, at the
 * checkpoint and now; NULL: there is none. */
typedef int step_function(struct rollback *r, const struct range *part, const struct mapping *then,
			  const struct mapping *now, const char **ret_why);

static bool is_same(const struct range *part, const struct mapping *then, const struct mapping *now)
{
	if (then->shared != now->shared || then->inode != now->inode || then->device != now->device)
		return false;
	return then->inode == 0 || then->offset + (part->start - then->start) ==
					   now->offset + (part->start - now->start);
}

static long call(long number, const struct range *part, int argument)
{
	return raw_syscall__call(number, part->start, part->end - part->start, (uint64_t)argument,
				 0);
}

static int unmap_new(struct rollback *r, const struct range *part, const struct mapping *then,
		     const struct mapping *now, const char **ret_why)
{
	(void)r;
	if (!now || (then && is_same(part, then, now)))
		return 0;
	*ret_why = "a mapping that was made since cannot be removed";
	return (int)call(SYS_munmap, part, 0);
}

static int open_file(struct rollback *r, const struct mapping *m)
{
	const int flags = m->shared && (m->protection & PROT_WRITE) ? O_RDWR : O_RDONLY;

	if (!maps_name__decode(m->name, r->path, sizeof(r->path)))
		return -ENAMETOOLONG;
	return (int)raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD, (uintptr_t)r->path,
				      (uint64_t)(flags | O_CLOEXEC), 0);
}

static long map_at(const struct range *part, const struct mapping *m, int flags, long fd,
		   uint64_t offset)
{
	flags |= MAP_FIXED | (m->shared ? MAP_SHARED : MAP_PRIVATE);
	if (m->inode == 0)
		flags |= MAP_ANONYMOUS;
	return raw_syscall__call6(SYS_mmap, part->start, part->end - part->start,
				  (uint64_t)m->protection, (uint64_t)flags, (uint64_t)fd, offset);
}

static int make_again(struct rollback *r, const struct range *part, const struct mapping *m,
		      const char **ret_why)
{
	const bool file = m->inode != 0;
	const uint64_t offset = file ? m->offset + (part->start - m->start) : 0;
	long fd = -1, mapped;

	*ret_why = "a mapping that is gone cannot be made again";
	if (mappings__is_special(m) || (m->shared && !file))
		return -ENOTSUP;
	if (file) {
		fd = open_file(r, m);
		if (fd < 0)
			return (int)fd;
	}
	mapped = map_at(part, m, 0, fd, offset);
	if (mapped == -ENOMEM) /* the kernel counts what may be written */
		mapped = map_at(part, m, MAP_NORESERVE, fd, offset);
	if (fd >= 0)
		(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	return mapped < 0 ? (int)mapped : 0;
}

/* Pages that a mapping got while it was writable stay when it is not. */
static int restore_part(struct rollback *r, const struct range *part, const struct mapping *then,
			const struct mapping *now, const char **ret_why)
{
	int err = 0;

	if (!then)
		return 0;
	if (!now) {
		err = make_again(r, part, then, ret_why);
		zones__mapped(r, part->start, part->end);
	} else if (then->protection != now->protection) {
		*ret_why = "a protection cannot be put back";
		err = (int)call(SYS_mprotect, part, then->protection);
		if (!err && !zones__have(r, part) && !then->shared)
			(void)call(SYS_madvise, part, MADV_DONTNEED);
		zones__changed(r, part->start, part->end);
	}
	return err;
}

/* The first mapping from *i on that ends behind address; NULL if there is none. Moves *i to it. */
static const struct mapping *mapping_at(const struct mapping_list *list, size_t *i,
					uint64_t address)
{
	while (*i < list->count && list->items[*i].end <= address)
		(*i)++;
	return *i < list->count ? &list->items[*i] : NULL;
}

static int each_part(struct rollback *r, step_function *step, const char **ret_why)
{
	size_t i = 0, j = 0;
	uint64_t at = 0, end;
	int err = 0;

	for (; !err; at = end) {
		const struct mapping *then = mapping_at(&r->saved, &i, at);
		const struct mapping *now = mapping_at(&r->now, &j, at);
		struct range part;
		uint64_t to;

		if (!then && !now)
			break;
		end = UINT64_MAX;
		for (int k = 0; k < 2; k++) {
			const struct mapping *m = k ? now : then;

			if (m && m->start > at && m->start < end)
				end = m->start;
			if (m && m->start <= at && m->end < end)
				end = m->end;
		}
		if (then && then->start > at)
			then = NULL;
		if (now && now->start > at)
			now = NULL;
		part.start = at;
		while (!err && zones__next_part(r, true, &part.start, end, &to)) {
			part.end = to;
			err = step(r, &part, then, now, ret_why);
			part.start = to;
		}
	}
	return err;
}

static uint64_t set_brk(uint64_t brk)
{
	return (uint64_t)raw_syscall__call(SYS_brk, brk, 0, 0, 0);
}

/* Makes r->now the list of what is there. Returns 0, 1 if all is as it should be, or -errno. */
static int look(struct rollback *r)
{
	int err = mappings__read(r->files->maps.fd, &r->now_text);

	if (err)
		return err;
	if (r->now_text.length == r->expected_text.length &&
	    memcmp(r->now_text.bytes, r->expected_text.bytes, r->now_text.length) == 0)
		return 1;
	return mappings__parse(&r->now_text, &r->now);
}

/* What was mapped again may be another file by now. */
static int verify(struct rollback *r, const struct range *part, const struct mapping *then,
		  const struct mapping *now, const char **ret_why)
{
	(void)r;
	if (!then || (now && is_same(part, then, now) && then->protection == now->protection))
		return 0;
	*ret_why = "a file that was mapped is another one now";
	return -ESTALE;
}

static int grow_heap(const struct rollback *r, const char **ret_why)
{
	if (r->keeps_brk || set_brk(0) == r->brk || set_brk(r->brk) == r->brk)
		return 0;
	*ret_why = "the heap cannot grow again";
	return -ENOMEM;
}

static void expect_now(struct rollback *r)
{
	const struct mapping_text text = r->expected_text;

	r->expected_text = r->now_text;
	r->now_text = text;
}

static int repair(struct rollback *r, const char **ret_why)
{
	int err = each_part(r, unmap_new, ret_why);

	if (err)
		goto out;
	err = grow_heap(r, ret_why);
	if (err)
		goto out;
	err = look(r);
	if (err)
		goto out;
	err = each_part(r, restore_part, ret_why);
	if (err)
		goto out;
	err = look(r);
	if (err)
		goto out;
	err = each_part(r, verify, ret_why);
	if (err)
		goto out;
	expect_now(r);
out:
	return err < 0 ? err : 0;
}

int restore_mappings__expect(struct rollback *r)
{
	r->brk = set_brk(0);
	return mappings__read(r->files->maps.fd, &r->expected_text);
}

int restore_mappings__restore(struct rollback *r, const char **ret_why)
{
	const uint64_t brk = r->keeps_brk ? r->brk : set_brk(0);
	int err;

	*ret_why = "the mappings cannot be read";
	r->same_mappings = false;
	if (brk > r->brk)
		(void)set_brk(r->brk);
	if (r->flags & ROLLBACK_FIXED_MAPPINGS)
		return brk < r->brk ? grow_heap(r, ret_why) : 0;
	err = look(r);
	r->same_mappings = err > 0;
	if (err)
		return err < 0 ? err : 0;
	r->stats.mapping_changes++;
	return repair(r, ret_why);
}
