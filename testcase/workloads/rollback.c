/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A library for LD_PRELOAD that lets a program that knows nothing of it be rolled back as a whole:
 * access("/@checkpoint", 0) and fopen("/@checkpoint", ...) take a checkpoint, "/@rollback"
 * goes back to it, $ROLLBACKS times; from then on it does nothing. All four fail like a file
 * that is not there. The request runs on a stack of its own in a shared file, which is not tracked.
 * With --regions mmap,heap,bss,data,stack all other memory is restored, and with it the registers
 * that swapcontext saved: the program goes on by returning from the call that took the checkpoint.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "base/parse.h"
#include "client/client.h"

enum { STACK_BYTES = 64 << 10 };

struct untracked {
	ucontext_t requester;
	uint64_t done, wanted; /* rollbacks */
	int restores;
	char stack[STACK_BYTES];
};

static struct untracked *untracked;
static ucontext_t program; /* tracked: a restore makes it the one of the checkpoint */

/* On the stack of its own; the end of it is a jump back into the program. */
static void request(void)
{
	int err = untracked->restores ? client__restore(0) : client__save(0);

	if (err) {
		dprintf(STDERR_FILENO, "rollback: %s\n", client__strerror(err));
		_exit(125);
	}
	setcontext(&program);
}

static void prepare(void)
{
	const char *text = getenv("ROLLBACKS");
	int fd = memfd_create("untracked", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(*untracked)))
		abort();
	untracked = mmap(NULL, sizeof(*untracked), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (untracked == MAP_FAILED || (text && parse__u64(text, 0, 1000, &untracked->wanted)))
		abort();
	close(fd);
}

static void ask(int restores)
{
	if (!untracked)
		prepare();
	if (restores && untracked->done == untracked->wanted)
		return;
	untracked->done += (uint64_t)restores;
	untracked->restores = restores;
	getcontext(&untracked->requester);
	untracked->requester.uc_stack.ss_sp = untracked->stack;
	untracked->requester.uc_stack.ss_size = STACK_BYTES;
	untracked->requester.uc_link = NULL;
	makecontext(&untracked->requester, request, 0);
	swapcontext(&program, &untracked->requester);
}

/* Is path one of ours? Then it is done, and errno says that there is no such file. */
static bool is_request(const char *path)
{
	if (strcmp(path, "/@checkpoint") != 0 && strcmp(path, "/@rollback") != 0)
		return false;
	ask(!strcmp(path, "/@rollback"));
	errno = ENOENT;
	return true;
}

int access(const char *path, int mode)
{
	int (*next)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");

	return is_request(path) ? -1 : next(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	FILE *(*next)(const char *, const char *) =
		(FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");

	return is_request(path) ? NULL : next(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}
