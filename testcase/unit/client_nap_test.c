/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit test of how often the client library sleeps. access(2) and nanosleep(2) are replaced here:
 * a tracer is played that needs so many polls for its copy, and begins only when the client sleeps
 * between them. Nothing depends on a clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "tap.h"

enum { PAGES = 256, MOST_NAPS = PAGES / 16 };

static char complete[PATH_MAX];
static int naps, polls; /* polls: since the first nap */

int nanosleep(const struct timespec *request, struct timespec *rest)
{
	(void)rest;
	naps++;
	return (int)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, request, NULL);
}

/* Makes the completion file in the last poll of the copy. */
int access(const char *path, int mode)
{
	if (naps && ++polls == PAGES)
		(void)close(open(complete, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
	return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

int main(void)
{
	char dir[] = "/tmp/client_nap_test.XXXXXX";

	tap__plan(4);
	if (!mkdtemp(dir) || setenv("TRACER_CONTROL_DIR", dir, 1) < 0) {
		printf("Bail out! no directory for the control files: %s\n", strerror(errno));
		return 1;
	}
	(void)unsetenv("TRACER_TIMEOUT_MS");
	(void)snprintf(complete, sizeof(complete), "%s/checkpoint_complete", dir);
	tap__equal(client__save(0), 0, "a copy that takes %d polls of a client that sleeps", PAGES);
	tap__equal(polls, PAGES, "ends in the last of them");
	tap__ok(naps <= MOST_NAPS, "the client sleeps at most %d times meanwhile (%d)", MOST_NAPS,
		naps);
	tap__ok(rmdir(dir) == 0, "the control folder is empty at the end");
	return tap__done();
}
