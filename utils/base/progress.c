/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See progress.h. log.c owns the line, and erases it before a message.
 */
#include "base/progress.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

enum { NS_PER_SECOND = 1000000000, PATIENCE_NS = NS_PER_SECOND, REDRAW_NS = 200000000 };

void progress__step(struct progress *progress, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = clock__now_ns();

	if (!progress->start_ns)
		progress->start_ns = now;
	if (now < progress->start_ns + PATIENCE_NS || now < progress->drawn_ns + REDRAW_NS)
		return;
	progress->drawn_ns = now;
	if (total)
		log__draw("%s: %u %%", what,
			  done < total ? (unsigned int)(100.0 * (double)done / (double)total)
				       : 100);
	else
		log__draw("%s: %" PRIu64 " s", what, (now - progress->start_ns) / NS_PER_SECOND);
}

void progress__end(struct progress *progress)
{
	if (progress->drawn_ns)
		log__erase();
	*progress = (struct progress){0};
}
