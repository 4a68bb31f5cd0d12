/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finds the addresses of a process that belong to the regions the user asked for, from
 * /proc/PID/maps and the ELF headers of mapped files. The hooks of the kernel side see most
 * mappings when they are made. The tracer compares what they saw with what is found here. Heap and
 * bss are found only here.
 */
#ifndef TRACER_TARGET_REGIONS_H
#define TRACER_TARGET_REGIONS_H

#include <stdint.h>
#include <sys/types.h>
#include "base/procfs.h"
#include "base/intervals.h"

/* Kinds of memory, a mask. */
enum region {
	REGION_MMAP = 1 << 0,  /* anonymous mappings */
	REGION_HEAP = 1 << 1,  /* brk(2), and the data of a shared C library */
	REGION_BSS = 1 << 2,   /* zero-filled static data */
	REGION_DATA = 1 << 3,  /* private writable mappings of files */
	REGION_STACK = 1 << 4, /* of the main thread */
};

struct regions; /* remembers the bounds of ELF files from one call to the next */

/* mask: of enum region. 0 and *ret_regions (regions__free), or -ENOMEM. */
int regions__create(uint32_t mask, struct regions **ret_regions);

/*
 * Finds the wanted addresses.
 * pid: the process, whose /proc/PID/map_files are read for ELF headers.
 * mappings: its mappings, as read a moment ago.
 * tracked: the addresses that are tracked already. A mapping without any access is wanted only
 * there, where it may hold data; the rest of it counts as a reservation.
 * ret_wanted: an initialised set; its old content is dropped. Page-aligned, except the start of a
 * bss, which is exact to the byte.
 * ret_reserved: another such set, for the reservations; or NULL.
 * Returns 0 or -ENOMEM (*ret_wanted is then undefined but valid). A file that cannot be read as
 * ELF has no bss.
 */
int regions__wanted(struct regions *regions, pid_t pid, const struct mappings *mappings,
		    const struct intervals *tracked, struct intervals *ret_wanted,
		    struct intervals *ret_reserved);

/* Forgets the ELF files. Call it when the process has execed. */
void regions__forget(struct regions *regions);

/* regions__free(NULL) is harmless. */
void regions__free(struct regions *regions);

#endif
