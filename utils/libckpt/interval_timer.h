/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CKPT_INTERVAL: a timer of the kernel's that sends our signal, once each time it is set. A timer
 * that goes on by itself would leave the program no time, if an image takes longer than the
 * interval.
 */
#ifndef LIBCKPT_INTERVAL_TIMER_H
#define LIBCKPT_INTERVAL_TIMER_H

#include <stdbool.h>
#include <sys/types.h>

#include "libckpt/settings.h"

struct interval_timer {
	pid_t owner; /* the process that has the timer; a fork does not copy it. 0: nobody */
	int number;  /* the kernel's number */
};

/* Makes the timer, if the settings ask for one: at the start, and in a process that was brought
 * back, since no image has one. Says on standard error if that fails. */
void interval_timer__start(struct interval_timer *timer, const struct settings *settings);

/* Removes it. */
void interval_timer__stop(struct interval_timer *timer);

/* Sets it anew, after each request, whatever came of that. */
void interval_timer__rearm(const struct interval_timer *timer, const struct settings *settings);

/* The kernel's number of the timer, or -1 if the calling process does not have it. */
int interval_timer__number(const struct interval_timer *timer);

#endif
