/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The four control files in their folder (docs/protocol.md). The folder may be /tmp, where anybody
 * can put anything under these names: no link is ever followed, nothing but plain files is ever
 * removed, and what the tracer creates belongs to the target's user, who alone can then remove it.
 */
#ifndef TRACER_ASK_CONTROL_H
#define TRACER_ASK_CONTROL_H

#include <sys/types.h>
#include <linux/types.h>
#include "tracer.h"

struct control;

/*
 * Opens folder, takes it for this tracer alone, and removes the control files of an earlier run.
 * Problems are told on stderr. Returns 0 and *ret_control, or -errno: -EBUSY another tracer uses
 * the folder; -EEXIST one of the names is taken by something that is not a plain file;
 * -ENAMETOOLONG; -ENOTDIR; ...
 */
int control__open(const char *folder, struct control **ret_control);

/* The folder as an absolute path, and the paths of the files the target makes and polls. */
const char *control__folder(const struct control *control);
const char *control__request_path(const struct control *control, enum operation_kind kind);
const char *control__completion_path(const struct control *control, enum operation_kind kind);

/*
 * Is the request file what an honest target makes? 0; -EPERM when it is a link, another kind of
 * file or somebody else's; a file that is gone already is fine.
 */
int control__check_request(const struct control *control, enum operation_kind kind, uid_t uid);

/* Removes the completion file of an earlier request, if the client left it and it is a plain file
 * of uid or root: at the next request the client would take it for the answer. */
void control__forget(const struct control *control, enum operation_kind kind, uid_t uid);

/* Makes the next completion file, without a name yet. On a disk that takes 20 to 60 us, which the
 * target need not wait for. Where the file system has no such files (O_TMPFILE, open(2)), nothing
 * is done. */
void control__provide(struct control *control, uid_t uid, gid_t gid);

/*
 * Creates the completion file, owned by uid and gid. An old plain file of uid or root in its place
 * is replaced. 0; -EEXIST for anything else there; or -errno.
 */
int control__complete(struct control *control, enum operation_kind kind, uid_t uid, gid_t gid);

/* Tells the client that its request has failed: removes the request file, if it is a plain file
 * of uid. What cannot be removed is left; the client will time out. */
void control__refuse(const struct control *control, enum operation_kind kind, uid_t uid);

/* Removes the control files, if plain, and gives the folder back. control__free(NULL) is
 * harmless. */
void control__free(struct control *control);

#endif
