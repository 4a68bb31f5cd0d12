/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The images of one process, from the newest back. The newest is always at PATH; before it is
 * replaced it gets a second name, PATH.N, under which increments find it and CKPT_KEEP keeps it.
 * No memory but the struct itself; only system calls.
 */
#ifndef LIBCKPT_HISTORY_H
#define LIBCKPT_HISTORY_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

enum { HISTORY_CHAIN = 32, HISTORY_ITEMS = 1000 + 2 * HISTORY_CHAIN };

struct history_item {
	uint64_t id;                     /* of the image */
	uint32_t name;                   /* N of PATH.N; 0: only at PATH */
	uint32_t depth;                  /* 0: a full image */
	uint64_t device, inode, time_ns; /* of the file; a number of an inode is used again */
};

struct history {
	struct history_item items[HISTORY_ITEMS]; /* the oldest first */
	uint32_t count;
	uint32_t last_name;
	struct history_item
		written;            /* the file of the last history__begin; time_ns: of its birth */
	struct history_item origin; /* the same of the image that this process came from */
	int is_back;                /* has it come from one, and written none since? */
	pid_t owner;                /* whose images these are; a fork copies the struct */
	char parent[PATH_MAX];      /* of the last history__name */
};

/* The newest image, or NULL if there is none. A child of fork(2) has none: those of its parent are
 * forgotten. */
const struct history_item *history__newest(struct history *history);

/*
 * Gives the newest image its second name, if it has none. Returns 0 with the name in
 * history->parent, -ENOENT if there is no image, -ESTALE if something else is at path now (children
 * write to the same path), -ENAMETOOLONG, or the -errno of link(2) or stat(2).
 */
int history__name(struct history *history, const char *path);

/* Notes that the image item, whose file history__begin has noted, was put at path; removes those
 * that are older than the newest keep ones and that none of these needs. */
void history__add(struct history *history, const char *path, const struct history_item *item,
		  unsigned int keep);

/* An image is begun in the new file fd. As this is part of its memory, the
 * image knows which it is. */
void history__begin(struct history *history, int fd);

/* In a process that was brought back: forgets all images but the one it came from. */
void history__come_back(struct history *history);

/*
 * Before an image is written: if this is the first one since history__come_back, and another image
 * than the one that the process came from is at path, that gets a second name, and so is not lost.
 * Returns 0, -EEXIST if no name is free, -ENAMETOOLONG, or the -errno of link(2).
 */
int history__spare(struct history *history, const char *path);

/* Forgets all images; their files stay. The next names go on from where they were. */
void history__forget(struct history *history);

#endif
