/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See progress_line.h.
 */
#include "become/progress_line.h"

#include <time.h>

#include "become/die.h"
#include "base/raw_syscall.h"

#define ERASE_LINE "\r\33[K"

enum { PATIENCE_NS = 1000000000, REDRAW_NS = 200000000 };

/* The vdso is not where the C library knows it. */
static uint64_t now_ns(void)
{
	struct timespec time = {0};

	(void)raw_syscall__call(SYS_clock_gettime, CLOCK_MONOTONIC, (uintptr_t)&time, 0, 0);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void progress_line__begin(struct progress_line *line, const struct plan *plan)
{
	line->plan = plan;
	line->start_ns = plan->shows_progress ? now_ns() : 0;
	line->drawn_ns = 0;
}

void progress_line__step(struct progress_line *line, size_t done)
{
	const size_t total = line->plan->piece_count;
	struct die_line text;
	uint64_t now;

	if (!line->plan->shows_progress)
		return;
	now = now_ns();
	if (now < line->start_ns + PATIENCE_NS || now < line->drawn_ns + REDRAW_NS)
		return;
	line->drawn_ns = now;
	text.length = 0;
	die__add(&text, ERASE_LINE "restart: loading the image: ");
	die__add_number(&text, done < total ? 100 * done / total : 100);
	die__add(&text, " %");
	die__write(&text);
}

void progress_line__end(const struct progress_line *line)
{
	struct die_line text;

	if (!line->drawn_ns)
		return;
	text.length = 0;
	die__add(&text, ERASE_LINE);
	die__write(&text);
}
