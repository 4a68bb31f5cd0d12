/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See thread_watch.h. A thread is added while it stands still, so its descriptor is of the thread
 * that was read.
 */
#include "target/thread_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EVENTS = 64 };

struct watched {
	struct thread thread;
	bool counts; /* it runs code of the program */
	int fd;      /* -1: it must be read again at the next stop */
};

struct thread_watch {
	pid_t pid;
	int epoll;
	struct watched *items; /* by tid, of the last stop */
	size_t count;
	size_t fds, most_fds;
};

int thread_watch__create(pid_t pid, struct thread_watch **ret_watch)
{
	struct thread_watch *watch = calloc(1, sizeof(*watch));
	struct rlimit limit = {0};
	int err;

	if (!watch)
		return -ENOMEM;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	*watch = (struct thread_watch){
		.pid = pid, .epoll = epoll_create1(EPOLL_CLOEXEC), .most_fds = limit.rlim_cur / 2};
	if (watch->epoll < 0) {
		err = -errno;
		free(watch);
		return err;
	}
	*ret_watch = watch;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const struct watched *left = a, *right = b;

	return (left->thread.tid > right->thread.tid) - (left->thread.tid < right->thread.tid);
}

static struct watched *find(const struct thread_watch *watch, pid_t tid)
{
	const struct watched wanted = {.thread.tid = tid};

	return watch->count
		       ? bsearch(&wanted, watch->items, watch->count, sizeof(wanted), compare_ids)
		       : NULL;
}

static void let_go(struct thread_watch *watch, struct watched *watched)
{
	if (watched->fd < 0)
		return;
	(void)epoll_ctl(watch->epoll, EPOLL_CTL_DEL, watched->fd, NULL);
	(void)close(watched->fd);
	watched->fd = -1;
	watch->fds--;
}

/* Lets go of threads that have ended. */
static void drop_ended(struct thread_watch *watch)
{
	struct epoll_event events[EVENTS];
	int count = EVENTS;

	while (watch->fds && count == EVENTS) {
		count = epoll_wait(watch->epoll, events, EVENTS, 0);
		for (int i = 0; i < count; i++) {
			struct watched *ended = find(watch, (pid_t)events[i].data.u64);

			if (ended)
				let_go(watch, ended);
		}
	}
}

/* From now on the kernel tells when the thread has ended. */
static void watch_end(struct thread_watch *watch, struct watched *watched)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)watched->thread.tid};

	if (watch->fds == watch->most_fds)
		return;
	watched->fd = (int)syscall(SYS_pidfd_open, watched->thread.tid, THREADS_PIDFD);
	if (watched->fd < 0)
		return;
	watch->fds++;
	if (epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watched->fd, &event))
		let_go(watch, watched);
}

/* The threads of this stop; those that are known keep their descriptors. */
struct round {
	struct thread_watch *watch;
	struct watched *items;
	size_t count, room;
};

static int add(pid_t tid, void *argument)
{
	struct round *round = argument;
	struct watched *known = find(round->watch, tid), *item;
	int err;

	if (round->count == round->room) {
		const size_t room = round->room ? 2 * round->room : 8;
		struct watched *larger = reallocarray(round->items, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		round->items = larger;
		round->room = room;
	}
	item = &round->items[round->count];
	if (known && known->fd >= 0) {
		*item = *known;
		known->fd = -1;
		round->count++;
		return 0;
	}
	*item = (struct watched){.fd = -1};
	err = threads__read_one(round->watch->pid, tid, &item->thread, &item->counts);
	if (err)
		return err == -ESRCH ? 0 : err; /* it was ending */
	watch_end(round->watch, item);
	round->count++;
	return 0;
}

static int list(const struct thread_watch *watch, struct threads *ret_threads)
{
	struct threads threads = {.items = calloc(watch->count + 1, sizeof(*threads.items))};

	if (!threads.items)
		return -ENOMEM;
	for (size_t i = 0; i < watch->count; i++)
		if (watch->items[i].counts)
			threads.items[threads.count++] = watch->items[i].thread;
	*ret_threads = threads;
	return 0;
}

static void clear(struct thread_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		let_go(watch, &watch->items[i]);
	free(watch->items);
	watch->items = NULL;
	watch->count = 0;
}

int thread_watch__list(struct thread_watch *watch, const struct freeze *freeze,
		       struct threads *ret_threads)
{
	struct round round = {.watch = watch};
	int err;

	if (freeze__holds_only(freeze, watch->pid))
		return threads__alone(watch->pid, ret_threads);
	drop_ended(watch);
	err = freeze__for_each(freeze, add, &round);
	clear(watch);
	watch->items = round.items;
	watch->count = round.count;
	if (watch->count)
		qsort(watch->items, watch->count, sizeof(*watch->items), compare_ids);
	return err ? err : list(watch, ret_threads);
}

void thread_watch__free(struct thread_watch *watch)
{
	if (!watch)
		return;
	clear(watch);
	(void)close(watch->epoll);
	free(watch);
}
