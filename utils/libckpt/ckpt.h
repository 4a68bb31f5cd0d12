/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For programs that want to know that restart(1) has brought them back. All processes from one
 * image have the same keys and the same state of random generators. One header for C and C++,
 * nothing to link (before glibc 2.34: -ldl).
 *
 *	static unsigned int seen;
 *
 *	if (ckpt__restarts() != seen) {
 *		seen = ckpt__restarts();
 *		seed_again();
 *	}
 *
 * libckpt(7) has other ways: CKPT_RESTART_SIGNAL, and the option --hook of restart(1).
 */
#ifndef LIBCKPT_CKPT_H
#define LIBCKPT_CKPT_H

#include <dlfcn.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of libckpt. A program that has libckpt linked in may read it itself. */
extern volatile unsigned int libckpt_restarts;

/*
 * Returns how often the process, or the one that it was forked from, has been brought back; 0
 * without libckpt. It changes before any thread goes on. The first call takes locks of the dynamic
 * loader; later ones are safe in a signal handler.
 */
static inline unsigned int ckpt__restarts(void)
{
	static const volatile unsigned int *restarts;
	static const unsigned int never = 0;
	const volatile unsigned int *found = restarts;

	if (!found) {
		found = (const volatile unsigned int *)dlsym(NULL, /* NOLINT: not in a handler */
							     "libckpt_restarts");
		restarts = found = found ? found : &never;
	}
	return *found;
}

#ifdef __cplusplus
}
#endif

#endif
