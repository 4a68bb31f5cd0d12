/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How the mappings of a process differ from those of a checkpoint, and which of them are saved.
 * Only compares lists; knows no process.
 */
#ifndef TRACER_ATTACH_LAYOUT_H
#define TRACER_ATTACH_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/intervals.h"
#include "base/procfs.h"

enum layout_kind {
	LAYOUT_ANONYMOUS, /* private memory without a file: saved */
	LAYOUT_FILE,      /* a private mapping of a file: what the process has written is saved */
	LAYOUT_SHARED,    /* shared memory and shared mappings of files: left alone */
	LAYOUT_DEVICE,    /* private memory of a device: left alone */
	LAYOUT_KERNEL,    /* the kernel's own, such as the vdso: never touched */
};

enum layout_kind layout__kind(const struct mapping *mapping);

/* Is it saved? */
bool layout__is_saved(const struct mapping *mapping);

/* The mapping that holds address, or NULL. */
const struct mapping *layout__find(const struct mappings *mappings, uint64_t address);

/* The addresses of all mappings of some kind. */
struct layout_ranges {              /* zero-initialised: empty */
	struct intervals anonymous; /* of LAYOUT_ANONYMOUS */
	struct intervals files;     /* of LAYOUT_FILE, but only those that may be written */
	struct intervals saved;     /* of all mappings that are saved */
};

/* Finds them. ret: empty. Returns 0, or -ENOMEM: *ret is to be cleared all the same. */
int layout__find_ranges(const struct mappings *mappings, struct layout_ranges *ret);

/* Frees what they hold and empties them; harmless on empty ones. */
void layout__clear_ranges(struct layout_ranges *ranges);

/* A part of a mapping of the checkpoint. */
struct layout_part {
	uint64_t start, end;
	const struct mapping *mapping;
};

struct layout_parts {
	struct layout_part *items;
	size_t count, room;
};

/* What makes the mappings of a process those of a checkpoint. */
struct layout_change {
	struct intervals unmap;      /* what is new, another one than it was, or split off */
	struct layout_parts map;     /* what is gone; unmap comes first */
	struct layout_parts protect; /* what has other rights */
	/* Where the heap of brk(2) is to end, and where it ends now; 0 if there is none. */
	uint64_t heap_end, heap_end_now;
};

/*
 * Compares. before: of the checkpoint, borrowed as long as *ret. now: of the process.
 * ret: a zeroed struct, or one from before, whose content is dropped.
 * Returns 0; -ENOMEM; -REASON_MEMORY_GONE if a mapping of before is gone that cannot be made again
 * (shared memory, a device, a file that was deleted): *ret_gone. On failure *ret is of no use.
 */
int layout__compare(const struct mappings *before, const struct mappings *now,
		    struct layout_change *ret, const struct mapping **ret_gone);

/* Is there nothing to be done? */
bool layout__is_same(const struct layout_change *change);

/* Finds mappings of before that are several now. They are to be unmapped and mapped again as one.
 * They are anonymous, or made has mapped a part of their file: such parts do not merge. Both lists
 * cover the same addresses. Parameters and results as of layout__compare. */
int layout__find_split(const struct mappings *before, const struct mappings *now,
		       const struct layout_change *made, struct layout_change *ret);

/* Are the same addresses mapped in both, with the same backing and the same rights? Where mappings
 * are split does not matter, nor what the kernel has mapped for itself. */
bool layout__covers(const struct mappings *before, const struct mappings *now);

/* Adds to ret_same what is in both lists with the same file and the same rights. 0 or -ENOMEM. */
int layout__same(const struct mappings *a, const struct mappings *b, struct intervals *ret_same);

/* Frees what it holds and empties it; harmless on a zeroed struct. */
void layout__clear(struct layout_change *change);

#endif
