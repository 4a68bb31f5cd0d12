/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See thread_reader.h.
 */
#include "kernel/thread_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "kernel/task_iterator.h"
#include <tracer.skel.h>

enum { FIRST_ROOM = 64 };

struct thread_reader {
	int link;
	const struct tracer_bpf *object; /* NULL: registrations are not counted */
	struct thread_record *records;
	size_t room, count;
	size_t next; /* where the next thread is looked for first */
};

/* Makes room for twice as many. */
static int grow(struct thread_reader *reader)
{
	const size_t room = reader->room ? 2 * reader->room : FIRST_ROOM;
	struct thread_record *records = reallocarray(reader->records, room, sizeof(*records));

	if (!records)
		return -ENOMEM;
	reader->records = records;
	reader->room = room;
	return 0;
}

/* Begins to count registrations. The links belong to the object: hooks__free() closes them in the
 * background. */
static int attach_counter(struct tracer_bpf *object)
{
	const struct {
		const struct bpf_program *program;
		struct bpf_link **link;
	} hooks[] = {
		{object->progs.on_sigaltstack, &object->links.on_sigaltstack},
		{object->progs.on_set_tid_address, &object->links.on_set_tid_address},
		{object->progs.on_set_robust_list, &object->links.on_set_robust_list},
		{object->progs.on_rseq, &object->links.on_rseq},
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		if (!*hooks[i].link)
			*hooks[i].link = bpf_program__attach(hooks[i].program);
		if (!*hooks[i].link)
			return -errno;
	}
	return 0;
}

int thread_reader__open(const struct hooks *hooks, pid_t pid, struct thread_reader **ret_reader)
{
	struct thread_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	if (grow(reader)) {
		free(reader);
		return -ENOMEM;
	}
	reader->link = task_iterator__open(hooks__object(hooks)->progs.tell_thread, pid);
	if (reader->link < 0) {
		int err = reader->link;

		free(reader->records);
		free(reader);
		return err;
	}
	if (!attach_counter(hooks__object(hooks)))
		reader->object = hooks__object(hooks);
	*ret_reader = reader;
	return 0;
}

/* One more than the counter, which begins with 0. */
uint64_t thread_reader__registrations(const struct thread_reader *reader)
{
	return reader->object ? 1 + __atomic_load_n(&reader->object->bss->state.registrations,
						    __ATOMIC_ACQUIRE)
			      : 0;
}

int thread_reader__read(struct thread_reader *reader)
{
	long bytes;

	reader->count = reader->next = 0;
	for (;;) {
		bytes = task_iterator__read(reader->link, reader->records,
					    reader->room * sizeof(*reader->records));
		if (bytes < 0)
			return (int)bytes;
		if ((size_t)bytes < reader->room * sizeof(*reader->records))
			break;
		if (grow(reader)) /* there may be more */
			return -ENOMEM;
	}
	reader->count = (size_t)bytes / sizeof(*reader->records);
	return 0;
}

const struct thread_record *thread_reader__find(struct thread_reader *reader, pid_t tid)
{
	for (size_t i = 0; i < reader->count; i++) {
		const size_t at = (reader->next + i) % reader->count;

		if (reader->records[at].tid != (__u32)tid)
			continue;
		reader->next = at + 1;
		return &reader->records[at];
	}
	return NULL;
}

void thread_reader__close(struct thread_reader *reader)
{
	if (!reader)
		return;
	close(reader->link);
	free(reader->records);
	free(reader);
}
