/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Are we under valgrind (make valgrind)? A few tests cannot be right there.
 */
#ifndef UNIT_VALGRIND_H
#define UNIT_VALGRIND_H

#include <stdlib.h>
#include <string.h>

/* valgrind runs a program with a library of its own. */
static inline int under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "/vgpreload");
}

#endif
