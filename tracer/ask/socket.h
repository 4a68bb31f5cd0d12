/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control socket: one line asks, one JSON object in one line answers (docs/socket.md). It is a
 * unix stream socket of mode 0600. Only root, the user of the tracer and the process that is traced
 * are heard. At a default path of root, the socket belongs to the user of that process, so that it
 * can connect. Nothing here waits for a client: not for the rest of its line, not for it to read
 * its answer.
 */
#ifndef TRACER_ASK_SOCKET_H
#define TRACER_ASK_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	SOCKET_LINE_BYTES = 4096, /* of a request, with its newline */
	SOCKET_CLIENTS = 32,      /* that may command, at the same time */
};

struct socket;

struct socket_request {
	char *line;       /* without a newline; may be changed */
	pid_t pid;        /* of the process that has connected; 0: not known */
	uid_t uid;        /* and its effective user then */
	bool may_command; /* it belongs to root or to the user of the tracer */
	int fd;           /* sent with the answer, and closed by the socket; -1: none */
};

typedef void socket_answer(void *context, struct socket_request *request, FILE *out);

/*
 * Listens at path, where the socket of a killed tracer is replaced, and nothing else. NULL: at the
 * default path for pid (socket_file.h). Its folder is made if it is missing, and the sockets of
 * killed tracers in it are removed.
 * Problems are told on stderr. Returns 0 and *ret_socket; -EADDRINUSE if somebody listens there;
 * -REASON_NO_SOCKET; -EPERM if others may write to the folder of a default path;
 * -REASON_FOLDER_LOCKED if somebody does not let go of that folder's lock; or another -errno.
 */
int socket__open(const char *path, pid_t pid, struct socket **ret_socket);

/* Where it listens. */
const char *socket__path(const struct socket *socket);

/* A descriptor that is readable when socket__serve has something to do. */
int socket__fd(const struct socket *socket);

/*
 * Accepts clients and carries out at most one request of each.
 * answer: called for each request; writes one JSON object to out, without a newline.
 * A line that has arrived is carried out even if its client has gone; half a line never is. If
 * there are too many clients, the one that has been silent for longest goes.
 * Returns whether more requests have arrived already.
 */
bool socket__serve(struct socket *socket, socket_answer *answer, void *context);

/* Removes it, unless somebody else's is there now. socket__close(NULL) is harmless. */
void socket__close(struct socket *socket);

#endif
