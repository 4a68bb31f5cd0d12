/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What only the process itself can ask for, see describe.h: its threads make the calls. What a call
 * writes goes to a page of shared memory that the process maps for as long.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/page.h"
#include "process/registrations.h"
#include "save/describe.h"
#include "target/inject.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* A thread that answers questions. */
struct asked {
	struct inject *inject;
	uint64_t page; /* for answers; 0: none */
	int mem_fd;
};

/* Makes a call. Returns 0 and *ret_value, which is negative if the call failed; or -errno. */
static int call(const struct asked *asked, int64_t *ret_value, long nr, uint64_t a, uint64_t b,
		uint64_t c, uint64_t d)
{
	return inject__call(asked->inject, nr, (const uint64_t[6]){a, b, c, d}, ret_value);
}

/* Makes a call that writes size bytes to where its argument number at points, and copies them to
 * bytes: zeros if the call fails. */
static int ask(const struct asked *asked, void *bytes, size_t size, long nr, unsigned int at,
	       uint64_t a, uint64_t b)
{
	uint64_t args[6] = {a, b, 0, 0, 0, 0};
	int64_t value;
	int err;

	args[at] = asked->page;
	err = inject__call(asked->inject, nr, args, &value);
	memset(bytes, 0, size);
	if (!err && value >= 0 &&
	    pread(asked->mem_fd, bytes, size, (off_t)asked->page) != (ssize_t)size)
		err = -EIO;
	return err;
}

static int map_page(struct asked *asked)
{
	const uint64_t args[6] = {
		0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, UINT64_MAX, 0};
	int64_t value = 0;
	int err = inject__call(asked->inject, SYS_mmap, args, &value);

	if (err)
		return err;
	if (value < 0 && value >= -4095)
		return (int)value;
	asked->page = (uint64_t)value;
	return 0;
}

static int unmap_page(struct asked *asked)
{
	int64_t value;
	int err = asked->page ? call(asked, &value, SYS_munmap, asked->page, PAGE_BYTES, 0, 0) : 0;

	asked->page = 0;
	return err;
}

/* ---- the process ---- */

static int ask_signals(const struct asked *asked, struct image *image)
{
	for (uint64_t i = 0; i < IMAGE_SIGNALS; i++) {
		const uint64_t args[6] = {i + 1, 0, asked->page + i * sizeof(*image->signals),
					  sizeof(uint64_t)};
		int64_t value;
		int err = inject__call(asked->inject, SYS_rt_sigaction, args, &value);

		if (err)
			return err;
	}
	return pread(asked->mem_fd, image->signals, sizeof(image->signals), (off_t)asked->page) ==
			       (ssize_t)sizeof(image->signals)
		       ? 0
		       : -EIO;
}

static int ask_clock(const struct asked *asked, clockid_t id, uint64_t *ret_ns)
{
	struct timespec now;
	int err = ask(asked, &now, sizeof(now), SYS_clock_gettime, 1, (uint64_t)id, 0);

	*ret_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return err;
}

static int ask_membarrier(const struct asked *asked, struct image_attributes *attributes)
{
	int64_t told = 0;
	int err = call(asked, &told, SYS_membarrier, REGISTRATIONS_GET_MEMBARRIERS, 0, 0, 0);

	if (err || told >= 0) {
		attributes->membarrier = (uint32_t)told;
		return err;
	}
	for (size_t i = 0; i < REGISTRATIONS_MEMBARRIERS; i++) {
		err = call(asked, &told, SYS_membarrier,
			   (uint64_t)registrations__membarriers[i].command, 0, 0, 0);
		if (err)
			return err;
		if (!told)
			attributes->membarrier |=
				(uint32_t)registrations__membarriers[i].registration;
	}
	return 0;
}

static int ask_flags(const struct asked *asked, struct image *image)
{
	int64_t dumpable = 1, huge = 0;
	int subreaper = 0;
	int err = call(asked, &dumpable, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0);

	if (err)
		return err;
	err = inject__call(asked->inject, SYS_prctl, (const uint64_t[6]){PR_GET_THP_DISABLE},
			   &huge);
	if (err)
		return err;
	err = ask(asked, &subreaper, sizeof(subreaper), SYS_prctl, 1, PR_GET_CHILD_SUBREAPER, 0);
	if (err)
		return err;
	if (dumpable == 0)
		image->attributes.flags |= IMAGE_UNDUMPABLE;
	if (huge == 1)
		image->place.flags |= IMAGE_NO_HUGE_PAGES;
	if (subreaper)
		image->place.flags |= IMAGE_SUBREAPER;
	return 0;
}

static int ask_process(const struct asked *asked, struct description *d)
{
	struct image *image = &d->draft.image;
	int64_t brk = 0;
	int err = ask_signals(asked, image);

	if (err)
		return err;
	err = call(asked, &brk, SYS_brk, 0, 0, 0, 0);
	if (err)
		return err;
	image->process.brk = (uint64_t)brk;
	err = ask_clock(asked, CLOCK_MONOTONIC, &image->process.monotonic_ns);
	if (err)
		return err;
	err = ask_clock(asked, CLOCK_BOOTTIME, &image->process.boottime_ns);
	for (uint64_t i = 0; i < LANDING_TIMERS && !err; i++)
		err = ask(asked, &d->timers[i], sizeof(d->timers[i]), SYS_getitimer, 1, i, 0);
	if (err)
		return err;
	err = ask_membarrier(asked, &image->attributes);
	return err ? err : ask_flags(asked, image);
}

/* ---- a thread ---- */

/* glibc gives the kernel the address of its own copy of the tid; other libraries have it nearby. */
static uint64_t find_tid(int mem_fd, const struct image_thread *thread)
{
	int32_t words[576] = {0}; /* where it is looked for; glibc 2.36 has it at 180 */
	ssize_t bytes = 0;

	if (thread->clear_tid &&
	    pread(mem_fd, words, sizeof(*words), (off_t)thread->clear_tid) ==
		    (ssize_t)sizeof(*words) &&
	    *words == thread->tid)
		return thread->clear_tid;
	if (thread->fs_base)
		bytes = pread(mem_fd, words, sizeof(words), (off_t)thread->fs_base);
	for (ssize_t i = 0; i < bytes / (ssize_t)sizeof(*words); i++) {
		if (words[i] == thread->tid)
			return thread->fs_base + (uint64_t)i * sizeof(*words);
	}
	return 0;
}

static int ask_thread(const struct asked *asked, struct image_thread *thread,
		      struct image_scheduling *scheduling)
{
	stack_t stack;
	int death_signal;
	int err = ask(asked, &stack, sizeof(stack), SYS_sigaltstack, 1, 0, 0);

	if (err)
		return err;
	thread->altstack = (uintptr_t)stack.ss_sp;
	thread->altstack_bytes = stack.ss_size;
	thread->altstack_flags = (uint32_t)stack.ss_flags & ~(uint32_t)SS_ONSTACK;
	err = ask(asked, &thread->clear_tid, sizeof(thread->clear_tid), SYS_prctl, 1,
		  PR_GET_TID_ADDRESS, 0);
	if (err)
		return err;
	err = ask(asked, &death_signal, sizeof(death_signal), SYS_prctl, 1, PR_GET_PDEATHSIG, 0);
	if (err)
		return err;
	thread->tid_address = find_tid(asked->mem_fd, thread);
	scheduling->death_signal = (uint32_t)death_signal;
	return 0;
}

/* A thread other than the main one, which uses the same page. */
static int ask_other(const struct described *process, uint64_t page, struct image_thread *thread,
		     struct image_scheduling *scheduling)
{
	struct asked other = {.mem_fd = process->mem_fd, .page = page};
	int err = inject__open_held(process->pid, thread->tid, &other.inject);
	int closing;

	if (err)
		return err;
	err = ask_thread(&other, thread, scheduling);
	closing = inject__close(other.inject);
	return err ? err : closing;
}

/* Each thread answers for itself; the main one also for the process, and it maps the page. */
int describe__ask(const struct described *process, struct description *d)
{
	struct image *image = &d->draft.image;
	const size_t count = image->thread_count;
	struct asked main = {.mem_fd = process->mem_fd};
	int err = inject__open_held(process->pid, image->threads[d->first].tid, &main.inject);
	int unmapping, closing;

	if (err)
		return err;
	err = map_page(&main);
	if (err)
		goto out;
	err = ask_process(&main, d);
	for (size_t i = 0; i < count && !err; i++)
		err = i == d->first ? ask_thread(&main, &image->threads[i], &image->scheduling[i])
				    : ask_other(process, main.page, &image->threads[i],
						&image->scheduling[i]);
out:
	unmapping = unmap_page(&main);
	closing = inject__close(main.inject);
	return err ? err : unmapping ? unmapping : closing;
}
