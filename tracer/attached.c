/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See attached.h. One request is carried out at a time; between two of them the loop looks for
 * signals and for the end of the process.
 */
#include "attached.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "ask/command.h"
#include "ask/socket.h"
#include "attach/attach.h"
#include "base/log.h"
#include "base/procfs.h"
#include "kernel/hooks.h"
#include "kernel/load_memory.h"
#include "target/reason.h"

enum {
	EXIT_TRACER = 125,
	LATE_MS = 20, /* how often to look at threads that have not stopped in time */
};

static int open_signals(void)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&mask, watched[i]);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || sigprocmask(SIG_BLOCK, &mask, NULL)) {
		log__error("cannot watch for signals: %s", strerror(errno));
		return -errno;
	}
	return fd;
}

/* The name of a process, "" if it has ended. */
static const char *name_of(pid_t pid)
{
	static char comm[32];
	ssize_t bytes = procfs__read(pid, "comm", comm, sizeof(comm) - 1);

	comm[bytes > 0 ? bytes - 1 : 0] = '\0';
	return comm;
}

static void tell_failure(pid_t pid, int err)
{
	uint64_t tracer = 0;

	if (err == -REASON_TRACED && !procfs__status_u64(pid, "TracerPid", &tracer) && tracer)
		log__error("cannot attach to process %d: process %lu (%s) traces it; that one must "
			   "detach first",
			   pid, (unsigned long)tracer, name_of((pid_t)tracer));
	else
		log__error("cannot attach to process %d: %s", pid,
			   err != -ESRCH ? reason__text(err)
			   : procfs__is_there(pid)
				   ? "it has ended, and its parent has not waited for it"
				   : "there is no such process");
}

static void tell_start(const struct commands *commands, const struct socket *socket)
{
	static const char by_list[] = "userfaultfd, and the list of page faults of BPF";
	static const char *const ways[] = {
		[WRITE_TRACKING_NONE] = "reading all of it, for this kernel or this process allows "
					"nothing faster",
		[WRITE_TRACKING_SOFT_DIRTY] = "soft-dirty bits, for this kernel or this process "
					      "allows nothing faster",
		[WRITE_TRACKING_PROTECT] = "userfaultfd",
	};
	struct attach_status status = attach__status(commands->attach);

	log__info("attached to process %d (%s); written memory is found by %s", status.pid,
		  name_of(status.pid), status.has_list ? by_list : ways[status.way]);
	log__info("ask with: tracer ctl %d COMMAND (at %s); Ctrl-C detaches", status.pid,
		  socket__path(socket));
}

/* Returns whether the process has ended. */
static bool serve(struct commands *commands, struct socket *socket, int signals)
{
	bool has_more = false, has_late = false;

	while (!commands->is_detached) {
		struct pollfd sources[] = {
			{.fd = signals, .events = POLLIN},
			{.fd = attach__pidfd(commands->attach), .events = POLLIN},
			{.fd = socket__fd(socket), .events = POLLIN},
		};
		const int wait_ms = has_more ? 0 : has_late ? LATE_MS : -1;

		if (poll(sources, 3, wait_ms) < 0 && errno != EINTR) {
			log__error("cannot wait for requests: %s", strerror(errno));
			return false;
		}
		if (sources[1].revents)
			return true;
		if (sources[0].revents)
			return false;
		has_more = socket__serve(socket, command__answer, commands);
		has_late = commands->attach && attach__release_late(commands->attach);
	}
	return false;
}

int attached__run(const struct options *options)
{
	struct commands commands = {.pid = options->pid};
	struct hooks *hooks = NULL;
	struct socket *socket = NULL;
	int status = EXIT_TRACER, signals, err;

	(void)signal(SIGPIPE, SIG_IGN);
	signals = open_signals();
	if (signals < 0)
		goto out;
	load_memory__reserve();
	(void)hooks__attach_fault_list(&hooks); /* else memory is scanned */
	load_memory__release();
	err = attach__open(options->pid, WRITE_TRACKING_PROTECT, hooks, &commands.attach);
	if (err) {
		tell_failure(options->pid, err);
		goto out;
	}
	if (socket__open(options->socket_path, options->pid, &socket))
		goto out;
	tell_start(&commands, socket);
	if (serve(&commands, socket, signals))
		log__info("process %d has ended", options->pid);
	else if (!commands.has_broken)
		log__info("detached from process %d, which runs on", options->pid);
	status = commands.has_broken ? EXIT_TRACER : 0;
out:
	socket__close(socket);
	list_sharing__close(commands.sharing);
	attach__close(commands.attach);
	hooks__free(hooks);
	if (signals >= 0)
		close(signals);
	return status;
}
