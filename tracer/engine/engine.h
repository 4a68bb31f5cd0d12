/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An engine: a way to hold the bytes of a snapshot and to move them. There are three:
 *
 *	chunk   256 bytes an entry in BPF hashes, which the hooks fill (chunk_engine.c)
 *	slab    pages in BPF arrays that are mapped here (slab_engine.c)
 *	page    pages in hashes, moved by programs that BCC compiles (page_engine.c)
 *
 * The kernel side copies; an engine says beforehand what, and does afterwards what the kernel side
 * could not. snapshot.h sorts the target's ranges among engines and is all that the rest of the
 * tracer knows. CONTRIBUTING.md, "Adding an engine", has the rules.
 */
#ifndef TRACER_ENGINE_ENGINE_H
#define TRACER_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "engine/dirty_pages.h"
#include "target/target.h"

struct engine;

enum block_state {
	BLOCK_EMPTY,      /* mapped since the checkpoint */
	BLOCK_PRESENT,    /* bytes hold what was saved */
	BLOCK_ZERO,       /* never touched, or zeros: nothing is kept of it */
	BLOCK_UNREADABLE, /* nobody could read it */
};

struct block { /* a piece of the snapshot: a chunk or a page */
	struct engine *engine;
	const uint8_t *bytes; /* length of them, during the call; NULL: none are kept */
	uint64_t address;
	uint32_t length; /* CHUNK_BYTES or SLAB_BYTES */
	uint32_t first;  /* bytes before this offset are not ours */
	enum block_state state;
};

typedef void block_visitor(const struct block *block, void *argument);

struct engine_result {   /* what user space did to finish an operation, in chunks */
	uint64_t moved;  /* read or written */
	uint64_t forced; /* of them through /proc/PID/mem, or after a BPF access had failed */
	uint64_t failed; /* neither */
};

struct engine_account { /* one kind of store, for the summary */
	const char *name;
	uint64_t places, bytes; /* there are; of memory */
	uint64_t entries;       /* places in use; UINT64_MAX: not counted */
	uint64_t limit;         /* of places; 0: none */
};

typedef void account_visitor(const struct engine_account *account, void *argument);

/*
 * All return 0, -errno (-ESRCH: the target is gone) or -REASON_... (reason.h), unless they say
 * otherwise. What may be NULL is not needed by every engine.
 */
struct engine_ops {
	/* An event of the kernel side: it keeps the engine's ranges true between two copies. */
	int (*note)(struct engine *engine, const struct event *event);

	/* Forgets all ranges and what was saved of them: events were lost. */
	int (*reset)(struct engine *engine);

	/*
	 * Before a checkpoint: the engine's ranges are wanted, and nothing else. reserved: mappings
	 * without access, in which pages that hold data are saved as well.
	 * -REASON_CHUNK_LIMIT: the limit is reached; what is placed until then stays.
	 */
	int (*place)(struct engine *engine, const struct intervals *wanted,
		     const struct intervals *reserved);

	/* Before a restore: ranges that are in neither set are gone. */
	int (*prune)(struct engine *engine, const struct intervals *wanted,
		     const struct intervals *reserved);

	/* Before a checkpoint, while no thread of the target is held: looks how writes of the
	 * target can be tracked, unless that is known or does not pay for so many pages. May be
	 * NULL. */
	void (*watch)(struct engine *engine, struct target *target, uint64_t pages);

	/* Somebody else tracks writes of the target from now on: all pages are compared. May be
	 * NULL. */
	void (*leave_tracking)(struct engine *engine);

	/* Before a copy, with the target standing still or polling: finds the pages to be copied. A
	 * checkpoint that cannot be taken back drops what was saved before. May be NULL. */
	int (*begin)(struct engine *engine, struct target *target, enum operation_kind kind);

	/* After a copy: adds to the counts of the operation what the kernel side has not
	 * counted, and looks for what the target has changed meanwhile. May be NULL. */
	int (*collect)(struct engine *engine, struct target *target);

	/* After a copy: is anything left for which the target must stand still? */
	bool (*is_left)(struct engine *engine, struct target *target);

	/* Reads or writes what is left, and adds to *result. */
	int (*repair)(struct engine *engine, struct target *target, struct engine_result *result);

	/* Nothing is left: from now on, writes of the target count as made since. good: all of the
	 * copy has succeeded. May be NULL. */
	int (*settle)(struct engine *engine, struct target *target, bool good);

	/* The checkpoint is whole. May be NULL. */
	void (*commit)(struct engine *engine);

	/* A checkpoint has failed, before or after its commit: takes it back. Returns whether what
	 * was saved before can be restored. May be NULL: a checkpoint changes nothing here before
	 * it copies. */
	bool (*revert)(struct engine *engine);

	/* Makes room for a checkpoint of so many pages, a little at a time; true: call it again.
	 * May be NULL. */
	bool (*provide)(struct engine *engine, uint64_t pages);

	/* Calls each for every block of the snapshot, in address order. Pages that restores have
	 * found since come last. */
	int (*visit)(struct engine *engine, block_visitor *each, void *argument);

	/* The bytes of a block with SLAB_BYTES, by its address; valid until the next call. May be
	 * NULL for an engine of chunks. */
	int (*read)(struct engine *engine, uint64_t address, const uint8_t **ret_bytes);

	/* Blocks that restores have added to the snapshot, in chunks. May be NULL. */
	uint64_t (*added)(const struct engine *engine);

	/* How the last operation found the pages that may differ from the snapshot, and how many
	 * pages it has looked at. May be NULL. */
	enum dirty_way (*dirty)(const struct engine *engine, uint64_t *ret_pages);

	void (*account)(const struct engine *engine, account_visitor *each, void *argument);

	/* Flips a saved bit, for the fault damage (fault.h). May be NULL. */
	void (*damage)(struct engine *engine);

	void (*close)(struct engine *engine);
};

struct engine { /* the first field of each engine's own struct */
	const struct engine_ops *ops;
	struct state *state;       /* shared with the kernel side */
	struct intervals ranges;   /* that the engine keeps */
	struct intervals reserved; /* mappings without access that it looks into */
};

#endif
