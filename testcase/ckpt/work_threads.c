/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of several threads, and of children.
 */
#include "work.h"

#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { THREADS = 8 };

/* ---- several threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t next = PTHREAD_COND_INITIALIZER;
static unsigned long turn, rounds, stop_at = -1ul;
static uint64_t sums[THREADS];
static __thread uint64_t local;

/* In turns; each thread adds what only it knows. */
static void *take_turns(void *argument)
{
	const unsigned long me = (unsigned long)(uintptr_t)argument;

	local = mix(me);
	(void)pthread_mutex_lock(&lock);
	for (;;) {
		while (turn % THREADS != me && turn < stop_at)
			(void)pthread_cond_wait(&next, &lock);
		if (turn >= stop_at)
			break;
		check(local == mix(me) + rounds / THREADS);
		local++;
		sums[me] += local;
		turn++;
		rounds++;
		(void)pthread_cond_broadcast(&next);
		(void)pthread_mutex_unlock(&lock);
		for (volatile unsigned int i = 0; i < 3000; i++)
			;
		(void)pthread_mutex_lock(&lock);
	}
	(void)pthread_mutex_unlock(&lock);
	return argument;
}

static void *return_at_once(void *argument)
{
	return argument;
}

static void threads(void)
{
	pthread_t ids[THREADS], one_more;
	void *returned = NULL;
	unsigned long each;

	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&ids[i], NULL, take_turns, (void *)i) == 0);
	while (__atomic_load_n(&rounds, __ATOMIC_RELAXED) < 230)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	(void)pthread_mutex_lock(&lock);
	stop_at = (turn / THREADS + 230) * THREADS;
	(void)pthread_mutex_unlock(&lock);
	for (uintptr_t i = 0; i < THREADS; i++)
		check(pthread_join(ids[i], &returned) == 0 && returned == (void *)i);
	each = turn / THREADS;
	for (unsigned long i = 0; i < THREADS; i++)
		check(sums[i] == each * mix(i) + each * (each + 1) / 2);
	check(pthread_create(&one_more, NULL, return_at_once, &turn) == 0);
	check(pthread_join(one_more, &returned) == 0 && returned == &turn);
	check(pthread_kill(pthread_self(), 0) == 0);
}

static void *wait_too(void *argument)
{
	while (access("finish", F_OK) != 0)
		(void)usleep(300000);
	return argument;
}

/* The main thread takes the image. The C library changes the cancel type of a thread while it makes
 * a system call that is a cancellation point; the image must not hold that. Nothing here sleeps:
 * that would set the type back. */
static void cancel(void)
{
	int type = -1;
	pthread_t id;

	must(pthread_create(&id, NULL, wait_too, NULL) == 0);
	say("ready");
	while (!must_finish()) {
		for (volatile unsigned int i = 0; i < 3000000; i++)
			;
	}
	check(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type) == 0);
	check(type == PTHREAD_CANCEL_DEFERRED);
	check(pthread_join(id, NULL) == 0);
}

static void *spin(void *argument)
{
	if (argument)
		check(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
	for (;;)
		pthread_testcancel();
	return argument;
}

/* Threads that are cancelled, at points or anywhere, while images are taken all the time. */
static void cancelled(void)
{
	enum { ROUNDS = 301, PAIR = 2 };
	pthread_t ids[PAIR];
	void *result;

	say("ready");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		for (uintptr_t k = 0; k < PAIR; k++)
			check(pthread_create(&ids[k], NULL, spin, (void *)k) == 0); /* NOLINT */
		(void)usleep(1000 + i % 7 * 300);
		for (unsigned int k = 0; k < PAIR; k++) {
			check(pthread_cancel(ids[k]) == 0);
			check(pthread_join(ids[k], &result) == 0 && result == PTHREAD_CANCELED);
		}
	}
}

static int wait_for_one_object(struct dl_phdr_info *info, size_t bytes, void *seen)
{
	(void)info;
	(void)bytes;
	if (++*(int *)seen == 1)
		wait_for_finish();
	return 0;
}

static int count_object(struct dl_phdr_info *info, size_t bytes, void *seen)
{
	(void)info;
	(void)bytes;
	++*(int *)seen;
	return 0;
}

static void *count_objects(void *argument)
{
	(void)dl_iterate_phdr(count_object, argument);
	return NULL;
}

/* In the middle of the loader, which has a lock that knows its thread; another one waits for it. */
static void loader(void)
{
	int seen = 0, seen_too = 0;
	pthread_t id;

	say("ready");
	(void)dl_iterate_phdr(wait_for_one_object, &seen);
	check(pthread_create(&id, NULL, count_objects, &seen_too) == 0);
	check(pthread_join(id, NULL) == 0 && seen == seen_too && seen > 0);
}

/* A thread that blocks all signals. */
static void *wait_deaf(void *argument)
{
	sigset_t all;

	(void)sigfillset(&all);
	must(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	say("ready");
	wait_for_finish();
	return argument;
}

static void deaf(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, wait_deaf, NULL) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* One more than an image can have; they only wait to be gone. */
static void many_threads(void)
{
	enum { MANY = 4096 };
	pthread_attr_t attributes;
	pthread_t id;

	must(pthread_attr_init(&attributes) == 0 &&
	     pthread_attr_setstacksize(&attributes, 16 * PAGE) == 0);
	for (unsigned int i = 0; i < MANY; i++) {
		if (pthread_create(&id, &attributes, wait_too, NULL)) {
			say("too few");
			break;
		}
	}
	say("ready");
	wait_for_finish();
}

/* ---- children ---- */

static void *ask_often(void *argument)
{
	while (access("finish", F_OK) != 0)
		(void)pthread_kill(pthread_self(), SIGUSR2);
	return argument;
}

/* With CKPT_VERBOSE=1 libckpt says something about each image. */
static bool is_answered(void)
{
	int fd = open("child.err", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;

	must(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	must(raise(SIGUSR2) == 0 && fstat(fd, &st) == 0);
	return st.st_size > 0;
}

/* Each child that is made while images are written can write one itself. */
static void forks(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, ask_often, NULL) == 0);
	for (int i = 0; i < 23; i++) {
		pid_t child = fork();
		int status = 0;

		must(child >= 0);
		if (child == 0)
			_exit(is_answered() ? 0 : WRONG);
		must(waitpid(child, &status, 0) == child);
		check(status == 0);
	}
	must(close(open("finish", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* A child writes images to the same name, between two of its parent. */
static void family(void)
{
	int status = 0;
	pid_t child;

	must(raise(SIGUSR2) == 0);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		must(raise(SIGUSR2) == 0 && raise(SIGUSR2) == 0);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && status == 0);
	must(raise(SIGUSR2) == 0);
}

/* With CKPT_FORK: a child asks for an image after one that another child of its parent wrote. */
static void sisters(void)
{
	struct stat first, now;
	int status = 0;
	pid_t child;

	must(raise(SIGUSR2) == 0);
	while (stat("image", &first) < 0)
		(void)usleep(10000);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		must(raise(SIGUSR2) == 0);
		do
			(void)usleep(10000);
		while (stat("image", &now) < 0 || now.st_ino == first.st_ino);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && status == 0);
}

static atomic_ulong counts[THREADS];

static void *count(void *argument)
{
	atomic_ulong *number = argument;

	for (;;) {
		(*number)++;
		(void)usleep(1000);
	}
	return NULL;
}

/* A child has the memory of its parent, until a file "released" is there. */
static void *wait_for_child(void *argument)
{
	const struct timespec moment = {.tv_nsec = 20000000};
	pid_t child = vfork(); /* NOLINT: that is what the scene is about */

	must(child >= 0);
	if (child == 0) { /* NOLINTBEGIN: what it calls are system calls */
		(void)close(open("child", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		while (access("released", F_OK) < 0)
			(void)nanosleep(&moment, NULL);
		_exit(0); /* NOLINTEND */
	}
	must(waitpid(child, NULL, 0) == child);
	return argument;
}

/* A request to a child of vfork(2) is none to its parent, whose threads all go on. */
static void vforks(void)
{
	unsigned long before[THREADS];
	pthread_t id;

	for (int i = 0; i < THREADS; i++)
		must(pthread_create(&id, NULL, count, &counts[i]) == 0);
	must(pthread_create(&id, NULL, wait_for_child, NULL) == 0);
	while (access("child", F_OK) < 0)
		(void)usleep(10000);
	say("ready");
	wait_for_finish();
	check(pthread_join(id, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		before[i] = counts[i];
	for (int i = 0; i < THREADS; i++) {
		for (int tries = 0; counts[i] == before[i] && tries < 100000; tries++)
			(void)usleep(10000);
		check(counts[i] != before[i]);
	}
}

const struct work_scene work_threads[] = {
	{"threads", threads}, {"deaf", deaf},         {"forks", forks},
	{"family", family},   {"cancel", cancel},     {"cancelled", cancelled},
	{"sisters", sisters}, {"many", many_threads}, {"loader", loader},
	{"vforks", vforks},   {NULL, NULL},
};
