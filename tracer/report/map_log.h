/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot as text: --map-log (docs/reports.md).
 */
#ifndef TRACER_REPORT_MAP_LOG_H
#define TRACER_REPORT_MAP_LOG_H

#include "engine/snapshot.h"

/*
 * Writes every tracked range, chunk and slab to path: address, state, CRC-32 of the bytes.
 * The file is created or replaced. A symbolic link is not followed.
 * Returns 0 or -errno; a file cut short may be left behind on failure.
 */
int map_log__write(const char *path, const struct target *target, struct snapshot *snapshot,
		   const struct state *state);

#endif
