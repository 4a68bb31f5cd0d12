/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file of a control socket: where it lies, how it is made, and how one is removed that a killed
 * tracer has left behind.
 *
 * Always holds: a socket's file is made and removed under the lock of its folder. So a socket that
 * is just being made is never taken for a dead one. The lock ends with its holder.
 */
#ifndef TRACER_ASK_SOCKET_FILE_H
#define TRACER_ASK_SOCKET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

/*
 * Writes the folder of the default paths: /run/tracer for root, otherwise $XDG_RUNTIME_DIR/tracer.
 * Returns 0; -REASON_NO_RUN_FOLDER if that variable is not set; -ENAMETOOLONG.
 */
int socket_file__default_folder(char *buffer, size_t size);

/* Writes the path of the socket for the target pid: PID.sock in that folder. Returns the same. */
int socket_file__default_path(pid_t pid, char *buffer, size_t size);

/* Makes the folder of a default path, for this user alone. In root's folder, others can reach a
 * socket whose name they know. Returns 0; -EPERM if others may write to it; or another -errno.
 * Problems are told on stderr. */
int socket_file__make_folder(const char *path);

/*
 * Binds fd to the path, with mode 0600. A socket that is there and dead is replaced, nothing else.
 * Returns 0; -EADDRINUSE if it is not dead; -REASON_NO_SOCKET; -REASON_FOLDER_LOCKED if somebody
 * does not let go of the folder's lock; or another -errno.
 */
int socket_file__bind(int fd, const struct sockaddr_un *address);

/* Removes the socket there if it is dead, and nobody holds the lock. Returns whether it did. */
bool socket_file__remove_dead(const char *path);

/* Removes the dead sockets in a folder of default paths. Returns their number. */
unsigned int socket_file__sweep(const char *folder);

#endif
