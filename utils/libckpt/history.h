/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The images that one process has written. The newest is always at PATH. Before it is replaced it
 * gets a second name, PATH.N, under which increments find it and CKPT_KEEP keeps it. Usable inside
 * a signal handler.
 */
#ifndef LIBCKPT_HISTORY_H
#define LIBCKPT_HISTORY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { HISTORY_CHAIN = 32, HISTORY_ITEMS = 1000 + 2 * HISTORY_CHAIN };

struct history_item {
	uint64_t id;    /* of the image */
	uint32_t name;  /* N of PATH.N; 0: only at PATH */
	uint32_t depth; /* 0: a full image */
	uint64_t device, inode,
		time_ns; /* of the file; the time, for inode numbers are used again */
};

struct history {
	struct history_item items[HISTORY_ITEMS]; /* the oldest first */
	uint32_t count;
	uint32_t last_name;
	struct history_item written; /* the file of the last history__begin */
	struct history_item origin;  /* the file that this process was brought back from */
	bool is_back;                /* brought back, and no image written since? */
	pid_t owner;                 /* the process that wrote them; a fork copies the struct */
	char parent[PATH_MAX];       /* of the last history__name */
};

/* The newest image, or NULL if there is none. A child of fork(2) forgets those of its parent. */
const struct history_item *history__newest(struct history *history);

/*
 * Gives the newest image its second name, if it has none. Returns 0 with the name in
 * history->parent, -ENOENT if there is no image, -ESTALE if something else is at path now (children
 * write to the same path), -ENAMETOOLONG, or the -errno of link(2) or stat(2).
 */
int history__name(struct history *history, const char *path);

/* Notes that the image item is at path now. Keeps the newest keep images and what they add to, and
 * removes the others. */
void history__add(struct history *history, const char *path, const struct history_item *item,
		  unsigned int keep);

/* Notes that an image is begun in the new file fd. The note is in the image's memory, so the image
 * knows which file it is. */
void history__begin(struct history *history, int fd);

/* In a process that was brought back: forgets all images but the one that it came from. */
void history__come_back(struct history *history);

/*
 * To be called before an image is written. Before the first one since history__come_back, the image
 * at path may not be that of the process. It gets a second name then, and is not lost. Returns 0,
 * -EEXIST if no name is free, -ENAMETOOLONG, or the -errno of link(2).
 */
int history__spare(struct history *history, const char *path);

/* Forgets all images; their files stay. The numbers of names go on. */
void history__forget(struct history *history);

#endif
