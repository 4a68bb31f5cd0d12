/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of fault_list: what is written without a fault, or discarded, leaves a sign. The page need
 * not be listed then, but what the tracer does itself must leave none.
 */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "armed_child.h"

enum { TESTS = 15, FILE_PAGES = 5 };
#define FILE_BYTES ((ssize_t)FILE_PAGES * PAGE)

static char byte = 42;
static pid_t child_pid; /* in the child */
static unsigned char contents[FILE_BYTES];
static int direct = -1; /* a file of FILE_PAGES, open with O_DIRECT */

static void read_directly(void)
{
	die_unless(pread(direct, page_at(5), FILE_BYTES, 0) == FILE_BYTES);
}

/* Faults that fail are trapped and not counted by the kernel: they must not make up for reads that
 * are counted and not trapped. */
static void fail_and_read_directly(void)
{
	for (int i = 0; i < FILE_PAGES; i++)
		die_unless(chdir((char *)PAGE) == -1 && errno == EFAULT);
	read_directly();
}

static aio_context_t context;

static void make_context(void)
{
	die_unless(syscall(SYS_io_setup, 1, &context) == 0);
}

static void read_by_aio(void)
{
	struct iocb call = {.aio_lio_opcode = IOCB_CMD_PREAD,
			    .aio_fildes = (__u32)direct,
			    .aio_buf = (uintptr_t)page_at(5),
			    .aio_nbytes = FILE_BYTES};
	struct iocb *calls[] = {&call};
	struct io_event event;

	die_unless(syscall(SYS_io_submit, context, 1, calls) == 1);
	die_unless(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1);
	die_unless(event.res == FILE_BYTES);
}

/* ---- io_uring ---- */

static int ring;
static struct io_uring_params ring_params;
static unsigned char *ring_memory;
static struct io_uring_sqe *ring_calls;

static void make_ring(void)
{
	ring = (int)syscall(SYS_io_uring_setup, 1, &ring_params);
	die_unless(ring >= 0);
	ring_memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
			   IORING_OFF_SQ_RING);
	ring_calls = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
			  IORING_OFF_SQES);
	die_unless(ring_memory != MAP_FAILED && ring_calls != MAP_FAILED);
}

static void read_by_ring(void)
{
	unsigned int *tail = (void *)(ring_memory + ring_params.sq_off.tail);
	unsigned int *array = (void *)(ring_memory + ring_params.sq_off.array);

	*ring_calls = (struct io_uring_sqe){.opcode = IORING_OP_READ,
					    .fd = direct,
					    .addr = (uintptr_t)page_at(5),
					    .len = FILE_BYTES};
	*array = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	die_unless(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	die_unless(page_at(5)[1] == 42);
}

/* ---- other calls ---- */

static void write_to_itself(void)
{
	struct iovec from = {&byte, 1}, to = {page_at(5), 1};

	die_unless(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1);
}

static void discard(void)
{
	die_unless(madvise(page_at(5), PAGE, MADV_DONTNEED) == 0);
}

static void discard_lazily(void)
{
	die_unless(madvise(page_at(5), PAGE, MADV_FREE) == 0);
}

static void lock_pages(void)
{
	die_unless(syscall(SYS_mlock, page_at(5), PAGE) == 0); /* that of ASan does nothing */
}

/* Lives as long as its parent, and writes nothing. */
static int share_memory(void *unused)
{
	(void)unused;
	while (getppid() == child_pid)
		(void)syscall(SYS_sched_yield);
	return 0;
}

static void clone_with_memory(void)
{
	static _Alignas(16) char stack[1 << 14];

	child_pid = getpid();
	die_unless(clone(share_memory, stack + sizeof(stack), CLONE_VM, NULL) > 0);
}

static void write_by_vm(void)
{
	struct iovec from = {&byte, 1}, to = {page_at(5), 1};

	_exit(process_vm_writev(child, &from, 1, &to, 1, 0) != 1);
}

static void write_by_mem(void)
{
	int fd = procfs__open(child, "mem", O_RDWR);

	_exit(fd < 0 || pwrite(fd, &byte, 1, (off_t)(uintptr_t)page_at(5)) != 1);
}

static void write_by_ptrace(void)
{
	int status;

	if (ptrace(PTRACE_ATTACH, child, NULL, NULL) || waitpid(child, &status, __WALL) != child)
		_exit(1);
	_exit(ptrace(PTRACE_POKEDATA, child, page_at(5), 42L) != 0);
}

static void write_by_us(void)
{
	struct iovec from = {&byte, 1}, to = {page_at(5), 1};

	must(process_vm_writev(child, &from, 1, &to, 1, 0) != 1);
}

static void test_signs(void)
{
	static const struct {
		void (*prepare)(void), (*act)(void), (*meanwhile)(void);
		const char *name;
	} signs[] = {
		{NULL, write_to_itself, NULL, "process_vm_writev to itself"},
		{NULL, discard, NULL, "madvise(MADV_DONTNEED)"},
		{NULL, discard_lazily, NULL, "madvise(MADV_FREE)"},
		{NULL, lock_pages, NULL, "mlock"},
		{NULL, clone_with_memory, NULL, "clone(CLONE_VM)"},
		{NULL, do_nothing, write_by_vm, "process_vm_writev by another process"},
		{NULL, do_nothing, write_by_mem, "/proc/PID/mem, written by another process"},
		{NULL, do_nothing, write_by_ptrace, "PTRACE_POKEDATA by another process"},
	};
	struct fault_mark mark, end;
	int err = -ESTALE;

	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		tap__equal(play_once(signs[i].prepare, signs[i].act, signs[i].meanwhile), -ESTALE,
			   "%s: a sign", signs[i].name);
	tap__equal(play_without_sign(NULL, do_nothing, NULL), 0, "nothing is done: none");
	start_child(NULL, do_nothing);
	for (int i = 0; i < ATTEMPTS && err == -ESTALE; i++) {
		fault_list__mark(list, &mark);
		write_by_us();
		err = fault_list__pages(list, &mark, pages, &page_count, &end);
	}
	end_child();
	tap__equal(err, 0, "process_vm_writev by the tracer: none");
}

/* A file system that copies such a read leaves no sign and lists the pages. */
static void test_direct(void)
{
	char name[] = "/var/tmp/fault_list_test.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	must(fd < 0);
	memset(contents, 42, sizeof(contents));
	must(write(fd, contents, sizeof(contents)) != sizeof(contents));
	direct = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	(void)close(fd);
	(void)unlink(name);
	static const struct {
		void (*prepare)(void), (*act)(void);
		const char *name;
	} reads[] = {
		{NULL, read_directly, "read(2)"},
		{NULL, fail_and_read_directly, "read(2) after faults that fail"},
		{make_context, read_by_aio, "io_submit(2)"},
		{make_ring, read_by_ring, "io_uring"},
	};
	const char *why = direct < 0 ? "no O_DIRECT here" : NULL;

	for (size_t i = 0; i < sizeof(reads) / sizeof(*reads); i++) {
		int err = why ? 0 : play_once(reads[i].prepare, reads[i].act, NULL);

		if (why)
			tap__skip(1, "%s", why);
		else
			tap__ok(err == -ESTALE ||
					(!err && count_listed(5, FILE_PAGES) == FILE_PAGES),
				"%s with O_DIRECT: a sign, or its pages are listed", reads[i].name);
	}
}

/* The pages are writable by then. */
static void test_again(void)
{
	int err = -ESTALE;

	if (direct < 0) {
		tap__skip(1, "no O_DIRECT here");
		return;
	}
	start_child(NULL, read_directly);
	(void)play_round(NULL);
	for (int i = 0; i < ATTEMPTS && err == -ESTALE; i++)
		err = play_round(NULL);
	end_child();
	tap__equal(err, 0, "the same pages again, which are writable now: no sign");
}

int main(void)
{
	const char *why;

	tap__plan(TESTS);
	why = open_list();
	if (why) {
		tap__skip(TESTS, "%s", why);
		return tap__done();
	}
	test_signs();
	test_direct();
	test_again();
	close_list();
	return tap__done();
}
