/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Open files without a name that are made anew: eventfds, timers, signalfds, epoll instances,
 * pipes, pairs of sockets, sockets that wait for others.
 */
#ifndef REOPEN_OBJECTS_H
#define REOPEN_OBJECTS_H

#include <stdbool.h>

#include "image/image.h"

/* The one that a descriptor of the image is of; NULL if it is of none. */
const struct image_object *objects__find(const struct image *image, int fd);

/*
 * Makes all of them.
 * ret_made: for each file of the image, the descriptor of the object, from first_fd on; -1: it has
 * none, or it could not be made, and errors has the -errno then. Both have room for all files, and
 * are filled in.
 */
void objects__make(const struct image *image, int first_fd, int *ret_made, int *errors);

/* Tells the epoll instances what they watch. All descriptors have the numbers that they had. */
void objects__watch(const struct image *image);

/* Writes "a socket of 127.0.0.1:6379" for one that could not be made; returns buffer. */
const char *objects__name(const struct image *image, const struct image_object *object,
			  char *buffer, size_t bytes);

#endif
