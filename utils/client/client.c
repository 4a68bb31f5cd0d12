/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target's side of the control-file protocol (docs/protocol.md). Memory is rolled back inside
 * the access(2) calls below: heap, bss, anonymous mappings and thread-local storage may change at
 * any poll. So everything here lives on the stack or in registers, and no stdio and no allocation
 * is used. errno is thread-local: it is read right after the failing call.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define REQUEST_CHECKPOINT  "ready_to_checkpoint"
#define COMPLETE_CHECKPOINT "checkpoint_complete"
#define REQUEST_RESTORE     "ready_to_restore"
#define COMPLETE_RESTORE    "restore_complete"
#define REQUEST_ROLLBACK    "ready_to_rollback"
#define COMPLETE_ROLLBACK   "rollback_complete"

#define NSEC_PER_MSEC 1000000ULL
#define SPIN_NS       (2 * NSEC_PER_MSEC)  /* poll this long without a pause */
#define POLLS         32                   /* between two readings of the clock */
#define BUSY_NS       (4 * NSEC_PER_MSEC)  /* POLLS polls that take so long did a copy */
#define STOPPED_NS    (50 * NSEC_PER_MSEC) /* a gap this long: stopped, or not scheduled */
#define NAP_MIN_NS    20000ULL
#define NAP_MAX_NS    NSEC_PER_MSEC

enum { ANSWERED = 2 }; /* beside CLIENT_BACK */

struct paths { /* absolute, on the caller's stack */
	char request[PATH_MAX];
	char complete[PATH_MAX];
	char back[PATH_MAX]; /* the completion file of a rollback that has brought us here; "": none
			      * can */
};

struct wait {
	uint64_t timeout_ns;
	uint64_t waited_ns;       /* time in which nobody answered or worked */
	uint64_t spin_ns;         /* what is left of the spinning phase */
	uint64_t nap_ns;          /* the next pause */
	uint64_t wall_ns, cpu_ns; /* clocks at the last reading */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t = {0};

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 * NSEC_PER_MSEC + (uint64_t)t.tv_nsec;
}

/* Builds directory/name. The tracer compares paths as text: no doubled slash before the name. */
static int build_path(const char *name, char path[PATH_MAX])
{
	const char *dir = secure_getenv("TRACER_CONTROL_DIR");
	size_t dir_len, name_len = strlen(name);

	if (!dir || !*dir)
		dir = "/tmp";
	if (*dir != '/')
		return -EINVAL;
	dir_len = strnlen(dir, PATH_MAX);
	while (dir_len > 0 && dir[dir_len - 1] == '/')
		dir_len--;
	if (dir_len + 1 + name_len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path, dir, dir_len);
	path[dir_len] = '/';
	memcpy(path + dir_len + 1, name, name_len + 1);
	return 0;
}

/* Like parse__u64; this file must be usable alone. */
static int read_timeout(unsigned int timeout_ms, uint64_t *ret_ns)
{
	const char *text = secure_getenv("TRACER_TIMEOUT_MS");
	uint64_t ms = timeout_ms;

	if (!timeout_ms && text && *text) {
		for (; *text >= '0' && *text <= '9' && ms <= CLIENT_TIMEOUT_MAX_MS; text++)
			ms = ms * 10 + (uint64_t)(*text - '0');
		if (*text || !ms)
			return -EINVAL;
	} else if (!timeout_ms) {
		ms = CLIENT_TIMEOUT_MS;
	}
	if (ms > CLIENT_TIMEOUT_MAX_MS)
		return -EINVAL;
	*ret_ns = ms * NSEC_PER_MSEC;
	return 0;
}

static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid();
}

/*
 * The completion file belongs to the target's user, or to root with a simple tracer. A second name
 * means that somebody linked another file of such an owner here (link(2) needs no right to the file
 * unless fs.protected_hardlinks is set, proc_sys_fs(5)).
 */
static bool is_answer(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (st->st_uid == geteuid() || st->st_uid == 0);
}

/*
 * Removes path if accept allows it. Returns 0, also if there is no such file; -EEXIST if accept
 * does not allow it, or if it is root's file in a sticky directory; or -errno.
 */
static int remove_file(const char *path, bool (*accept)(const struct stat *st))
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!accept(&st))
		return -EEXIST;
	if (unlink(path) < 0 && errno != ENOENT)
		return errno == EPERM || errno == EACCES ? -EEXIST : -errno;
	return 0;
}

/* Makes a new request file, after removing files of an earlier run of ours. */
static int make_request(const struct paths *paths)
{
	int fd, err, tries;

	err = remove_file(paths->complete, is_answer); /* an old one would look like the answer */
	if (err)
		return err;
	for (tries = 0; tries < 2; tries++) {
		fd = open(paths->request, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
			  0600);
		if (fd >= 0) {
			(void)close(fd);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
		err = remove_file(paths->request, is_ours);
		if (err)
			return err;
	}
	return -EEXIST;
}

/* 1 for an answer to believe, 0 for none, -EPERM for a false one. lstat(2) is no poll. */
static int check_answer(const char *complete)
{
	struct stat st;

	if (lstat(complete, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return is_answer(&st) ? 1 : -EPERM;
}

/* One poll: 1 answered, 0 not yet, -errno. */
static int poll_answer(const char *complete)
{
	if (access(complete, F_OK) == 0)
		return check_answer(complete);
	return errno == ENOENT ? 0 : -errno;
}

/* Looks for the answer, and first for the end of a rollback: ANSWERED, CLIENT_BACK, 0 for neither,
 * or -errno. */
static int look_for_answer(const struct paths *paths, int (*look)(const char *complete))
{
	int err = *paths->back ? look(paths->back) : 0;

	if (err)
		return err < 0 ? err : CLIENT_BACK;
	err = look(paths->complete);
	return err > 0 ? ANSWERED : err;
}

static bool request_is_gone(const char *request)
{
	struct stat st;

	return lstat(request, &st) < 0 && errno == ENOENT;
}

/*
 * After POLLS polls: accounts for the time since the last look, and pauses once the spinning phase
 * is over. Polls that cost much processor time made a part of the copy. A long gap means that we
 * were stopped for the tracer's work. Neither counts as silence. The first starts a new spin,
 * because a large copy takes many polls. Returns 0 to go on, -ETIMEDOUT.
 */
static int pass_time(struct wait *wait)
{
	uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t passed_ns = wall_ns - wait->wall_ns, worked_ns = cpu_ns - wait->cpu_ns;
	struct timespec nap;

	wait->wall_ns = wall_ns;
	wait->cpu_ns = cpu_ns;
	if (worked_ns >= BUSY_NS) {
		wait->spin_ns = SPIN_NS;
		wait->nap_ns = NAP_MIN_NS;
		return 0;
	}
	wait->waited_ns += passed_ns < STOPPED_NS ? passed_ns : STOPPED_NS;
	if (wait->waited_ns >= wait->timeout_ns)
		return -ETIMEDOUT;
	if (wait->spin_ns > passed_ns) {
		wait->spin_ns -= passed_ns;
		(void)sched_yield(); /* to a tracer that waits for this processor */
		return 0;
	}
	wait->spin_ns = 0;
	nap = (struct timespec){.tv_nsec = (long)wait->nap_ns};
	(void)nanosleep(&nap, NULL); /* a signal only makes it shorter */
	wait->nap_ns = wait->nap_ns * 2 < NAP_MAX_NS ? wait->nap_ns * 2 : NAP_MAX_NS;
	return 0;
}

/* Returns ANSWERED, CLIENT_BACK or -errno. */
static int wait_for_answer(const struct paths *paths, uint64_t timeout_ns)
{
	struct wait wait = {
		.timeout_ns = timeout_ns,
		.spin_ns = SPIN_NS,
		.nap_ns = NAP_MIN_NS,
		.wall_ns = clock_ns(CLOCK_MONOTONIC),
		.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
	};
	unsigned int polls;
	int err;

	for (polls = 1;; polls++) {
		err = look_for_answer(paths, poll_answer);
		if (err)
			return err;
		if (polls % POLLS != 0)
			continue;
		if (request_is_gone(paths->request)) {
			/* The answer may have come since the poll. */
			err = look_for_answer(paths, check_answer);
			return err ? err : -EIO;
		}
		err = pass_time(&wait);
		if (err)
			return err;
	}
}

/* back: the third file, or NULL. */
static int ask(const char *request, const char *complete, const char *back, unsigned int timeout_ms)
{
	struct paths paths;
	uint64_t timeout_ns;
	int err;

	paths.back[0] = '\0';
	err = read_timeout(timeout_ms, &timeout_ns);
	if (err)
		return err;
	err = build_path(request, paths.request);
	if (err)
		return err;
	err = build_path(complete, paths.complete);
	if (err)
		return err;
	err = back ? build_path(back, paths.back) : 0;
	if (err)
		return err;
	err = back ? remove_file(paths.back, is_answer) : 0;
	if (err)
		return err;
	err = make_request(&paths);
	if (err)
		return err;
	err = wait_for_answer(&paths, timeout_ns);
	/* The work is done or given up by now. The next request reports a file that cannot be
	 * removed. */
	(void)remove_file(paths.request, is_ours);
	if (err == -ETIMEDOUT && check_answer(paths.complete) == 1)
		err = ANSWERED; /* at the last moment */
	(void)remove_file(paths.complete, is_answer);
	if (back)
		(void)remove_file(paths.back, is_answer);
	return err == ANSWERED ? 0 : err;
}

int client__save(unsigned int timeout_ms)
{
	return ask(REQUEST_CHECKPOINT, COMPLETE_CHECKPOINT, NULL, timeout_ms);
}

int client__restore(unsigned int timeout_ms)
{
	return ask(REQUEST_RESTORE, COMPLETE_RESTORE, NULL, timeout_ms);
}

int client__save_whole(unsigned int timeout_ms)
{
	return ask(REQUEST_CHECKPOINT, COMPLETE_CHECKPOINT, COMPLETE_ROLLBACK, timeout_ms);
}

int client__rollback(unsigned int timeout_ms)
{
	return ask(REQUEST_ROLLBACK, COMPLETE_ROLLBACK, NULL, timeout_ms);
}

int client__cleanup(void)
{
	const char *const names[] = {REQUEST_CHECKPOINT, COMPLETE_CHECKPOINT, REQUEST_RESTORE,
				     COMPLETE_RESTORE,   REQUEST_ROLLBACK,    COMPLETE_ROLLBACK};
	int kept_errno = errno, result = 0, err;
	char path[PATH_MAX];
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		err = build_path(names[i], path);
		if (!err)
			err = remove_file(path, is_ours);
		if (err == -EEXIST)
			err = 0; /* not ours, so it stays */
		if (err && !result)
			result = err;
	}
	errno = kept_errno;
	return result;
}

const char *client__strerror(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return "done";
	case ETIMEDOUT:
		return "no tracer answered in time; start the program with: tracer PROGRAM, and "
		       "check that both use the same control folder (TRACER_CONTROL_DIR)";
	case EIO:
		return "the tracer could not do it, and its messages on stderr say why; if there "
		       "is none, another program has removed the request from the control folder: "
		       "give the tracer a folder of its own with --control-dir";
	case EEXIST:
		return "a control file is in the way that is not a plain file of this user; remove "
		       "ready_to_* and *_complete from the control folder, or give the tracer "
		       "another one with --control-dir";
	case EPERM:
		return "the answer was not a plain file of this user or of root, so somebody else "
		       "may have made it; give the tracer a private folder with --control-dir";
	case EINVAL:
		return "TRACER_CONTROL_DIR must be an absolute path, and the timeout a number of "
		       "milliseconds from 1 to 86400000 (TRACER_TIMEOUT_MS)";
	case ENAMETOOLONG:
		return "the path of the control folder is too long; choose a shorter one";
	case ENOENT:
		return "the control folder does not exist; create it, or correct "
		       "TRACER_CONTROL_DIR";
	case ENOTDIR:
		return "the control folder is not a folder; correct TRACER_CONTROL_DIR";
	case EACCES:
		return "this user may not create files in the control folder; change its mode, "
		       "or give the tracer another one with --control-dir";
	case EROFS:
		return "the control folder cannot be written to (read-only file system); give "
		       "the tracer another one with --control-dir";
	case ENOSPC:
		return "the file system of the control folder is full; make room, or give the "
		       "tracer another one with --control-dir";
	default:
		return strerror(err < 0 ? -err : err);
	}
}

/* Weak: a program's own function of such a name takes its place without a link error. */
__attribute__((weak)) int savecontext(void)
{
	return client__save(0);
}

__attribute__((weak)) int recovercontext(void)
{
	return client__restore(0);
}

__attribute__((weak)) int cleanup(void)
{
	return client__cleanup();
}
