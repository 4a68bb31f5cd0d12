/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See history.h.
 */
#include "ckpt/history.h"

#include <errno.h>
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

/* Which file is at path: that of its last write, for a new one may get an old inode's number. */
static int identify(struct history_item *item, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	item->device = st.st_dev;
	item->inode = st.st_ino;
	item->time_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

/* Is the image of the item at path? */
static int check_file(const struct history_item *item, const char *path)
{
	struct history_item there = {0};
	int err = identify(&there, path);

	if (!err && (there.device != item->device || there.inode != item->inode ||
		     there.time_ns != item->time_ns))
		err = -ESTALE;
	return err;
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
	/* Names may be left of another run. */
	for (uint32_t tries = 0; tries < NAMES_TRIED; tries++) {
		err = make_name(h->parent, path, ++h->last_name);
		if (err)
			return err;
		if (link(path, h->parent) == 0) {
			err = check_file(item, h->parent);
			if (err)
				(void)unlink(h->parent); /* it has its own name still */
			else
				item->name = h->last_name;
			return err;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* The first item that is still needed: of the newest keep ones, and of what these add to. */
static uint32_t first_needed(const struct history *h, unsigned int keep)
{
	uint32_t first = h->count > keep ? h->count - keep : 0;

	while (first > 0 && h->items[first].depth > 0)
		first--;
	return first;
}

void history__add(struct history *h, const char *path, uint64_t id, uint32_t depth,
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
	*item = (struct history_item){.id = id, .depth = depth};
	(void)identify(item, path); /* if it is gone already, it stays the file 0, which none is */
	first = first_needed(h, keep);
	for (uint32_t i = 0; i < first; i++) {
		if (h->items[i].name && make_name(name, path, h->items[i].name) == 0)
			(void)unlink(name); /* somebody else may have done so */
	}
	h->count -= first;
	memmove(h->items, h->items + first, h->count * sizeof(h->items[0]));
}

void history__forget(struct history *h)
{
	h->count = 0;
	h->owner = getpid();
}
