/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ways to write to a page that are no plain store: by the kernel for the program, by another
 * process, with pages that come and go. Each is a page_writer. A case is skipped where a way is not
 * possible.
 */
#ifndef WORKLOADS_WAYS_H
#define WORKLOADS_WAYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "workload.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { STACK_PAGES = 11 };

/* Writes something to a page, or to the STACK_PAGES from it on. */
typedef void page_writer(unsigned char *page, uint64_t with);

static inline void store(unsigned char *page, uint64_t with)
{
	memcpy(page + 23, &with, sizeof(with));
}

/* A file with a page of these bytes. */
static inline int open_file(uint64_t with, int flags)
{
	char path[] = "/var/tmp/workload-XXXXXX";
	unsigned char bytes[PAGE];
	int fd = mkstemp(path), again;

	fill(bytes, PAGE, with);
	must(fd >= 0 && write(fd, bytes, PAGE) == PAGE && !fsync(fd), path);
	again = open(path, O_RDONLY | O_CLOEXEC | flags);
	must(!unlink(path), path);
	close(fd);
	return again;
}

/* ---- the kernel, other processes ---- */

static inline void read_into(unsigned char *page, uint64_t with)
{
	int fd = open_file(with, 0);

	must(fd >= 0 && read(fd, page, PAGE) == PAGE, "read");
	close(fd);
}

static inline void read_direct(unsigned char *page, uint64_t with)
{
	int fd = open_file(with, O_DIRECT);

	if (fd < 0 || read(fd, page, PAGE) != PAGE)
		finish(WORKLOAD_SKIP, "no O_DIRECT in /var/tmp");
	close(fd);
}

/* Lets a child do it, and waits for its end. */
static inline void let_child(int (*act)(unsigned char *page, uint64_t with), unsigned char *page,
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

static inline int call_vm_writev(unsigned char *page, uint64_t with)
{
	struct iovec from = {&with, sizeof(with)}, to = {page + 23, sizeof(with)};

	return process_vm_writev(getppid(), &from, 1, &to, 1, 0) != sizeof(with);
}

static inline void vm_writev(unsigned char *page, uint64_t with)
{
	let_child(call_vm_writev, page, with);
}

static inline int write_proc_mem(unsigned char *page, uint64_t with)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	fd = open(path, O_WRONLY);
	return fd < 0 || pwrite(fd, &with, sizeof(with), (off_t)(uintptr_t)(page + 23)) !=
				 (ssize_t)sizeof(with);
}

static inline void proc_mem(unsigned char *page, uint64_t with)
{
	let_child(write_proc_mem, page, with);
}

static inline int poke(unsigned char *page, uint64_t with)
{
	pid_t parent = getppid();

	return ptrace(PTRACE_ATTACH, parent, 0, 0) || waitpid(parent, NULL, 0) != parent ||
	       ptrace(PTRACE_POKEDATA, parent, page + 24, with) ||
	       ptrace(PTRACE_DETACH, parent, 0, 0);
}

static inline void debugger(unsigned char *page, uint64_t with)
{
	let_child(poke, page, with);
}

static inline int store_in_child(unsigned char *page, uint64_t with)
{
	store(page, with + 1);
	return 0;
}

/* The child has its own copy then, and the parent its page alone again. */
static inline void beside_child(unsigned char *page, uint64_t with)
{
	let_child(store_in_child, page, with);
	store(page, with);
}

static inline void discard(unsigned char *page, uint64_t with)
{
	must(!madvise(page, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	if (with % 2)
		store(page, with);
	else
		(void)*(volatile unsigned char *)page;
}

static inline void free_lazily(unsigned char *page, uint64_t with)
{
	must(!madvise(page, PAGE, MADV_FREE), "MADV_FREE");
	(void)madvise(page, PAGE, MADV_PAGEOUT);
	if (with % 2)
		store(page, with);
}

static inline void protect(unsigned char *page, uint64_t with)
{
	must(!mprotect(page, PAGE, PROT_READ) && !mprotect(page, PAGE, PROT_READ | PROT_WRITE),
	     "mprotect");
	store(page, with);
	must(!mprotect(page, PAGE, PROT_READ), "mprotect");
	must(!mprotect(page, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

static inline void on_signal(int number)
{
	(void)number;
}

/* The frame of a signal, on an alternate stack that begins at the page. */
static inline void signal_frame(unsigned char *page, uint64_t with)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = page, .ss_size = STACK_PAGES * PAGE};
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)with;
	must(!sigaltstack(&stack, NULL) && !sigaction(SIGUSR1, &action, NULL), "sigaltstack");
	must(!raise(SIGUSR1) && !sigaltstack(&none, NULL), "raise");
}

/* ---- io_uring ---- */

static int ring = -1;
static struct io_uring_params ring_params;
static unsigned char *ring_memory;
static struct io_uring_sqe *ring_call;

static inline void drop_ring(void)
{
	must(!munmap(ring_memory, PAGE) && !munmap(ring_call, PAGE) && !close(ring), "a ring");
	ring = -1;
}

/* Its memory is shared with the kernel, and not tracked. */
static inline void make_ring(void)
{
	if (ring >= 0)
		drop_ring();
	memset(&ring_params, 0, sizeof(ring_params));
	ring = (int)syscall(SYS_io_uring_setup, 1, &ring_params);
	if (ring < 0)
		finish(WORKLOAD_SKIP, "no io_uring: %s", strerror(errno));
	ring_memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
			   IORING_OFF_SQ_RING);
	ring_call = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
			 IORING_OFF_SQES);
	must(ring_memory != MAP_FAILED && ring_call != MAP_FAILED, "mmap of a ring");
}

static inline void read_by_ring(unsigned char opcode, unsigned char *page, uint64_t with)
{
	unsigned int *tail = (void *)(ring_memory + ring_params.sq_off.tail);
	unsigned int *array = (void *)(ring_memory + ring_params.sq_off.array);
	int fd = open_file(with, 0);

	must(fd >= 0, "open");
	*ring_call = (struct io_uring_sqe){
		.opcode = opcode, .fd = fd, .addr = (uintptr_t)page, .len = PAGE};
	*array = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1,
	     "io_uring_enter");
	close(fd);
}

static inline void read_plain(unsigned char *page, uint64_t with)
{
	read_by_ring(IORING_OP_READ, page, with);
}

static inline void read_registered(unsigned char *page, uint64_t with)
{
	read_by_ring(IORING_OP_READ_FIXED, page, with);
}

/* ---- asynchronous reads ---- */

static aio_context_t context;

static inline void make_context(void)
{
	if (!context)
		must(!syscall(SYS_io_setup, 1, &context), "io_setup");
}

static inline void read_by_aio(unsigned char *page, uint64_t with)
{
	struct iocb call = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)page, .aio_nbytes = PAGE};
	struct iocb *calls[] = {&call};
	struct io_event event;
	int fd = open_file(with, O_DIRECT);

	if (fd < 0)
		finish(WORKLOAD_SKIP, "no O_DIRECT in /var/tmp");
	call.aio_fildes = (uint32_t)fd;
	must(syscall(SYS_io_submit, context, 1, calls) == 1 &&
		     syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1,
	     "io_submit");
	close(fd);
}

static inline void drop_context(void)
{
	must(!syscall(SYS_io_destroy, context), "io_destroy");
	context = 0;
}

/* ---- pipes ---- */

/* The pipe has the page itself, not a copy of it, while it is written. */
static inline void store_in_pipe(unsigned char *page, uint64_t with)
{
	struct iovec piece = {.iov_base = page, .iov_len = PAGE};
	int ends[2];

	must(!pipe(ends) && vmsplice(ends[1], &piece, 1, 0) == (ssize_t)PAGE, "vmsplice");
	store(page, with);
	close(ends[0]);
	close(ends[1]);
}

static inline void read_pipe(unsigned char *page, uint64_t with)
{
	struct iovec piece = {.iov_base = page + 23, .iov_len = sizeof(with)};
	int ends[2];

	must(!pipe(ends) && write(ends[1], &with, sizeof(with)) == sizeof(with), "write");
	must(vmsplice(ends[0], &piece, 1, 0) == sizeof(with), "vmsplice from a pipe");
	close(ends[0]);
	close(ends[1]);
}

/* ---- the end of a thread ---- */

/* Ends with a lock that it holds: the kernel marks it in its word. */
static inline int end_with_lock(void *argument)
{
	struct robust_list_head *head = argument;
	uint32_t *word = (uint32_t *)(head + 1);

	*word = (uint32_t)syscall(SYS_gettid);
	return syscall(SYS_set_robust_list, head, sizeof(*head)) ? 1 : 0;
}

static inline void robust_list(unsigned char *page, uint64_t with)
{
	static unsigned char stack[16384] __attribute__((aligned(16)));
	struct robust_list_head *head = (void *)page;
	uint32_t *word = (uint32_t *)(head + 1);
	int status, flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
	pid_t child;

	head->list.next = &head->list;
	head->futex_offset = (long)sizeof(*head);
	head->list_op_pending = &head->list;
	((uint32_t *)page)[23] = (uint32_t)with | 1;
	child = clone(end_with_lock, stack + sizeof(stack), flags, head, NULL, NULL,
		      (uint32_t *)page + 23);
	must(child > 0 && waitpid(child, &status, 0) == child && !status, "clone");
	if (!(*word & FUTEX_OWNER_DIED) || ((uint32_t *)page)[23])
		wrong("the kernel has not written at the end of a thread");
}

#endif
