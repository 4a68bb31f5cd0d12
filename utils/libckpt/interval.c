/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See interval.h. The C library's timer_create(3) allocates; the system call does not.
 */
#include "libckpt/interval.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libckpt/message.h"

static int set(const struct interval *interval, const struct settings *settings)
{
	const uint64_t ns = settings->interval_ns, second = 1000000000;
	const struct itimerspec time = {.it_value = {(time_t)(ns / second), (long)(ns % second)}};

	return (int)syscall(SYS_timer_settime, interval->timer, 0, &time, NULL);
}

void interval__start(struct interval *interval, const struct settings *settings)
{
	struct sigevent event;

	interval->owner = 0;
	if (settings->interval_ns == 0)
		return;
	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = settings->signal;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &interval->timer) < 0 ||
	    set(interval, settings) < 0)
		message__text(settings, "cannot start a timer for CKPT_INTERVAL", -errno);
	else
		interval->owner = getpid();
}

void interval__stop(struct interval *interval)
{
	if (interval__timer(interval) >= 0)
		(void)syscall(SYS_timer_delete, interval->timer);
	interval->owner = 0;
}

void interval__rearm(const struct interval *interval, const struct settings *settings)
{
	if (interval__timer(interval) >= 0 && set(interval, settings) < 0)
		message__text(settings, "cannot set the timer for CKPT_INTERVAL", -errno);
}

int interval__timer(const struct interval *interval)
{
	return interval->owner == getpid() ? interval->timer : -1;
}
