/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fork server of afl-fuzz's runtime, and a coverage map that the target writes by hand. See
 * forkserver/protocol.h.
 */
#ifndef FORKSERVER_TARGET_H
#define FORKSERVER_TARGET_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forkserver/protocol.h"

enum { MAP_BYTES = 65536 };

static unsigned char *coverage;

/* This place of the program has been reached. What decides about it shows in the map. */
static inline void cover(uint64_t place)
{
	place = (place ^ (place >> 29)) * 0xbf58476d1ce4e5b9;
	coverage[(place >> 40) % MAP_BYTES]++;
}

/* Returns in each child. options: of waitpid(2). Without a fuzzer it just returns. */
static inline void target__serve(int options)
{
	static unsigned char none[MAP_BYTES];
	const char *id = getenv("__AFL_SHM_ID");
	uint32_t word = 0;
	pid_t child;

	coverage = id ? shmat((int)strtol(id, NULL, 10), NULL, 0) : none;
	if (write(ANSWER_FD, &word, sizeof(word)) != sizeof(word))
		return;
	for (;;) {
		int status;

		if (read(COMMAND_FD, &word, sizeof(word)) != sizeof(word))
			_exit(0);
		child = fork();
		if (child == 0)
			break;
		if (child < 0 || write(ANSWER_FD, &child, sizeof(child)) != sizeof(child) ||
		    waitpid(child, &status, options) < 0 ||
		    write(ANSWER_FD, &status, sizeof(status)) != sizeof(status))
			_exit(1);
	}
	(void)close(COMMAND_FD);
	(void)close(ANSWER_FD);
}

#endif
