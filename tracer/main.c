/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tracer: options and life cycle. Check the kernel, take the control folder, open the report,
 * attach the hooks, start the program, serve its requests until it ends, sum up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/log.h"
#include "ask/control.h"
#include "attached.h"
#include "check.h"
#include "ctl/ctl.h"
#include "kernel/hooks.h"
#include "kernel/kernel_check.h"
#include "kernel/load_memory.h"
#include "options.h"
#include "program.h"
#include "report/report.h"
#include "restore_path.h"
#include "session.h"
#include "target/reason.h"

enum { EXIT_TRACER = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127, TICK_MS = 500 };

struct run { /* everything that is open, for one place to close it */
	struct options options;
	struct kernel_facts facts;
	struct control *control;
	struct report *report;
	struct hooks *hooks;
	struct session *session;
	struct program *program; /* NULL with --wait */
	sigset_t old_mask;
	int signal_fd;
	int target_fd;   /* with --wait: a pidfd of the target, once it is there */
	int last_signal; /* the one that ended the tracer, 0 if none did */
};

static int open_signals(struct run *run)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&mask, watched[i]);
	signal(SIGPIPE, SIG_IGN);
	if (!sigprocmask(SIG_BLOCK, &mask, &run->old_mask))
		run->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd >= 0)
		return 0;
	log__error("cannot watch for signals: %s", strerror(errno));
	return -errno;
}

static int attach_hooks(struct run *run, bool restore_in_bpf)
{
	const struct options *options = &run->options;
	struct hook_settings settings = {
		.wait_name = options->wait_name,
		.slab_threshold = options->slab_threshold,
		.ready_chunks = (uint32_t)options->ready_chunks,
		.pages_per_poll = (uint32_t)options->pages_per_poll,
		.track_mmap = options->regions & REGION_MMAP,
		.track_heap = options->regions & REGION_HEAP,
		.restore_in_bpf = restore_in_bpf,
		.restore_all = options->restore_all,
		.verify = options->verify,
		.list_faults =
			options->slab_threshold != UINT64_MAX &&
			(options->dirty_way == DIRTY_AUTO || options->dirty_way == DIRTY_FAULTS),
	};
	int err = control__identity(run->control, &settings.folder_inode, &settings.folder_device);

	if (err)
		return err;
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		settings.request_paths[kind] = control__request_path(run->control, kind);
		settings.completion_paths[kind] = control__completion_path(run->control, kind);
	}
	return hooks__attach(&settings, &run->facts, &run->hooks);
}

/* All that must be ready before the target runs. What a failure leaves open, close_all() closes. */
static int set_up(struct run *run)
{
	const struct options *options = &run->options;
	char regions[32];
	bool in_bpf;
	int err;

	load_memory__reserve();
	err = kernel_check__run(&run->facts);
	if (err)
		return err;
	err = restore_path__choose(options->restore_path, &run->facts, &in_bpf);
	if (err)
		return err;
	err = control__open(options->control_dir, &run->control);
	if (err)
		return err;
	err = report__create(options->output, options__name(options), options->engine,
			     options__regions_name(options->regions, regions), run->facts.release,
			     &run->report);
	if (err)
		return err;
	err = open_signals(run);
	if (err)
		return err;
	err = attach_hooks(run, in_bpf);
	if (err)
		return err;
	load_memory__release();
	return session__create(options, run->control, run->hooks, run->report, in_bpf,
			       &run->session);
}

/* Says that it cannot be run. Returns the exit status. */
static int refuse_program(const char *what, const char *name, int err)
{
	log__error("cannot %s %s: %s", what, name, strerror(-err));
	return err == -ENOENT || err == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/* Refuses a mistyped program before anything is set up for it. Returns 0, or the exit status. */
static int look_up_program(const struct run *run)
{
	const char *name = *run->options.program;
	int err = program__look_up(name);

	return err ? refuse_program("run", name, err) : 0;
}

/* Returns 0, or the exit status. */
static int start_program(struct run *run)
{
	const struct options *options = &run->options;
	const char *what = "run";
	int err;

	err = program__start(options->program, options->user, control__folder(run->control),
			     &run->old_mask, &run->program);
	if (err) {
		log__error("cannot start %s%s%s: %s", *options->program,
			   options->user ? " as user " : "", options->user ? options->user : "",
			   reason__text(err));
		return EXIT_TRACER;
	}
	hooks__state(run->hooks)->child = (uint32_t)program__pid(run->program);
	err = program__release(run->program, &what);
	if (!err)
		return 0;
	report__discard(run->report);
	return refuse_program(what, *options->program, err);
}

/* Passes a signal on to the program, unless it comes from the terminal, which sends it to both. */
static void on_signal(struct run *run, const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;

	if (number == SIGCHLD)
		return;
	if (!run->program) {
		run->last_signal = number;
		return;
	}
	if (info->ssi_code != SI_KERNEL && info->ssi_pid != (uint32_t)program__pid(run->program))
		(void)kill(program__pid(run->program), number); /* ended: SIGCHLD tells */
}

static bool is_over(struct run *run)
{
	struct pollfd poll_target = {.fd = run->target_fd, .events = POLLIN};

	if (run->last_signal || session__is_detached(run->session))
		return true;
	if (run->program)
		return program__has_ended(run->program);
	if (run->target_fd < 0 && session__pid(run->session)) {
		run->target_fd = pidfd_open(session__pid(run->session), 0);
		if (run->target_fd < 0)
			return true; /* gone already */
		poll_target.fd = run->target_fd;
	}
	return run->target_fd >= 0 && poll(&poll_target, 1, 0) > 0;
}

static void serve(struct run *run)
{
	struct signalfd_siginfo info;
	bool busy = false, has_requests = false;

	while (!is_over(run)) {
		struct pollfd sources[] = {
			{.fd = session__fd(run->session), .events = POLLIN},
			{.fd = run->signal_fd, .events = POLLIN},
			{.fd = run->target_fd, .events = POLLIN},
			{.fd = session__socket_fd(run->session), .events = POLLIN},
		};
		int ready = poll(sources, 4, busy || has_requests ? 0 : TICK_MS);

		if (ready < 0 && errno != EINTR) {
			log__error("cannot wait for events: %s", strerror(errno));
			break;
		}
		if (sources[0].revents)
			session__handle(run->session);
		while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
			on_signal(run, &info);
		if (sources[3].revents || has_requests)
			has_requests = session__serve(run->session);
		busy = session__tick(run->session);
	}
	session__end(run->session, run->program ? program__signal(run->program) : 0);
}

/* 0, or -errno when the map log or the image could not be written. */
static int sum_up(struct run *run)
{
	const char *path = run->options.map_log;
	int err = path ? session__write_map_log(run->session, path) : 0;

	if (err)
		log__error("cannot write the map log %s: %s", path, reason__text(err));
	if (run->options.save) {
		int save_err = session__save(run->session, run->options.save);

		err = err ? err : save_err;
	}
	if (run->options.verbosity > LOG_LEVEL_QUIET)
		session__print_summary(run->session, stderr);
	return err;
}

static int exit_status(const struct run *run)
{
	if (session__has_failed(run->session) || report__rows_lost(run->report))
		return EXIT_TRACER;
	return run->program ? program__exit_status(run->program) : 0;
}

/* Frees the session and the hooks last: the helpers that take hooks away must have nothing else
 * open, such as the lock of the control folder. */
static void close_all(struct run *run)
{
	program__free(run->program);
	report__free(run->report);
	control__free(run->control);
	if (run->signal_fd >= 0)
		close(run->signal_fd);
	if (run->target_fd >= 0)
		close(run->target_fd);
	session__free(run->session);
	hooks__free(run->hooks);
}

/* Has a signal ended the tracer before the program of --wait was executed? */
static bool was_in_vain(const struct run *run)
{
	return run->last_signal && !session__pid(run->session);
}

/* Nothing was traced, so nothing is reported. Returns the exit status of a program that the signal
 * has ended. */
static int end_in_vain(struct run *run)
{
	log__info("interrupted; no program named %s has been executed", run->options.wait_name);
	report__discard(run->report);
	return 128 + run->last_signal;
}

int main(int argc, char **argv)
{
	struct run run = {.signal_fd = -1, .target_fd = -1};
	int status;

	log__reserve_descriptors();
	if (argc > 1 && !strcmp(argv[1], "check")) {
		argv[1] = (char *)"tracer check";
		return check__main(argc - 1, argv + 1);
	}
	if (argc > 1 && !strcmp(argv[1], "ctl")) {
		argv[1] = (char *)"tracer ctl";
		return ctl__main(argc - 1, argv + 1);
	}
	options__parse(argc, argv, &run.options);
	log__set_level(run.options.verbosity);
	if (run.options.pid)
		return attached__run(&run.options);
	if (run.options.program) {
		status = look_up_program(&run);
		if (status)
			return status;
	}
	status = EXIT_TRACER;
	if (set_up(&run))
		goto out;
	status = run.options.program ? start_program(&run) : 0;
	if (status)
		goto out;
	if (run.options.wait_name)
		log__info("waiting for a program named %s", run.options.wait_name);
	serve(&run);
	if (was_in_vain(&run))
		status = end_in_vain(&run);
	else
		status = sum_up(&run) ? EXIT_TRACER : exit_status(&run);
out:
	close_all(&run);
	return status;
}
