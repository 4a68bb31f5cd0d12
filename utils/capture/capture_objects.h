/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The open files of the calling process that have no name and can be made anew. These are eventfds,
 * timers, signalfds, epoll instances with their watches, and sockets that wait for others. Pipes
 * and pairs of sockets are among them if the process has both ends. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_OBJECTS_H
#define CAPTURE_CAPTURE_OBJECTS_H

#include "capture/capture_strings.h"

/* Fills in objects, watches and contents. The files of the image are complete. Returns 0 or
 * -ENOMEM. What the kernel does not tell is left out. */
int capture_objects__add(struct capture *capture);

#endif
