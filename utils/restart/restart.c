/* SPDX-License-Identifier: BSD-2-Clause
 *
 * restart [FILE]: brings a process back from its image, see restart(1). Options, open files, and
 * what can be checked beforehand; plan.c works out the rest and restore.c does it.
 *
 * Where restart lies: it is linked at a fixed address, 1 MiB, and statically, so that nothing of it
 * is where the kernel likes. Programs lie at 4 MiB (fixed) or far above; all else that the kernel
 * has put into this process (stack, heap, vdso) is unmapped or moved before the image comes. Moving
 * itself out of the way would work for any image; a fixed low address is simpler, can be debugged
 * as it lies, and fails only for a program that is linked there, with a message.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "restart/clocks.h"
#include "restart/plan.h"
#include "restart/restore.h"

enum { FAILED = 125, OPTION_SAME_PID = 256, FIRST_FD = 64, OTHER_FDS = 23 };

struct options {
	const char *path;
	int same_pid;
};

const char *argp_program_version = "restart " TRACER_VERSION;

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPTION_SAME_PID:
		options->same_pid = 1;
		return 0;
	case 'v':
		log__set_level(LOG_LEVEL_VERBOSE);
		return 0;
	case 'q':
		log__set_level(LOG_LEVEL_QUIET);
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one image at a time");
		options->path = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_table[] = {
	{"same-pid", OPTION_SAME_PID, NULL, 0,
	 "give the process the number that it had (as root); refuse if that cannot be", 0},
	{"verbose", 'v', NULL, 0, "say all that is not brought back", 0},
	{"quiet", 'q', NULL, 0, "say nothing but errors", 0},
	{NULL, 'h', NULL, 0, "Give this help list", -1},
	{0},
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[FILE]",
	.doc = "Bring a process back from the image FILE (default: myckpt) that libckpt wrote.\v"
	       "The exit status is that of the process; 125 if it could not be brought back.",
};

/* ---- --same-pid ---- */

/* Ends as the process does, and stops as it does, so that a shell sees it. What wakes it up then is
 * a SIGCONT, which is handed on like any other signal. */
static void follow(pid_t child)
{
	int status = 0;
	pid_t pid = waitpid(child, &status, WNOHANG | WUNTRACED);

	if (pid == child && WIFSTOPPED(status))
		(void)raise(SIGSTOP);
	else if (pid == child)
		exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	else if (pid < 0 && errno == ECHILD)
		exit(FAILED); /* somebody else has been told how it ended */
}

/* Hands signals on to the process. Those of the kernel, as Ctrl-C on a
 * terminal, it has got as well. */
__attribute__((noreturn)) static void wait_for(pid_t child)
{
	sigset_t all;

	(void)sigfillset(&all);
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(&all, &info);

		if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
			(void)kill(child, signal);
		follow(child);
	}
}

/* A child with that number goes on; the parent waits for its end. Returns 0 in
 * the child, -errno. */
static int take_pid(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	sigset_t all, before;
	long child;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, its end could not be waited for */
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child > 0)
		wait_for((pid_t)child);
	if (child < 0)
		child = -errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return (int)child;
}

static int become_child(const struct image *image)
{
	pid_t pid = image->process.pid;
	int err = pid == getpid() ? 0 : take_pid(pid);

	if (err == -EEXIST)
		log__error("the process cannot have the number %d again: another one has it", pid);
	else if (err == -EPERM)
		log__error("the process cannot have the number %d again: that needs root "
			   "(CAP_CHECKPOINT_RESTORE); leave --same-pid out",
			   pid);
	else if (err)
		log__error("the process cannot have the number %d again: %s", pid, strerror(-err));
	return err;
}

/* ---- open files ---- */

static int is_plain(const struct image_file *file)
{
	return S_ISREG(file->mode) || S_ISDIR(file->mode);
}

/* " (deleted)" is at the end of what the kernel says of a file without a name. */
static int is_deleted(const char *path)
{
	static const char end[] = " (deleted)";
	size_t length = strlen(path);

	return length > sizeof(end) - 1 && strcmp(path + length - (sizeof(end) - 1), end) == 0 &&
	       access(path, F_OK) < 0;
}

static int is_reopened(const struct image *image, const struct image_file *file)
{
	return is_plain(file) && !is_deleted(image__string(image, file->path));
}

/* The process's own folder of /proc has another name if it has another number. Returns path, or
 * buffer. */
static const char *follow_pid(const struct image *image, const char *path, char buffer[PATH_MAX])
{
	char own[32];
	int length = snprintf(own, sizeof(own), "/proc/%d", image->process.pid);
	const char *rest = path + length;

	if (strncmp(path, own, (size_t)length) != 0 || (*rest != '/' && *rest != '\0') ||
	    (size_t)snprintf(buffer, PATH_MAX, "/proc/self%s", rest) >= PATH_MAX)
		return path;
	return buffer;
}

/* What it is now, since to open anything else could wait for ever or do harm: NULL if it is what it
 * was, or cannot be looked at, which open(2) will say. */
static const char *find_change(const struct image_file *file, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || (st.st_mode & S_IFMT) == (file->mode & S_IFMT))
		return NULL;
	return S_ISREG(file->mode) ? "is now no plain file" : "is now no folder";
}

/* *ret_change: what is wrong with the file if it is another one; NULL if
 * open(2) or dup(2) failed. */
static int reopen(const struct image *image, const struct image_file *file, const char **ret_change)
{
	const int created = O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC;
	char buffer[PATH_MAX];
	const char *path = follow_pid(image, image__string(image, file->path), buffer);
	int fd, err = 0;

	*ret_change = NULL;
	if (file->same_as >= 0) {
		fd = dup3(file->same_as, file->fd, (int)file->flags & O_CLOEXEC);
		return fd < 0 ? -errno : 0;
	}
	*ret_change = find_change(file, path);
	if (*ret_change)
		return -EINVAL;
	fd = open(path, ((int)file->flags & ~created) | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* O_PATH: no more than a place in the file system, which has no offset. */
	if (!(file->flags & O_PATH) && lseek(fd, (off_t)file->offset, SEEK_SET) < 0)
		err = -errno;
	if (!err && fd != file->fd) {
		if (dup3(fd, file->fd, (int)file->flags & O_CLOEXEC) < 0)
			err = -errno;
		(void)close(fd);
	} else if (!err && !(file->flags & O_CLOEXEC) && fcntl(fd, F_SETFD, 0) < 0) {
		err = -errno;
	}
	return err;
}

/* What is not a plain file stays what restart has under that number: a terminal, a pipe. */
static void say_inherited(const struct image *image, const struct image_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		log__debug("file %d was %s and is closed now", file->fd,
			   image__string(image, file->path));
	else
		log__debug("file %d was %s and is what restart has under that number", file->fd,
			   image__string(image, file->path));
}

static void say_not_opened(const struct image *image, const struct image_file *file, int err,
			   const char *change)
{
	const char *path = image__string(image, file->path);

	if (change)
		log__error(
			"the process had %s open, as file %d, and it %s; put it back and try again",
			path, file->fd, change);
	else
		log__error("the process had %s open, as file %d, and it cannot be opened: %s; "
			   "create it, or make it accessible, and try again",
			   path, file->fd, strerror(-err));
}

/* messages_fd: our own stderr, for the process's takes its number; -1: it is closed, and what is
 * under that number by then is a file of the process, not for messages. */
static int open_files(const struct image *image, int first_fd, int messages_fd)
{
	int next = 0;

	for (size_t i = 0; i <= image->file_count; i++) {
		const struct image_file *file = &image->files[i];
		int last = i < image->file_count ? file->fd : first_fd;
		const char *change;
		int err;

		for (; next < last; next++) /* that are free in the process */
			(void)close(next);
		next = last + 1;
		if (i == image->file_count)
			break;
		if (!is_reopened(image, file))
			continue;
		err = reopen(image, file, &change);
		if (err) {
			if (dup2(messages_fd, STDERR_FILENO) >= 0)
				say_not_opened(image, file, err, change);
			return err;
		}
	}
	return 0;
}

/* ---- the rest ---- */

/* Above all numbers that the process had. */
static int first_own_fd(const struct image *image)
{
	int last = image->file_count ? image->files[image->file_count - 1].fd : 0;

	return last < FIRST_FD ? FIRST_FD : last + 1;
}

/* Numbers from first_fd on can be above the limit, and a mapping can need one. *ret_before is what
 * the process is to have again. What the hard limit does not allow is missed where it is needed. */
static int raise_limit(const struct image_chain *chain, int first_fd, struct rlimit *ret_before)
{
	const rlim_t needed =
		(rlim_t)first_fd + chain->count + chain->images[0]->mapping_count + OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		log__error("cannot read the limit of open files: %s", strerror(errno));
		return -errno;
	}
	*ret_before = limit;
	if (limit.rlim_cur < needed) {
		limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return 0;
}

static int say_limit(int first_fd, int err)
{
	const int is_limit = err == -EINVAL || err == -EMFILE;

	log__error("cannot use file numbers from %d on: %s", first_fd,
		   is_limit ? "raise the limit of open files (ulimit -n)" : strerror(-err));
	return err;
}

static int raise_images(struct image_chain *chain, int first_fd)
{
	for (size_t i = 0; i < chain->count; i++) {
		int fd = plan__move_fd(chain->images[i]->fd, first_fd);

		if (fd < 0)
			return say_limit(first_fd, fd);
		chain->images[i]->fd = fd;
	}
	return 0;
}

/* Before there is any thread. */
static void carry_clocks_on(const struct image *image)
{
	uint64_t behind_ns;
	int err = clocks__carry_on(&image->process, &behind_ns);
	const uint64_t behind = behind_ns / 1000000000 + (behind_ns % 1000000000 > 0);
	static const char consequence[] = "what waits for a moment will wait that much longer";

	if (err == -EPERM)
		log__warn("the clock of this machine is behind that of the process (by %" PRIu64
			  " s): %s; as root (CAP_SYS_ADMIN, CAP_SYS_TIME) it gets a clock of its "
			  "own",
			  behind, consequence);
	else if (err)
		log__warn("the clock of this machine is behind that of the process (by %" PRIu64
			  " s): %s; it cannot get a clock of its own: %s",
			  behind, consequence, strerror(-err));
	else if (behind_ns)
		log__debug("the clock of this machine is behind that of the process (by %" PRIu64
			   " s); it has a clock of its own now",
			   behind);
}

static void set_surroundings(const struct image *image)
{
	const char *cwd = image__string(image, image->process.cwd);

	if (chdir(cwd) < 0)
		log__warn("cannot go to the folder %s, where the process was: %s", cwd,
			  strerror(errno));
	(void)umask((mode_t)image->process.umask);
	if (personality(image->process.personality) < 0)
		log__warn("cannot set the personality 0x%x: %s", image->process.personality,
			  strerror(errno));
}

/* In the order of the bits IMAGE_MISSING_... */
static const char *const missing_names[] = {
	"pages that could not be read",     "open files that are not plain files",
	"open files that had been deleted", "child processes",
	"signals that were pending",        "timers",
	"mappings that were not asked for", "the others who had its shared memory",
};

/* What a program may wait for in vain. The rest is missing in nearly every image. */
static void warn_of_missing(const struct image *image)
{
	const uint64_t bits = image->info.missing & (IMAGE_MISSING_PAGES | IMAGE_MISSING_DELETED |
						     IMAGE_MISSING_CHILDREN |
						     IMAGE_MISSING_PENDING | IMAGE_MISSING_TIMERS);
	char list[256] = "";

	for (size_t i = 0; i < sizeof(missing_names) / sizeof(missing_names[0]); i++) {
		size_t length = strlen(list);

		if (bits & (1ULL << i))
			(void)snprintf(list + length, sizeof(list) - length, "%s%s",
				       length ? ", " : "", missing_names[i]);
	}
	if (bits)
		log__warn("not brought back: %s", list);
}

static void say_missing(const struct image *image)
{
	if (log__level() < LOG_LEVEL_VERBOSE) {
		warn_of_missing(image);
		return;
	}
	for (size_t i = 0; i < sizeof(missing_names) / sizeof(missing_names[0]); i++) {
		if (image->info.missing & (1ULL << i))
			log__debug("not brought back: %s", missing_names[i]);
	}
	for (size_t i = 0; i < image->file_count; i++) {
		if (!is_reopened(image, &image->files[i]))
			say_inherited(image, &image->files[i]);
	}
}

/* An image is a program. Whoever could write it, or could when it was his, decides what it does. */
static void warn_of_strangers(const struct image_chain *chain)
{
	const struct image *image = chain->images[0];
	const uid_t self = geteuid();

	for (size_t i = 0; i < chain->count; i++) {
		struct stat st;

		/* not of the fd, which of a compressed image is memory of ours */
		if (stat(chain->images[i]->path, &st) == 0 && st.st_uid != self && st.st_uid != 0)
			log__warn("%s belongs to user %u: whatever is in it now runs as user %u",
				  chain->images[i]->path, st.st_uid, self);
	}
	if ((uid_t)image->process.uid != self)
		log__warn("the process was of user %u, and goes on as user %u",
			  (unsigned int)image->process.uid, self);
}

static int restart(const struct options *options)
{
	char message[IMAGE_MESSAGE_BYTES];
	struct image_chain chain;
	struct plan *plan = NULL;
	struct rlimit limit;
	int err, first_fd;

	err = image_chain__open(options->path, &chain, message);
	if (err) {
		log__error("%s", message);
		return err;
	}
	first_fd = first_own_fd(chain.images[0]);
	err = raise_limit(&chain, first_fd, &limit);
	if (!err)
		err = raise_images(&chain, first_fd);
	if (err)
		return err;
	err = plan__make(&chain, first_fd, &plan, message);
	if (err) {
		log__error("%s", message);
		return err;
	}
	if (options->same_pid) {
		err = become_child(chain.images[0]);
		if (err)
			return err;
	}
	warn_of_strangers(&chain);
	carry_clocks_on(chain.images[0]);
	say_missing(chain.images[0]);
	set_surroundings(chain.images[0]);
	plan->file_limit = limit;
	plan->messages_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, first_fd);
	if (plan->messages_fd < 0 && errno != EBADF)
		return say_limit(first_fd, -errno);
	err = open_files(chain.images[0], first_fd, plan->messages_fd);
	if (err)
		return err;
	restore__run(plan);
}

int main(int argc, char **argv)
{
	struct options options = {.path = "myckpt"};

	log__set_name("restart");
	argp_err_exit_status = FAILED; /* any other could be that of the process */
	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return FAILED;
	(void)restart(&options);
	return FAILED;
}
