/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control files in their folder (docs/protocol.md). The folder may be /tmp, where anybody can
 * put anything under these names. So no link is ever followed, and nothing but plain files is ever
 * removed. What the tracer creates belongs to the target's user, who alone can then remove it.
 */
#ifndef TRACER_ASK_CONTROL_H
#define TRACER_ASK_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
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

/* The folder's inode, and its device as the kernel keeps it (linux/kdev_t.h). 0 or -errno. */
int control__identity(const struct control *control, uint64_t *ret_inode, uint32_t *ret_device);

/* Is the request file a plain file of that user? 0; -ENOENT when it is gone already; -EPERM when it
 * is a link, another kind of file or somebody else's. From then on it counts as answered. */
int control__check_request(struct control *control, enum operation_kind kind, uid_t uid);

/* A number for the request file that is there and was not answered; 0: there is none. */
uint64_t control__unanswered(const struct control *control, enum operation_kind kind);

/* Does the path of the control folder lead elsewhere by now, or nowhere? */
bool control__is_replaced(const struct control *control);

/* Does process pid see a request file at our path, but in another folder? It does if it has another
 * root folder or other mounts. Ask only if our folder has no request file. */
bool control__is_elsewhere(const struct control *control, enum operation_kind kind, pid_t pid);

/* Removes the completion file of an earlier request, which the client would take for the answer to
 * its next one. Only a plain file of uid or root is removed. Returns 0, also when there is none;
 * -EEXIST, after saying so, if something else is there; or another -errno. */
int control__forget(const struct control *control, enum operation_kind kind, uid_t uid);

/* Makes the next completion file ahead, without a name. On a disk that takes 20 to 60 us, for which
 * the target then need not wait. Does nothing where the file system has no such files (O_TMPFILE,
 * open(2)). */
void control__provide(struct control *control, uid_t uid, gid_t gid);

/*
 * Creates the completion file, owned by uid and gid. An old plain file of uid or root in its place
 * is replaced. 0; -EEXIST for anything else there; or -errno.
 */
int control__complete(struct control *control, enum operation_kind kind, uid_t uid, gid_t gid);

/* Tells the client that its request has failed: removes the request file, if it is a plain file
 * of uid. What cannot be removed is left; the client will time out. */
void control__refuse(struct control *control, enum operation_kind kind, uid_t uid);

/* Removes the control files, if plain, and gives the folder back. control__free(NULL) is
 * harmless. */
void control__free(struct control *control);

#endif
