/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the environment tells libckpt, see libckpt(7).
 */
#ifndef LIBCKPT_SETTINGS_H
#define LIBCKPT_SETTINGS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SETTINGS_MESSAGE_BYTES = 256, SETTINGS_KEEP_MAX = 1000 };

struct settings {
	uint64_t interval_ns;   /* CKPT_INTERVAL; 0: only when the signal comes */
	unsigned int keep;      /* CKPT_KEEP: images, at least 1 */
	int signal;             /* CKPT_SIGNAL */
	int incremental;        /* CKPT_INCREMENTAL */
	int fork;               /* CKPT_FORK */
	int verbose;            /* CKPT_VERBOSE */
	char path[PATH_MAX];    /* CKPT_FILE, absolute, of the process of settings__set_pid */
	char pattern[PATH_MAX]; /* the same with its %p */
	size_t folder_bytes;    /* of pattern, in which %p is nothing special */
};

/*
 * Reads the environment. *settings is set, message only on failure: which variable, what is wrong
 * with it, and what it may be; settings->signal can be used nevertheless. Returns 0; -EINVAL or -ERANGE for a value; -ENAMETOOLONG; or the
 * -errno of getcwd(3).
 */
int settings__read(struct settings *settings, char *message);

/* Makes the path for the process of that number: it may have been forked, or brought back. For signal
 * handlers. */
void settings__set_pid(struct settings *settings, pid_t pid);

#endif
