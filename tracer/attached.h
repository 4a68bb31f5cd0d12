/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tracer -p PID: attached to a process that runs already, serving the control socket.
 */
#ifndef TRACER_ATTACHED_H
#define TRACER_ATTACHED_H

#include "options.h"

/* Attaches to options->pid and serves until it is told to detach, gets SIGINT, SIGTERM, SIGHUP or
 * SIGQUIT, or the process has ended. The process lives on. Problems are told on stderr. Returns the
 * exit status: 0, or 125 if it could not attach, or a rollback has broken off. */
int attached__run(const struct options *options);

#endif
