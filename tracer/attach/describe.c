/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See describe.h. What a call writes goes to a page of shared memory that the process maps for as
 * long. Source: proc(5); fs/proc/array.c for the fields of stat.
 */
#include "attach/describe.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/page.h"
#include "image/registrations.h"
#include "target/inject.h"
#include "target/reason.h"

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

/* Makes a call that writes bytes to its argument number at; zeros if it fails. */
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

	if (!err && value < 0 && value >= -4095)
		err = (int)value;
	if (!err)
		asked->page = (uint64_t)value;
	return err;
}

static int unmap_page(struct asked *asked)
{
	int64_t value;
	int err = asked->page ? call(asked, &value, SYS_munmap, asked->page, PAGE_BYTES, 0, 0) : 0;

	asked->page = 0;
	return err;
}

/* ---- the process: what it answers ---- */

static int ask_signals(const struct asked *asked, struct image *image)
{
	int err = 0;

	for (uint64_t i = 0; i < IMAGE_SIGNALS && !err; i++) {
		const uint64_t args[6] = {i + 1, 0, asked->page + i * sizeof(*image->signals),
					  sizeof(uint64_t)};
		int64_t value;

		err = inject__call(asked->inject, SYS_rt_sigaction, args, &value);
	}
	if (!err && pread(asked->mem_fd, image->signals, sizeof(image->signals),
			  (off_t)asked->page) != (ssize_t)sizeof(image->signals))
		err = -EIO;
	return err;
}

static int ask_clock(const struct asked *asked, clockid_t id, uint64_t *ret_ns)
{
	struct timespec now;
	int err = ask(asked, &now, sizeof(now), SYS_clock_gettime, 1, (uint64_t)id, 0);

	*ret_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return err;
}

/* Before 6.3 the kernel does not tell what is registered. But a command fails without its
 * registration. */
static int ask_membarrier(const struct asked *asked, struct image_attributes *attributes)
{
	enum { GET_REGISTRATIONS = 1 << 9 };
	static const struct {
		int command, registration;
	} pairs[] = {
		{MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
		{MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
		 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
		{MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
		 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ},
	};
	int64_t told = 0;
	int err = call(asked, &told, SYS_membarrier, GET_REGISTRATIONS, 0, 0, 0);

	if (err || told >= 0) {
		attributes->membarrier = (uint32_t)told;
		return err;
	}
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs) && !err; i++) {
		err = call(asked, &told, SYS_membarrier, (uint64_t)pairs[i].command, 0, 0, 0);
		if (!err && !told)
			attributes->membarrier |= (uint32_t)pairs[i].registration;
	}
	return err;
}

static int ask_flags(const struct asked *asked, struct image *image)
{
	int64_t dumpable = 1, huge = 0;
	int subreaper = 0;
	int err = call(asked, &dumpable, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0);

	if (!err)
		err = inject__call(asked->inject, SYS_prctl,
				   (const uint64_t[6]){PR_GET_THP_DISABLE}, &huge);
	if (!err)
		err = ask(asked, &subreaper, sizeof(subreaper), SYS_prctl, 1,
			  PR_GET_CHILD_SUBREAPER, 0);
	if (dumpable == 0)
		image->attributes.flags |= IMAGE_UNDUMPABLE;
	if (huge == 1)
		image->place.flags |= IMAGE_NO_HUGE_PAGES;
	if (subreaper)
		image->place.flags |= IMAGE_SUBREAPER;
	return err;
}

static int ask_process(const struct asked *asked, struct description *d)
{
	struct image *image = &d->draft.image;
	int64_t brk = 0;
	int err = ask_signals(asked, image);

	if (!err)
		err = call(asked, &brk, SYS_brk, 0, 0, 0, 0);
	image->process.brk = (uint64_t)brk;
	if (!err)
		err = ask_clock(asked, CLOCK_MONOTONIC, &image->process.monotonic_ns);
	if (!err)
		err = ask_clock(asked, CLOCK_BOOTTIME, &image->process.boottime_ns);
	for (uint64_t i = 0; i < LANDING_TIMERS && !err; i++)
		err = ask(asked, &d->timers[i], sizeof(d->timers[i]), SYS_getitimer, 1, i, 0);
	if (!err)
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

	thread->altstack = (uintptr_t)stack.ss_sp;
	thread->altstack_bytes = stack.ss_size;
	thread->altstack_flags = (uint32_t)stack.ss_flags & ~(uint32_t)SS_ONSTACK;
	if (!err)
		err = ask(asked, &thread->clear_tid, sizeof(thread->clear_tid), SYS_prctl, 1,
			  PR_GET_TID_ADDRESS, 0);
	if (!err)
		err = ask(asked, &death_signal, sizeof(death_signal), SYS_prctl, 1,
			  PR_GET_PDEATHSIG, 0);
	if (err)
		return err;
	thread->tid_address = find_tid(asked->mem_fd, thread);
	scheduling->death_signal = (uint32_t)death_signal;
	return 0;
}

/* A thread that may use all processors may use any: elsewhere there are others. */
static void read_processors(pid_t tid, uint64_t processors[16])
{
	const long count = sysconf(_SC_NPROCESSORS_ONLN);
	long allowed = 0;

	if (syscall(SYS_sched_getaffinity, tid, 16 * sizeof(*processors), processors) < 0)
		memset(processors, 0, 16 * sizeof(*processors));
	for (size_t i = 0; i < 16; i++)
		allowed += __builtin_popcountll(processors[i]);
	if (allowed >= count)
		memset(processors, 0, 16 * sizeof(*processors));
}

/* The kernel has 20 - nice, so that none is negative. */
static void read_scheduling(pid_t tid, struct image_scheduling *s)
{
	enum { NICE_ZERO = 20, IO_PRIORITY_OF_PROCESS = 1 };
	const long nice = syscall(SYS_getpriority, PRIO_PROCESS, tid);
	const long policy = syscall(SYS_sched_getscheduler, tid);
	const long io_priority = syscall(SYS_ioprio_get, IO_PRIORITY_OF_PROCESS, tid);
	struct sched_param param = {0};
	char text[32] = "";
	uint64_t number = 0;

	(void)syscall(SYS_sched_getparam, tid, &param);
	read_processors(tid, s->processors);
	s->nice = nice > 0 ? NICE_ZERO - (int32_t)nice : 0;
	s->policy = policy > 0 ? (uint32_t)policy : 0;
	s->priority = (uint32_t)param.sched_priority;
	s->io_priority = io_priority > 0 ? (uint32_t)io_priority : 0;
	if (procfs__read(tid, "timerslack_ns", text, sizeof(text) - 1) > 0)
		s->timer_slack_ns = strtoull(text, NULL, 10);
	(void)procfs__status_u64(tid, "NoNewPrivs", &number);
	s->no_new_privs = (uint32_t)number;
}

/* A call that was interrupted is made again, or ends with EINTR if the kernel would resume it: as
 * after a rollback (registers.h), but here the frame is nobody's that the kernel knows. */
static void end_call(struct user_regs_struct *user)
{
	enum {
		SYSCALL_BYTES = 2,
		ERESTARTSYS = 512, /* include/linux/errno.h */
		ERESTARTNOINTR,
		ERESTARTNOHAND,
		ERESTART_RESTARTBLOCK = 516,
	};

	if ((int64_t)user->orig_rax >= 0) {
		switch (-(int64_t)user->rax) {
		case ERESTARTSYS:
		case ERESTARTNOINTR:
		case ERESTARTNOHAND:
			user->rax = user->orig_rax;
			user->rip -= SYSCALL_BYTES;
			break;
		case ERESTART_RESTARTBLOCK:
			user->rax = (uint64_t)-EINTR;
		}
	}
	user->orig_rax = UINT64_MAX;
}

static void fill_thread(const struct thread *from, const struct registers *registers,
			struct image_thread *thread)
{
	*thread = (struct image_thread){
		.tid = from->tid,
		.fs_base = registers->general.fs_base,
		.gs_base = registers->general.gs_base,
		.signal_mask = registers->mask,
		.robust_list = registers->robust_list,
		.robust_bytes = registers->robust_bytes,
		.rseq = registers->rseq,
		.rseq_bytes = registers->rseq_bytes,
		.rseq_signature = registers->rseq_signature,
	};
	memcpy(thread->name, from->name, sizeof(thread->name) - 1);
}

static int make_threads(const struct described *process, struct description *d)
{
	struct image *image = &d->draft.image;
	const size_t count = process->threads->count;

	image->threads = calloc(count, sizeof(*image->threads));
	image->registers = calloc(count, sizeof(*image->registers));
	image->scheduling = calloc(count, sizeof(*image->scheduling));
	if (!image->threads || !image->registers || !image->scheduling)
		return -ENOMEM;
	image->thread_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct registers *registers = &process->registers[i];
		const struct thread *thread = &process->threads->items[i];

		if (registers->shadow_stack)
			return -REASON_STATE_NOT_SAVED;
		if (thread->tid == process->pid)
			d->first = i;
		fill_thread(thread, registers, &image->threads[i]);
		read_scheduling(thread->tid, &image->scheduling[i]);
		image->registers[i].user = registers->general;
		end_call(&image->registers[i].user);
		image->registers[i].xstate = registers->extended;
		image->registers[i].xstate_bytes = registers->extended_bytes;
	}
	return 0;
}

/* Each thread answers for itself; the main one also for the process, and it maps the page. */
static int ask_all(const struct described *process, struct description *d)
{
	struct image *image = &d->draft.image;
	const size_t count = image->thread_count;
	struct asked main = {.mem_fd = process->mem_fd}, other = main;
	int err = inject__open_held(process->pid, image->threads[d->first].tid, &main.inject);
	int closing;

	if (err)
		return err;
	err = map_page(&main);
	if (!err)
		err = ask_process(&main, d);
	for (size_t i = 0; i < count && !err; i++) {
		if (i == d->first) {
			err = ask_thread(&main, &image->threads[i], &image->scheduling[i]);
			continue;
		}
		err = inject__open_held(process->pid, image->threads[i].tid, &other.inject);
		if (err)
			break;
		other.page = main.page;
		err = ask_thread(&other, &image->threads[i], &image->scheduling[i]);
		closing = inject__close(other.inject);
		if (!err)
			err = closing;
	}
	closing = unmap_page(&main);
	if (!err)
		err = closing;
	closing = inject__close(main.inject);
	return err ? err : closing;
}

/* ---- the process: what /proc tells ---- */

/* ret_fields: number n of stat, as proc(5) counts from 1, in element n. */
static int read_stat(pid_t pid, uint64_t ret_fields[53])
{
	char text[4096], *at;
	ssize_t length = procfs__read(pid, "stat", text, sizeof(text) - 1);

	if (length < 0)
		return (int)length;
	text[length] = '\0';
	at = strrchr(text, ')'); /* the name may hold anything */
	for (int n = 3; n < 53; n++) {
		at = at ? strchr(at, ' ') : NULL;
		ret_fields[n] = at ? strtoull(++at, NULL, 10) : 0;
	}
	return 0;
}

static int read_numbers(pid_t pid, struct image_process *process)
{
	uint64_t stat[53];
	char text[16] = "";
	int err = read_stat(pid, stat);

	if (err)
		return err;
	process->pid = pid;
	process->ppid = (int32_t)stat[4];
	process->pgrp = (int32_t)stat[5];
	process->sid = (int32_t)stat[6];
	process->start_code = stat[26];
	process->end_code = stat[27];
	process->start_stack = stat[28];
	process->start_data = stat[45];
	process->end_data = stat[46];
	process->start_brk = stat[47];
	process->arg_start = stat[48];
	process->arg_end = stat[49];
	process->env_start = stat[50];
	process->env_end = stat[51];
	process->xcr0 = registrations__xcr0();
	if (procfs__read(pid, "personality", text, sizeof(text) - 1) > 0)
		process->personality = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

static uint32_t add_link(pid_t pid, const char *name, struct image_draft *draft)
{
	char text[PATH_MAX];

	return procfs__readlink(pid, name, text, sizeof(text)) < 0
		       ? 0
		       : image_draft__string(draft, text);
}

static void read_names(pid_t pid, struct image_draft *draft)
{
	struct image_process *process = &draft->image.process;
	ssize_t count;

	process->cwd = add_link(pid, "cwd", draft);
	process->exe = add_link(pid, "exe", draft);
	count = procfs__read(pid, "comm", process->name, sizeof(process->name) - 1);
	process->name[count > 0 ? strcspn(process->name, "\n") : 0] = '\0';
	count = procfs__read(pid, "cmdline", process->arguments, sizeof(process->arguments) - 1);
	for (ssize_t i = 0; i + 1 < count; i++) {
		if (!process->arguments[i])
			process->arguments[i] = ' ';
	}
}

/* The line of status behind a key; "" if there is none. */
static const char *find_line(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) : "";
}

static int read_groups(struct image *image, const char *text)
{
	char *end;

	for (;; text = end) {
		const unsigned long group = strtoul(text, &end, 10);
		uint32_t *larger;

		if (end == text || *text == '\n')
			return 0;
		larger = reallocarray(image->groups, image->group_count + 1, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		image->groups = larger;
		image->groups[image->group_count++] = (uint32_t)group;
	}
}

static int read_status(pid_t pid, struct image *image)
{
	char text[16384];
	ssize_t length = procfs__read(pid, "status", text, sizeof(text) - 1);

	if (length < 0)
		return (int)length;
	text[length] = '\0';
	image->process.umask = (uint32_t)strtoul(find_line(text, "\nUmask:"), NULL, 8);
	image->process.uid = (uint32_t)strtoul(find_line(text, "\nUid:"), NULL, 10);
	image->process.gid = (uint32_t)strtoul(find_line(text, "\nGid:"), NULL, 10);
	if (strtoul(find_line(text, "\nSeccomp:"), NULL, 10))
		image->place.flags |= IMAGE_FILTERED;
	return read_groups(image, find_line(text, "\nGroups:\t"));
}

static int read_limits(pid_t pid, struct image_attributes *attributes)
{
	_Static_assert(sizeof(attributes->limits[0]) == sizeof(struct rlimit64), "as it is");
	char text[16] = "";

	for (int i = 0; i < IMAGE_LIMITS; i++) {
		if (syscall(SYS_prlimit64, pid, i, NULL, &attributes->limits[i]) < 0)
			return -errno;
	}
	attributes->flags |= IMAGE_HAS_LIMITS;
	if (procfs__read(pid, "oom_score_adj", text, sizeof(text) - 1) > 0) {
		attributes->oom_score_adj = (int32_t)strtol(text, NULL, 10);
		attributes->flags |= IMAGE_HAS_OOM;
	}
	return 0;
}

static void read_place(pid_t pid, struct image_place *place)
{
	char text[64];
	struct stat st;
	FILE *file;

	if (procfs__stat(pid, "root", &st))
		return;
	place->root_inode = st.st_ino;
	place->root_device = st.st_dev;
	if (procfs__readlink(pid, "ns/mnt", text, sizeof(text)) >= 0)
		place->mount_namespace = strtoull(text + strcspn(text, "0123456789"), NULL, 10);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (file) {
		if (fgets(text, sizeof(text), file))
			memcpy(place->boot, text, strcspn(text, "\n") % sizeof(place->boot));
		(void)fclose(file);
	}
	place->flags |= IMAGE_HAS_PLACE;
}

/* What no image holds. */
static void find_missing(const struct described *process, struct image_info *info)
{
	char name[64], text[64];

	for (size_t i = 0; i < process->threads->count; i++) {
		const pid_t tid = process->threads->items[i].tid;

		(void)snprintf(name, sizeof(name), "task/%d/children", tid);
		if (procfs__read(process->pid, name, text, sizeof(text)) > 0)
			info->missing |= IMAGE_MISSING_CHILDREN;
	}
	if (procfs__read(process->pid, "timers", text, sizeof(text)) > 0)
		info->missing |= IMAGE_MISSING_TIMERS;
}

/* A timer that has expired is not set again before its signal is taken: the landing lets it expire
 * once more. Other signals that are pending are lost. */
static int find_pending(pid_t pid, struct description *d)
{
	static const int signals[LANDING_TIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
	char text[16384];
	ssize_t length = procfs__read(pid, "status", text, sizeof(text) - 1);
	uint64_t pending;

	if (length < 0)
		return (int)length;
	text[length] = '\0';
	pending = strtoull(find_line(text, "\nShdPnd:"), NULL, 16);
	for (size_t i = 0; i < LANDING_TIMERS; i++) {
		const uint64_t bit = 1ULL << (signals[i] - 1);
		struct itimerval *timer = &d->timers[i];

		if (!(pending & bit) || timer->it_value.tv_sec || timer->it_value.tv_usec)
			continue;
		timer->it_value.tv_usec = 1;
		pending &= ~bit;
	}
	if (pending)
		d->draft.image.info.missing |= IMAGE_MISSING_PENDING;
	return 0;
}

int describe__process(const struct described *process, struct description *d)
{
	struct image *image = &d->draft.image;
	const pid_t pid = process->pid;
	ssize_t auxv_bytes;
	int err = image_draft__info(&d->draft, "tracer " TRACER_VERSION);

	if (!err)
		err = read_numbers(pid, &image->process);
	if (!err)
		err = read_status(pid, image);
	if (!err)
		err = read_limits(pid, &image->attributes);
	if (!err)
		err = describe__files(pid, &d->draft);
	if (err)
		return err;
	read_names(pid, &d->draft);
	read_place(pid, &image->place);
	find_missing(process, &image->info);
	auxv_bytes = procfs__read(pid, "auxv", d->auxv, sizeof(d->auxv));
	if (auxv_bytes < 0)
		return (int)auxv_bytes;
	image->auxv = d->auxv;
	image->auxv_bytes = (size_t)auxv_bytes / sizeof(Elf64_auxv_t) * sizeof(Elf64_auxv_t);
	err = make_threads(process, d);
	if (!err)
		err = ask_all(process, d);
	if (!err)
		err = find_pending(pid, d);
	return err ? err : d->draft.err;
}

void describe__clear(struct description *d)
{
	struct image *image = &d->draft.image;

	free(image->threads);
	free(image->registers);
	free(image->scheduling);
	free(image->files);
	free(image->sizes);
	free(image->births);
	free(image->groups);
	free(image->advice);
	image_draft__clear(&d->draft);
}
