/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See history.h.
 */
#include "libckpt/history.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 10000 };

/* Writes PATH.NUMBER. */
static int make_name(char name[PATH_MAX], const char *path, uint32_t number)
{
	size_t length = strlen(path), digits = 1;

	for (uint32_t rest = number; rest >= 10; rest /= 10)
		digits++;
	if (length + 1 + digits >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path, length);
	name[length] = '.';
	name[length + 1 + digits] = '\0';
	for (size_t i = digits; i > 0; i--, number /= 10)
		name[length + i] = (char)('0' + number % 10);
	return 0;
}

const struct history_item *history__newest(struct history *h)
{
	if (h->owner != getpid())
		history__forget(h);
	return h->count ? &h->items[h->count - 1] : NULL;
}

/* Identifies a file by what does not change while it is written: the time is that of its birth. */
static int identify_for_life(struct history_item *item, int fd, const char *path)
{
	const int flags = *path ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
	struct statx st;

	*item = (struct history_item){0};
	if (statx(fd, path, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	if (!S_ISREG(st.stx_mode))
		return -ENOENT; /* nothing that an image replaces */
	item->device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	item->inode = st.stx_ino;
	if (st.stx_mask & STATX_BTIME) /* not all file systems have it */
		item->time_ns = (uint64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
	return 0;
}

/* Is the image of the item at path? */
static int check_file(const struct history_item *item, const char *path)
{
	struct history_item there = {0};
	int err = identify_for_life(&there, AT_FDCWD, path);

	if (err)
		return err;
	return there.device == item->device && there.inode == item->inode &&
			       there.time_ns == item->time_ns
		       ? 0
		       : -ESTALE;
}

/* Gives what is at path a second name, h->parent. Names of an earlier run may be taken. */
static int add_name(struct history *h, const char *path)
{
	for (uint32_t tries = 0; tries < NAMES_TRIED; tries++) {
		int err = make_name(h->parent, path, ++h->last_name);

		if (err)
			return err;
		if (link(path, h->parent) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int history__name(struct history *h, const char *path)
{
	struct history_item *item;
	int err;

	if (h->count == 0)
		return -ENOENT;
	item = &h->items[h->count - 1];
	if (item->name) {
		err = make_name(h->parent, path, item->name);
		return err ? err : check_file(item, h->parent);
	}
	err = add_name(h, path);
	if (err)
		return err;
	err = check_file(item, h->parent);
	if (err)
		(void)unlink(h->parent); /* its first name stays */
	else
		item->name = h->last_name;
	return err;
}

void history__begin(struct history *h, int fd)
{
	(void)identify_for_life(&h->written, fd, ""); /* on failure all zeros, which is no file */
}

void history__come_back(struct history *h)
{
	history__forget(h);
	h->origin = h->written;
	h->is_back = true;
}

int history__spare(struct history *h, const char *path)
{
	int err;

	if (!h->is_back)
		return 0;
	err = check_file(&h->origin, path);
	if (err == -ESTALE)
		err = add_name(h, path);
	if (err && err != -ENOENT)
		return err;
	h->is_back = false;
	return 0;
}

/* The oldest item that is needed: one of the newest keep, or what these add to. */
static uint32_t first_needed(const struct history *h, unsigned int keep)
{
	uint32_t first = h->count > keep ? h->count - keep : 0;

	while (first > 0 && h->items[first].depth > 0)
		first--;
	return first;
}

void history__add(struct history *h, const char *path, const struct history_item *added,
		  unsigned int keep)
{
	struct history_item *item;
	char name[PATH_MAX];
	uint32_t first;

	if (h->owner != getpid())
		history__forget(h);
	if (h->count == HISTORY_ITEMS) { /* keep and a chain are always fewer */
		memmove(h->items, h->items + 1, (HISTORY_ITEMS - 1) * sizeof(h->items[0]));
		h->count--;
	}
	item = &h->items[h->count++];
	*item = *added;
	first = first_needed(h, keep);
	for (uint32_t i = 0; i < first; i++) {
		if (h->items[i].name && make_name(name, path, h->items[i].name) == 0 &&
		    check_file(&h->items[i], name) == 0)
			(void)unlink(name); /* it may be gone already */
	}
	h->count -= first;
	memmove(h->items, h->items + first, h->count * sizeof(h->items[0]));
}

void history__forget(struct history *h)
{
	h->count = 0;
	h->owner = getpid();
}
