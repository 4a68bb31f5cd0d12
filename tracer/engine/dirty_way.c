/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dirty_way.h.
 */
#include "engine/dirty_way.h"

const char *dirty_way__name(enum dirty_way way)
{
	static const char *const names[DIRTY_WAYS] = {[DIRTY_AUTO] = "auto",
						      [DIRTY_FAULTS] = "faults",
						      [DIRTY_SCAN] = "scan",
						      [DIRTY_SOFT] = "soft",
						      [DIRTY_COMPARE] = "compare"};

	return names[way];
}
