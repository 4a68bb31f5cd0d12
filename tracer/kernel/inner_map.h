/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BPF maps that are made while the target runs, to hang in an outer map.
 */
#ifndef TRACER_KERNEL_INNER_MAP_H
#define TRACER_KERNEL_INNER_MAP_H

#include <stdint.h>

/* Makes a map as that of fd is, but with so many entries. Returns a file descriptor, the caller's,
 * or -errno. */
int inner_map__create_like(int fd, uint32_t entries);

#endif
