/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The files by which a process learns about itself. All its checkpoints share them. A child of
 * fork(2) inherits them, but they tell about its parent; and a program may close files that it does
 * not know. Then they are opened anew.
 */
#ifndef ROLLBACK_OWN_FILES_H
#define ROLLBACK_OWN_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/pagemap.h"
#include "pages/write_tracking.h"
#include "rollback/listed_pages.h"
#include "rollback/rollback.h"

struct own_file {
	int fd;
	uint64_t device, inode;
};

struct own_files {
	struct own_file maps, task, pagemap_file;
	struct pagemap pagemap;
	struct write_tracking tracking;
	struct listed_pages listed;
	enum rollback_way wanted;
	/* A checkpoint of an older generation does not know which pages were written. */
	uint64_t generation;
	/* 1 in a page that is wiped in a child of fork(2) (MADV_WIPEONFORK). */
	uint64_t *same_process;
};

/* Opens all. same_process: a page of the caller, all zero. list_room: see listed_pages__open.
 * Returns 0; -EOPNOTSUPP if that way does not work here; or another -errno: nothing is open
 * then. */
int own_files__open(struct own_files *files, enum rollback_way way, uint64_t *same_process,
		    uint64_t list_room);

/* Is there a list of the pages that are written? */
static inline bool own_files__has_list(const struct own_files *files)
{
	return files->listed.list;
}

/* Begins a rollback with the list. Returns whether it has all pages that were written since the
 * last one. If it is over, gives it up, and begins a generation. */
bool own_files__look_at_list(struct own_files *files);

/* How written pages are found. */
enum rollback_way own_files__way(const struct own_files *files);

/* Closes those that are still open. */
void own_files__close(struct own_files *files);

/* Are all there, and of this process? If not, opens them anew, and begins a generation. Returns the
 * number of threads of this process, or -errno. */
long own_files__check(struct own_files *files);

/* Opens them anew, and begins a generation. Returns 0 or -errno. */
int own_files__renew(struct own_files *files);

/* The number of a file of ours in [first, last], the lowest; -1 if there is none. */
int own_files__find(const struct own_files *files, int first, int last);

#endif
