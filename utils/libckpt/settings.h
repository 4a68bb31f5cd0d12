/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The settings of libckpt, see libckpt(7). preload/environment.h reads them from the environment.
 */
#ifndef LIBCKPT_SETTINGS_H
#define LIBCKPT_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SETTINGS_PID_DIGITS = 7 /* the kernel's limit */ };

struct settings {
	uint64_t interval_ns;   /* CKPT_INTERVAL; 0: only when the signal comes */
	unsigned int keep;      /* CKPT_KEEP: images, at least 1 */
	int signal;             /* CKPT_SIGNAL */
	int restart_signal;     /* CKPT_RESTART_SIGNAL; 0: none */
	bool incremental;       /* CKPT_INCREMENTAL */
	bool fork;              /* CKPT_FORK */
	bool verbose;           /* CKPT_VERBOSE */
	char path[PATH_MAX];    /* absolute, of the process named by settings__set_pid */
	char pattern[PATH_MAX]; /* CKPT_FILE, absolute, with its %p */
	size_t folder_bytes;    /* of pattern, in which %p is nothing special */
};

/* Makes the path for the process of that number, which may have been forked, or brought back. */
void settings__set_pid(struct settings *settings, pid_t pid);

#endif
