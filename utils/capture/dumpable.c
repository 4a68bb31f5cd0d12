/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dumpable.h. Source: PR_SET_DUMPABLE(2const), proc(5).
 */
#include "capture/dumpable.h"

#include <sys/prctl.h>

static bool was_dumpable;

void dumpable__begin(void)
{
	was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
	if (!was_dumpable)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* 2, dumpable for root, cannot be set; 0 gives away less. */
void dumpable__end(void)
{
	if (!was_dumpable)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool dumpable__was(void)
{
	return was_dumpable;
}
