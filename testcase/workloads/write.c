/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All ways to write to a few pages of a mapping: by the program, by the kernel for it, by other
 * processes, with pages that come and go (writers.h). Memory that the kernel pins is in pinned.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "writers.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* ---- the ways ---- */

/* The same pages each time: after some rounds they are hot, and not armed any more. */
static void store_same(unsigned char *page, uint64_t with)
{
	(void)page;
	for (uint64_t i = 0; i < FEW; i++)
		store(memory + i * 23 * PAGE, with + i);
}

static void read_into(unsigned char *page, uint64_t with)
{
	int fd = open_file(with, 0);

	must(fd >= 0 && read(fd, page, PAGE) == PAGE, "read");
	close(fd);
}

static void read_direct(unsigned char *page, uint64_t with)
{
	int fd = open_file(with, O_DIRECT);

	if (fd < 0 || read(fd, page, PAGE) != PAGE)
		finish(WORKLOAD_SKIP, "no O_DIRECT in /var/tmp");
	close(fd);
}

/* Lets a child do it, and waits for its end. */
static void let_child(int (*act)(unsigned char *page, uint64_t with), unsigned char *page,
		      uint64_t with)
{
	int status;
	pid_t child = fork();

	must(child >= 0, "fork");
	if (!child)
		_exit(act(page, with) ? errno : 0);
	must(waitpid(child, &status, 0) == child, "waitpid");
	if (status)
		finish(WORKLOAD_SKIP, "a child may not: %s", strerror(WEXITSTATUS(status)));
}

static int call_vm_writev(unsigned char *page, uint64_t with)
{
	struct iovec from = {&with, sizeof(with)}, to = {page + 23, sizeof(with)};

	return process_vm_writev(getppid(), &from, 1, &to, 1, 0) != sizeof(with);
}

static void vm_writev(unsigned char *page, uint64_t with)
{
	let_child(call_vm_writev, page, with);
}

static int write_proc_mem(unsigned char *page, uint64_t with)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	fd = open(path, O_WRONLY);
	return fd < 0 || pwrite(fd, &with, sizeof(with), (off_t)(uintptr_t)(page + 23)) !=
				 (ssize_t)sizeof(with);
}

static void proc_mem(unsigned char *page, uint64_t with)
{
	let_child(write_proc_mem, page, with);
}

static int poke(unsigned char *page, uint64_t with)
{
	pid_t parent = getppid();

	return ptrace(PTRACE_ATTACH, parent, 0, 0) || waitpid(parent, NULL, 0) != parent ||
	       ptrace(PTRACE_POKEDATA, parent, page + 24, with) ||
	       ptrace(PTRACE_DETACH, parent, 0, 0);
}

static void debugger(unsigned char *page, uint64_t with)
{
	let_child(poke, page, with);
}

static int store_in_child(unsigned char *page, uint64_t with)
{
	store(page, with + 1);
	return 0;
}

/* The child has its own copy then, and the parent its page alone again. */
static void beside_child(unsigned char *page, uint64_t with)
{
	let_child(store_in_child, page, with);
	store(page, with);
}

static void discard(unsigned char *page, uint64_t with)
{
	must(!madvise(page, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	if (with % 2)
		store(page, with);
	else
		(void)*(volatile unsigned char *)page;
}

static void free_lazily(unsigned char *page, uint64_t with)
{
	must(!madvise(page, PAGE, MADV_FREE), "MADV_FREE");
	(void)madvise(page, PAGE, MADV_PAGEOUT);
	if (with % 2)
		store(page, with);
}

static void protect(unsigned char *page, uint64_t with)
{
	must(!mprotect(page, PAGE, PROT_READ) && !mprotect(page, PAGE, PROT_READ | PROT_WRITE),
	     "mprotect");
	store(page, with);
	must(!mprotect(page, PAGE, PROT_READ), "mprotect");
	must(!mprotect(page, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

static void on_signal(int number)
{
	(void)number;
}

/* The frame of a signal, on an alternate stack that begins at the page. */
static void signal_frame(unsigned char *page, uint64_t with)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = page, .ss_size = STACK_PAGES * PAGE};
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)with;
	must(!sigaltstack(&stack, NULL) && !sigaction(SIGUSR1, &action, NULL), "sigaltstack");
	must(!raise(SIGUSR1) && !sigaltstack(&none, NULL), "raise");
}

/* With a userfaultfd of the program's own, which stays open. */
static void register_memory(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register all = {.range = {(uintptr_t)memory, BYTES},
				      .mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &all))
		finish(WORKLOAD_SKIP, "no userfaultfd: %s", strerror(errno));
}

/* ---- cases ---- */

CASE(play_store, store, NULL)
CASE(play_same, store_same, NULL)
CASE(play_read, read_into, NULL)
CASE(play_direct, read_direct, NULL)
CASE(play_vm_writev, vm_writev, NULL)
CASE(play_proc_mem, proc_mem, NULL)
CASE(play_debugger, debugger, NULL)
CASE(play_beside_child, beside_child, NULL)
CASE(play_discard, discard, NULL)
CASE(play_free, free_lazily, NULL)
CASE(play_protect, protect, NULL)
CASE(play_signal, signal_frame, NULL)
CASE(play_registered, store, register_memory)

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"store", play_store},
		{"same", play_same},
		{"read", play_read},
		{"read-direct", play_direct},
		{"process-vm-writev", play_vm_writev},
		{"proc-mem", play_proc_mem},
		{"debugger", play_debugger},
		{"beside-child", play_beside_child},
		{"discard", play_discard},
		{"free", play_free},
		{"protect", play_protect},
		{"signal-frame", play_signal},
		{"registered", play_registered},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
