/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libckpt does when the program starts, before main: reads the settings and installs the
 * handler. The files of this folder run outside of any signal handler, so they may call all of the
 * C library; those of utils/libckpt may not (see its allowed-symbols).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "libckpt/handler.h"
#include "preload/environment.h"
#include "preload/interpose.h"
#include "preload/ldso.h"

/* The answer to the signal if a setting is wrong: without a handler it would end the program. */
static char refusal[SETTINGS_MESSAGE_BYTES + 64];

static void on_signal_refuse(int signal)
{
	int kept = errno;

	(void)signal;
	(void)nocancel__write(STDERR_FILENO, refusal, strlen(refusal));
	errno = kept;
}

/* The C library's own name of sigaction(3). A thread sanitizer takes the place of sigaction(3), and
 * keeps signals back until a thread makes its next call. */
int __sigaction(int number, const struct sigaction *action, struct sigaction *old); /* NOLINT */

/* Whoever started the program may have blocked the signal, or all. */
static int handle_signal(int signal, struct sigaction *action)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signal);
	action->sa_flags |= SA_RESTART;
	(void)sigfillset(&action->sa_mask);
	if (__sigaction(signal, action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0)
		return 0;
	(void)fprintf(stderr, "libckpt: cannot handle signal %d: %s\n", signal, strerror(errno));
	return -1;
}

/* A static program does not have it. */
static void interpose(int signal, const struct sigaction *action)
{
	extern __typeof__(interpose__begin) interpose__begin __attribute__((weak));

	if (interpose__begin)
		interpose__begin(signal, action);
}

__attribute__((constructor)) static void start(void)
{
	char message[SETTINGS_MESSAGE_BYTES];
	struct sigaction action;
	struct settings settings;
	struct ldso_locks locks;

	memset(&action, 0, sizeof(action));
	if (environment__read(&settings, message)) {
		(void)fprintf(stderr, "libckpt: %s; there will be no checkpoints\n", message);
		(void)snprintf(refusal, sizeof(refusal),
			       "libckpt: no image: %s; the program goes on\n", message);
		action.sa_handler = on_signal_refuse;
		(void)handle_signal(settings.signal, &action);
		return;
	}
	ldso__find_locks(&locks);
	handler__prepare(&settings, &locks);
	/* If this fails, stop_threads__role finds out in the child. */
	(void)pthread_atfork(NULL, NULL, handler__start_in_child);
	action.sa_sigaction = handler__on_signal;
	action.sa_flags = SA_SIGINFO;
	if (handle_signal(settings.signal, &action) == 0) {
		handler__start_timer();
		interpose(settings.signal, &action);
	}
}
