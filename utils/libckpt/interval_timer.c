/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See interval_timer.h. The C library's timer_create(3) allocates; the system call does not.
 */
#include "libckpt/interval_timer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libckpt/message.h"

static int set(const struct interval_timer *timer, const struct settings *settings)
{
	const uint64_t ns = settings->interval_ns, second = 1000000000;
	const struct itimerspec time = {.it_value = {(time_t)(ns / second), (long)(ns % second)}};

	return (int)syscall(SYS_timer_settime, timer->number, 0, &time, NULL);
}

void interval_timer__start(struct interval_timer *timer, const struct settings *settings)
{
	struct sigevent event;

	timer->owner = 0;
	if (settings->interval_ns == 0)
		return;
	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = settings->signal;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer->number) < 0 ||
	    set(timer, settings) < 0)
		message__text(settings, "cannot start a timer for CKPT_INTERVAL", -errno);
	else
		timer->owner = getpid();
}

void interval_timer__stop(struct interval_timer *timer)
{
	if (interval_timer__number(timer) >= 0)
		(void)syscall(SYS_timer_delete, timer->number);
	timer->owner = 0;
}

void interval_timer__rearm(const struct interval_timer *timer, const struct settings *settings)
{
	if (interval_timer__number(timer) >= 0 && set(timer, settings) < 0)
		message__text(settings, "cannot set the timer for CKPT_INTERVAL", -errno);
}

int interval_timer__number(const struct interval_timer *timer)
{
	return timer->owner == getpid() ? timer->number : -1;
}
