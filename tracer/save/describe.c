/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See describe.h.
 */
#include "save/describe.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/procfs.h"
#include "image/image_reason.h"
#include "process/file_sharing.h"
#include "target/reason.h"

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

/* getpriority(2), as a system call, returns 20 - nice. */
static void read_scheduling(pid_t tid, struct image_scheduling *s)
{
	enum { NICE_ZERO = 20, IO_PRIORITY_OF_PROCESS = 1 };
	const long nice = syscall(SYS_getpriority, PRIO_PROCESS, tid);
	const long policy = syscall(SYS_sched_getscheduler, tid);
	const long io_priority = syscall(SYS_ioprio_get, IO_PRIORITY_OF_PROCESS, tid);
	struct sched_param param = {0};
	char text[32];
	uint64_t number = 0;

	(void)syscall(SYS_sched_getparam, tid, &param);
	read_processors(tid, s->processors);
	s->nice = nice > 0 ? NICE_ZERO - (int32_t)nice : 0;
	s->policy = policy > 0 ? (uint32_t)policy : 0;
	s->priority = (uint32_t)param.sched_priority;
	s->io_priority = io_priority > 0 ? (uint32_t)io_priority : 0;
	if (procfs__string(tid, "timerslack_ns", text, sizeof(text)) > 0)
		s->timer_slack_ns = strtoull(text, NULL, 10);
	(void)procfs__status_u64(tid, "NoNewPrivs", &number);
	s->no_new_privs = (uint32_t)number;
}

/* A call that was interrupted is made again. One that the kernel would resume ends with EINTR, as
 * after a rollback (registers.h). rt_sigreturn(2) restarts no call, so it is done here. */
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
			const struct registered *registered, struct image_thread *thread)
{
	*thread = (struct image_thread){
		.tid = from->tid,
		.fs_base = registers->general.fs_base,
		.gs_base = registers->general.gs_base,
		.signal_mask = registers->mask,
		.robust_list = registered->robust_list,
		.robust_bytes = registered->robust_bytes,
		.rseq = registered->rseq,
		.rseq_bytes = registered->rseq_bytes,
		.rseq_signature = registered->rseq_signature,
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
		if (file_sharing__is_apart(process->pid, thread->tid))
			return -IMAGE_APART;
		if (thread->tid == process->pid)
			d->first = i;
		fill_thread(thread, registers, &process->registered[i], &image->threads[i]);
		read_scheduling(thread->tid, &image->scheduling[i]);
		image->registers[i].user = registers->general;
		end_call(&image->registers[i].user);
		image->registers[i].xstate = registers->extended;
		image->registers[i].xstate_bytes = registers->extended_bytes;
	}
	return 0;
}

int describe__process(const struct described *process, struct description *d)
{
	int err = image_draft__info(&d->draft, "tracer " TRACER_VERSION);

	if (err)
		return err;
	err = describe__proc(process, d);
	if (err)
		return err;
	err = describe__files(process->pid, &d->draft);
	if (err)
		return err;
	err = make_threads(process, d);
	if (err)
		return err;
	err = describe__ask(process, d);
	if (err)
		return err;
	err = describe__status(process, d);
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
