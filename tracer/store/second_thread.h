/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A second thread of the tracer. It shares the work on a process that stands still. The first
 * thread does all parts that the second has not begun, and waits only for one that it has begun.
 */
#ifndef TRACER_STORE_SECOND_THREAD_H
#define TRACER_STORE_SECOND_THREAD_H

#include <stddef.h>

struct second_thread;

/* One part of the work. thread: 0 for the first thread, 1 for the second. */
typedef void second_thread_part(void *argument, size_t part, unsigned int thread);

/* Starts it, with all signals blocked. Returns 0 and *ret_second; -ENODEV where there is one
 * processor only; or another -errno. */
int second_thread__start(struct second_thread **ret_second);

/* Work comes soon: it wakes up, and looks out for it for a millisecond. Harmless for NULL. */
void second_thread__wake(struct second_thread *second);

/* Calls do_part once for each part from 0 to count - 1, and returns when all are done. second:
 * NULL: the caller does all of them. */
void second_thread__share(struct second_thread *second, size_t count, second_thread_part *do_part,
			  void *argument);

/* Ends and frees it; harmless for NULL. */
void second_thread__stop(struct second_thread *second);

#endif
