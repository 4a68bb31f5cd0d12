/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the hooks: counts what they do for a system call of the target. A hook must do no more
 * than its call needs: every process pays for it, and it cannot be preempted.
 */
#include "kernel_side.h"
#include "tap.h"

enum { TARGET = 23, OTHER = 42, SHORT = 8 * 4096 };

static const uint64_t long_bytes = 1ULL << 30, start = 1ULL << 32;

static void begin(uint32_t tgid, int threads, uint64_t threshold)
{
	memset(&kernel_side, 0, sizeof(kernel_side));
	memset(&state, 0, sizeof(state));
	kernel_side.tgid = tgid;
	kernel_side.signal.nr_threads = threads;
	state.target = TARGET;
	state.stores = 1;
	state.slab_threshold = threshold;
}

/* A whole call: its enter, if there is a hook for it, and its exit. */
static void call(int (*enter)(struct trace_event_raw_sys_enter *),
		 int (*leave)(struct trace_event_raw_sys_exit *), long result, uint64_t a,
		 uint64_t b, uint64_t c, uint64_t d)
{
	struct trace_event_raw_sys_enter at_enter = {.id = 1, .args = {a, b, c, d}};
	struct trace_event_raw_sys_exit at_exit = {.id = 1, .ret = result};

	kernel_side.registers = (struct pt_regs){.di = a, .si = b, .dx = c, .r10 = d};
	if (enter)
		enter(&at_enter);
	leave(&at_exit);
}

static void test_opens(void)
{
	begin(TARGET, 1, UINT64_MAX);
	call(NULL, on_openat_exit, 3, 0, start, 0, 0);
	tap__ok(!kernel_side.paths && !state.counters[COUNTER_PATHS_UNREAD],
		"an open that creates nothing: its path is not read");
	call(NULL, on_openat_exit, -ENOENT, 0, start, O_CREAT, 0);
	tap__ok(!kernel_side.paths, "an open that has failed: its path is not read");
	call(NULL, on_openat_exit, 3, 0, start, O_CREAT, 0);
	tap__ok(kernel_side.paths == 1 && state.counters[COUNTER_PATHS_UNREAD] == 1,
		"an open that may create: its path is read, and that it was not there is counted");
	begin(OTHER, 1, UINT64_MAX);
	call(NULL, on_openat_exit, 3, 0, start, O_CREAT, 0);
	tap__ok(!kernel_side.paths, "another process: its path is not read");
}

static void test_request(void)
{
	begin(TARGET, 1, UINT64_MAX);
	/* the name of the request file is empty as well, for nobody has set it */
	kernel_side.text = "";
	call(NULL, on_creat_exit, 3, start, 0, 0, 0);
	tap__ok(state.operation.phase == PHASE_REQUESTED && state.operation.sequence == 1,
		"a request file that was created starts an operation");
}

static void test_mremap(int threads, uint64_t threshold, const char *name)
{
	begin(TARGET, threads, threshold);
	call(on_mremap_enter, on_mremap_exit, -ENOMEM, start, long_bytes, 2 * long_bytes, 0);
	tap__ok(!kernel_side.steps, "%s: an mremap of 1 GiB that fails visits no chunk", name);
}

static void test_announced(void)
{
	unsigned int announced, steps = SHORT / CHUNK_BYTES;

	begin(TARGET, 1, UINT64_MAX);
	call(on_munmap_enter, on_munmap_exit, -EINVAL, start, SHORT, 0, 0);
	tap__ok(!kernel_side.steps, "one thread, a munmap that fails: no chunk is visited");
	call(on_mremap_enter, on_mremap_exit, -EFAULT, start, SHORT, SHORT, 0);
	tap__ok(!kernel_side.steps, "one thread, an mremap that fails: no chunk is visited");
	call(on_munmap_enter, on_munmap_exit, 0, start, SHORT, 0, 0);
	tap__ok(kernel_side.steps == steps, "one thread, a munmap: each chunk is visited once");
	begin(TARGET, 2, UINT64_MAX);
	call(on_munmap_enter, on_munmap_exit, -EINVAL, start, SHORT, 0, 0);
	announced = kernel_side.steps;
	tap__ok(announced == 2 * steps,
		"two threads, a munmap that fails: announced, then revoked");
	call(on_mmap_enter, on_mmap_exit, (long)start, start, SHORT, PROT_READ, 0);
	tap__ok(kernel_side.steps == announced,
		"two threads, an mmap that replaces nothing announces nothing");
}

static void test_storage(void)
{
	begin(TARGET, 1, UINT64_MAX);
	call(on_munmap_enter, on_munmap_exit, 0, start, SHORT, 0, 0);
	call(NULL, on_mprotect_exit, 0, start, SHORT, PROT_READ, 0);
	tap__ok(kernel_side.storages == 1, "one thread: nothing is remembered of a call");
	begin(OTHER, 2, UINT64_MAX);
	call(on_mmap_enter, on_mmap_exit, (long)start, start, SHORT, PROT_READ,
	     MAP_FIXED | MAP_ANONYMOUS);
	call(on_munmap_enter, on_munmap_exit, 0, start, SHORT, 0, 0);
	call(on_mremap_enter, on_mremap_exit, (long)start, start, SHORT, 2UL * SHORT, 0);
	call(on_brk_enter, on_brk_exit, (long)start, start, 0, 0, 0);
	tap__ok(!kernel_side.storages && !kernel_side.events && !kernel_side.steps,
		"another process: nothing is done");
}

/* ---- polls ---- */

/* Plays the tracer as a poll sees it: prepares, and answers. */
static void play_tracer(void)
{
	if (state.operation.phase == PHASE_PREPARING)
		state.operation.phase = PHASE_READY;
	state.prepared = state.deferred;
	if (state.operation.phase != PHASE_COPIED)
		return;
	state.operation.phase = PHASE_IDLE;
	state.answered = state.operation.sequence;
}

static void stop_and_play_tracer(void)
{
	state.stopped = 1;
	play_tracer();
}

/* Asks, polls once, and returns the phase after that. */
static uint32_t poll_once(enum operation_kind kind, int threads, bool awake, void (*tracer)(void))
{
	begin(TARGET, threads, UINT64_MAX);
	state.valid = 1;
	state.deferred = 1; /* the tracer must look at the mappings */
	state.awake = awake;
	start_operation(kind, 0);
	kernel_side.user_space = tracer;
	poll(NULL);
	return state.operation.phase;
}

static void test_polls(void)
{
	tap__equal(poll_once(OPERATION_CHECKPOINT, 1, true, play_tracer), PHASE_IDLE,
		   "the tracer is awake: one poll gets the answer to a checkpoint");
	tap__ok(state.answered == 1 && state.operation.polls == 1 && !state.waiting,
		"and waits for nothing more");
	tap__equal(poll_once(OPERATION_RESTORE, 1, true, stop_and_play_tracer), PHASE_COPIED,
		   "restored from user space: the poll ends when it has compared, to be held");
	tap__equal(poll_once(OPERATION_RESTORE, 1, true, play_tracer), PHASE_READY,
		   "and it does not compare before the target is about to be held");
	tap__equal(poll_once(OPERATION_CHECKPOINT, 1, false, play_tracer), PHASE_PREPARING,
		   "the tracer sleeps: the poll does not wait");
	tap__equal(poll_once(OPERATION_CHECKPOINT, 2, true, play_tracer), PHASE_PREPARING,
		   "other threads must be stopped: the poll does not wait");
	tap__equal(poll_once(OPERATION_CHECKPOINT, 1, true, NULL), PHASE_PREPARING,
		   "the tracer does nothing: the poll ends all the same");
	tap__ok(kernel_side.now_ns > POLL_WAIT_NS && kernel_side.now_ns < 2UL * POLL_WAIT_NS,
		"after its time");
}

/* Polls on the stack that the process began with, a page below its start, or 16 MiB away. */
static uint32_t poll_at(uint64_t distance)
{
	begin(TARGET, 1, UINT64_MAX);
	kernel_side.mm.start_stack = start;
	kernel_side.mm.stack_vm = 33;
	kernel_side.registers.sp = start - distance;
	start_operation(OPERATION_CHECKPOINT, 0);
	poll(NULL);
	return state.operation.phase;
}

static void test_stacks(void)
{
	tap__equal(poll_at(4096), PHASE_COPIED, "a poll on the first thread's stack copies");
	tap__equal(poll_at(16 << 20), PHASE_PREPARING,
		   "on another stack the tracer looks first whether it is tracked");
}

/* ---- two threads at the same time ---- */

static void poll_of_another(void)
{
	kernel_side.tid = OTHER;
	kernel_side.registers.sp -= 16 << 20;
	poll(NULL);
	kernel_side.tid = 0;
	kernel_side.registers.sp += 16 << 20;
}

static void request_of_another(void)
{
	kernel_side.tid = OTHER;
	start_operation(OPERATION_RESTORE, 0);
	kernel_side.tid = 0;
}

static void test_races(void)
{
	begin(TARGET, 2, UINT64_MAX);
	start_operation(OPERATION_CHECKPOINT, 0);
	kernel_side.thread = poll_of_another;
	poll(NULL);
	tap__ok(state.operation.phase == PHASE_PREPARING &&
			state.operation.tid == kernel_side.announced,
		"two polls at the same time: the thread that hands over is the one on record");
	tap__equal(state.operation.polls, 2, "both are counted");
	begin(TARGET, 2, UINT64_MAX);
	kernel_side.thread = request_of_another;
	start_operation(OPERATION_CHECKPOINT, 0);
	tap__ok(state.operation.sequence == 1 && state.operation.kind == OPERATION_CHECKPOINT &&
			state.operation.tid == TARGET,
		"two requests at the same time: the record is that of one of them");
	tap__ok(state.ignored == 1 << OPERATION_RESTORE && state.ignored_tid == OTHER,
		"and the other is refused");
}

/* ---- the list of faults ---- */

static uint64_t element;

static void become_target(void)
{
	state.target = TARGET;
}

/* The target is executed on another processor, and another process on this one. */
static void test_execs(void)
{
	struct trace_event_raw_sched_process_exec exec = {0};

	begin(OTHER, 1, UINT64_MAX);
	state.target = 0;
	state.child = TARGET;
	kernel_side.thread = become_target;
	on_exec(&exec);
	tap__ok(state.target == TARGET && !kernel_side.events,
		"another process is executed as the target is: it is not taken for it");
	kernel_side.tgid = TARGET;
	on_exec(&exec);
	tap__ok(kernel_side.events, "the target is executed again: that is told");
}

static void begin_watched(void)
{
	begin(TARGET, 1, UINT64_MAX);
	kernel_side.element = &element;
	element = 0;
	watched_memory = &kernel_side.mm;
}

/* How many pages are listed by a fault at that address. */
static uint64_t count_listed(uint64_t address, uint64_t error)
{
	uint64_t arguments[] = {address, 0, error};

	begin_watched();
	on_user_fault((void *)arguments);
	return state.faults.writes;
}

static void fault_in_kernel(void)
{
	uint64_t arguments[] = {start, 0, 0};

	on_kernel_fault((void *)arguments);
}

/* The current thread releases the lock of the watched memory. Returns the signs so far. */
static uint64_t unlock(void)
{
	uint64_t arguments[] = {(uintptr_t)watched_memory};

	on_unlock((void *)arguments);
	return state.faults.signs;
}

static void test_list(void)
{
	tap__ok(count_listed(start + 23, FAULT_WRITE) == 1 && element == start + 1,
		"a write fault is listed with its page and its lap");
	tap__equal(count_listed(start, 0), 0, "a read fault is not");
	tap__equal(count_listed(start, FAULT_SHADOW_STACK), 1, "one of a shadow stack is");
	tap__equal(count_listed(-start, FAULT_WRITE), 0, "one at an address of the kernel is not");
	tap__equal(FAULT_ENTRY(start, FAULT_PAGES), start + 2, "the next lap");
}

static void test_signs(void)
{
	struct io_uring_task *ring = (void *)&element;

	begin_watched();
	tap__equal(unlock(), 1, "a system call that releases the lock: a sign");
	fault_in_kernel();
	tap__equal(unlock(), 1, "the fault of a system call: none");
	tap__equal(unlock(), 2, "but the next release in the same call is one");
	kernel_side.task.pagefault_disabled = 1;
	fault_in_kernel();
	tap__equal(unlock(), 3, "a fault that takes no lock does not stand for another release");
	kernel_side.registers.orig_ax = -1UL;
	tap__equal(unlock(), 3, "an exception in user mode: none");
	kernel_side.task.io_uring = ring;
	tap__equal(unlock(), 4, "unless io_uring may be at work");
	kernel_side.task.io_uring = NULL;
	kernel_side.task.flags = PF_USER_WORKER;
	tap__equal(unlock(), 5, "or it is a thread of the kernel's");
}

int main(void)
{
	tap__plan(43);
	test_opens();
	test_execs();
	test_request();
	test_mremap(1, UINT64_MAX, "chunks alone, one thread");
	test_mremap(2, UINT64_MAX, "chunks alone, two threads");
	test_mremap(2, 1 << 20, "chunks and slabs, two threads");
	test_announced();
	test_storage();
	test_polls();
	test_stacks();
	test_list();
	test_signs();
	test_races();
	return tap__done();
}
