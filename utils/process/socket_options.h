/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The options of a socket that an image has: those that are on or off.
 */
#ifndef PROCESS_SOCKET_OPTIONS_H
#define PROCESS_SOCKET_OPTIONS_H

#include <stdint.h>

/* What setsockopt(2) calls an option of an image. A socket that does not know it has it off. */
struct socket_option {
	uint64_t bit; /* IMAGE_REUSE_ADDRESS, ... */
	int level, name;
};

enum { SOCKET_OPTIONS = 10 };

extern const struct socket_option socket_options__all[SOCKET_OPTIONS];

#endif
