/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See threads.h. What it reads is in /proc/PID/task/TID/stat, proc_pid_stat(5).
 */
#include "target/threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/procfs.h"

enum {
	NAMED = 4, /* threads in a message */
	/* PF_EXITING, PF_IO_WORKER and PF_USER_WORKER of include/linux/sched.h */
	ENDING = 0x4,
	IO_WORKER = 0x10,
	USER_WORKER = 0x4000,
};

int threads__alone(pid_t pid, struct threads *ret_threads)
{
	struct thread *first = calloc(1, sizeof(*first));

	if (!first)
		return -ENOMEM;
	first->tid = pid;
	ret_threads->items = first;
	ret_threads->count = 1;
	return 0;
}

int threads__read_one(pid_t pid, pid_t tid, struct thread *ret_thread, bool *ret_counts)
{
	struct procfs_fields fields;
	char file[40];
	int err;

	snprintf(file, sizeof(file), "task/%d/stat", tid);
	err = procfs__fields(pid, file, &fields);
	if (err)
		return err;
	*ret_thread = (struct thread){.tid = tid, .start = tid == pid ? 0 : fields.items[22]};
	snprintf(ret_thread->name, sizeof(ret_thread->name), "%.15s", fields.name);
	*ret_counts = !(fields.items[9] & (ENDING | IO_WORKER | USER_WORKER));
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const struct thread *left = a, *right = b;

	return (left->tid > right->tid) - (left->tid < right->tid);
}

int threads__read(pid_t pid, struct threads *ret_threads)
{
	struct threads threads = {0};
	pid_t *tids = NULL;
	size_t count = 0;
	int err = procfs__threads(pid, &tids, &count);

	if (err)
		return err;
	threads.items = calloc(count, sizeof(*threads.items));
	err = threads.items ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !err; i++) {
		bool counts = false;

		err = threads__read_one(pid, tids[i], &threads.items[threads.count], &counts);
		if (err == -ESRCH)
			err = 0; /* it was ending */
		threads.count += counts;
	}
	free(tids);
	if (err) {
		threads__clear(&threads);
		return err;
	}
	qsort(threads.items, threads.count, sizeof(*threads.items), compare_ids);
	*ret_threads = threads;
	return 0;
}

bool threads__have(const struct threads *threads, const struct thread *thread)
{
	const struct thread *found = threads->count
					     ? bsearch(thread, threads->items, threads->count,
						       sizeof(*thread), compare_ids)
					     : NULL;

	return found && found->start == thread->start;
}

/* Appends " VERB TID (NAME), ..." of the threads that the other list does not have; returns their
 * number. */
static size_t name_others(const struct threads *threads, const struct threads *others,
			  const char *verb, char *text, size_t size)
{
	size_t count = 0, used = strlen(text);

	for (size_t i = 0; i < threads->count; i++) {
		const struct thread *thread = &threads->items[i];

		if (threads__have(others, thread))
			continue;
		count++;
		if (count > NAMED || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s%d (%s)",
					 count > 1 ? ", "
					 : *text   ? "; "
						   : "",
					 count > 1 ? "" : verb, thread->tid, thread->name);
	}
	if (count > NAMED && used < size)
		snprintf(text + used, size - used, " and %zu more", count - NAMED);
	return count;
}

bool threads__are_same(const struct threads *before, const struct threads *now, char *text,
		       size_t size)
{
	size_t changes;

	*text = '\0';
	changes = name_others(now, before, "started: ", text, size);
	changes += name_others(before, now, "ended: ", text, size);
	return !changes;
}

void threads__clear(struct threads *threads)
{
	free(threads->items);
	*threads = (struct threads){0};
}
