/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For interpose*.c, whose functions take the place of those of the C library. They run outside of
 * our handler, but maybe in one of the program's. So they take no lock and no memory, once the
 * function behind has been found.
 */
#ifndef PRELOAD_NEXT_H
#define PRELOAD_NEXT_H

#include <dlfcn.h>
#include <errno.h>

#define EXPORTED __attribute__((visibility("default")))

/* What the C library makes of the result of a system call: -1 and errno for -errno. */
static inline long next__result(long result)
{
	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

/* The function of that name behind ours. */
#define NEXT(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&(name)) next;                                                   \
		if (!next)                                                                         \
			*(void **)&next = dlsym(RTLD_NEXT, #name);                                 \
		next;                                                                              \
	})

#endif
