/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The files that the process had open. Plain files, folders, memory devices such as /dev/null and
 * our own namespaces are opened again, and what objects.h has is made anew. Of everything else the
 * process gets what restart has under the same number; if that is nothing, the descriptor is
 * missing.
 */
#ifndef REOPEN_FILES_H
#define REOPEN_FILES_H

#include <stdbool.h>

#include "image/image.h"
#include "reopen/missing.h"

enum file_fate {
	FILE_MISSING,
	FILE_OPENED,
	FILE_CONTINUED, /* opened; what follows the end that it had is cut off, see outputs.h */
	FILE_COPIED,    /* of another descriptor with the same open file */
	FILE_INHERITED, /* from restart */
	FILE_MADE,      /* anew, see objects.h */
};

struct files {
	const struct image *image;
	bool accept_changes;   /* of plain files, which are another one or shorter now */
	bool is_same_boot;     /* are numbers of devices what they were? */
	enum file_fate *fates; /* of each file of the image */
	int *made;             /* the descriptors of those that are FILE_MADE, until files__open */
};

/*
 * Works out what becomes of each file, and opens those that are opened for a moment.
 * image: borrowed until files__free. Numbers that it has are as restart was given them.
 * accept_changes: a plain file that is another one now, or shorter, is opened with a warning.
 * missing: descriptors that do not come back are added.
 * Returns 0 and *ret; or -errno, and it has said why, if a plain file cannot be opened: the process
 * cannot go on without it.
 */
int files__check(const struct image *image, bool accept_changes, struct missing *missing,
		 struct files *ret);

/*
 * Makes the files that are made anew, under numbers from first_fd on. The caller has its number for
 * good.
 * missing: those that cannot be made are added.
 * Returns 0 or -ENOMEM.
 */
int files__make(struct files *files, int first_fd, struct missing *missing);

/* Keeps what was written to the outputs of the process since the image, and says so. What cannot be
 * kept will not be cut off. */
void files__keep_outputs(struct files *files);

/*
 * Opens them, and closes all other numbers below first_fd. What files__keep_outputs has kept is cut
 * off.
 * messages_fd: what stderr was, for its number is the process's; -1: nobody is told.
 * Returns 0; or -errno, and it has said why.
 */
int files__open(const struct files *files, int first_fd, int messages_fd);

void files__free(struct files *files);

#endif
