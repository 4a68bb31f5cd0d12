/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a module says on stderr, for tests of its messages. Between talk__listen() and talk__hear(),
 * stderr is a file without a name.
 */
#ifndef UNIT_TALK_H
#define UNIT_TALK_H

#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

static struct {
	int own_stderr, file; /* -1: not open */
	char text[1 << 12];   /* what was heard last */
} talk = {-1, -1, ""};

/* Once, before the others. */
static inline void talk__open(void)
{
	talk.own_stderr = dup(STDERR_FILENO);
	talk.file = memfd_create("talk", MFD_CLOEXEC);
	must(talk.own_stderr < 0 || talk.file < 0);
}

/* Keeps what is said from now on, and forgets what was kept before. */
static inline void talk__listen(void)
{
	must(ftruncate(talk.file, 0));
	must(lseek(talk.file, 0, SEEK_SET) != 0);
	must(dup2(talk.file, STDERR_FILENO) != STDERR_FILENO);
}

/* Puts stderr back. Returns talk.text: what was said, at most 4095 bytes. */
static inline const char *talk__hear(void)
{
	ssize_t n;

	must(dup2(talk.own_stderr, STDERR_FILENO) != STDERR_FILENO);
	n = pread(talk.file, talk.text, sizeof(talk.text) - 1, 0);
	talk.text[n > 0 ? n : 0] = '\0';
	return talk.text;
}

static inline void talk__close(void)
{
	(void)close(talk.file);
	(void)close(talk.own_stderr);
}

#endif
