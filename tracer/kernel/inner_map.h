/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BPF maps that are made while the target runs and put into an outer map.
 */
#ifndef TRACER_KERNEL_INNER_MAP_H
#define TRACER_KERNEL_INNER_MAP_H

#include <stdbool.h>
#include <stdint.h>

/* Makes a map like that of fd, with another number of entries. Returns a file descriptor, which is
 * the caller's, or -errno. */
int inner_map__create_like(int fd, uint32_t entries);

/* Has the machine memory for maps of so many bytes? The kernel would rather end processes, the
 * target among them, than refuse it. */
bool inner_map__has_memory(uint64_t bytes);

#endif
