/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pages that the kernel holds on to: it writes to them without a page fault, and without a trace in
 * the page tables if they were held before they were armed. Also pages that it writes when a thread
 * ends.
 */
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "writers.h"

/* ---- io_uring ---- */

static int ring = -1;
static struct io_uring_params ring_params;
static unsigned char *ring_memory;
static struct io_uring_sqe *ring_call;

/* Its memory is shared with the kernel, and not tracked. */
static void make_ring(void)
{
	if (ring >= 0)
		close(ring);
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

static void register_memory(void)
{
	struct iovec buffer = {.iov_base = memory, .iov_len = BYTES};

	make_ring();
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1),
	     "IORING_REGISTER_BUFFERS");
}

static void register_and_let_go(void)
{
	register_memory();
	must(!syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0),
	     "IORING_UNREGISTER_BUFFERS");
}

static void read_by_ring(unsigned char opcode, unsigned char *page, uint64_t with)
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

static void read_plain(unsigned char *page, uint64_t with)
{
	read_by_ring(IORING_OP_READ, page, with);
}

static void read_registered(unsigned char *page, uint64_t with)
{
	read_by_ring(IORING_OP_READ_FIXED, page, with);
}

/* ---- asynchronous reads ---- */

static aio_context_t context;

static void make_context(void)
{
	if (!context)
		must(!syscall(SYS_io_setup, 1, &context), "io_setup");
}

static void read_by_aio(unsigned char *page, uint64_t with)
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

/* ---- pipes ---- */

/* The pipe has the page itself, not a copy of it, while it is written. */
static void store_in_pipe(unsigned char *page, uint64_t with)
{
	struct iovec piece = {.iov_base = page, .iov_len = PAGE};
	int ends[2];

	must(!pipe(ends) && vmsplice(ends[1], &piece, 1, 0) == (ssize_t)PAGE, "vmsplice");
	store(page, with);
	close(ends[0]);
	close(ends[1]);
}

static void read_pipe(unsigned char *page, uint64_t with)
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
static int end_with_lock(void *argument)
{
	struct robust_list_head *head = argument;
	uint32_t *word = (uint32_t *)(head + 1);

	*word = (uint32_t)syscall(SYS_gettid);
	return syscall(SYS_set_robust_list, head, sizeof(*head)) ? 1 : 0;
}

static void robust_list(unsigned char *page, uint64_t with)
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

/* ---- cases ---- */

CASE(play_ring, read_plain, make_ring)
CASE(play_registered, read_registered, register_memory)
CASE(play_let_go, store, register_and_let_go)
CASE(play_aio, read_by_aio, make_context)
CASE(play_in_pipe, store_in_pipe, NULL)
CASE(play_pipe, read_pipe, NULL)
CASE(play_robust_list, robust_list, NULL)

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"ring", play_ring},
		{"registered", play_registered},
		{"let-go", play_let_go},
		{"aio", play_aio},
		{"in-pipe", play_in_pipe},
		{"pipe", play_pipe},
		{"robust-list", play_robust_list},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
