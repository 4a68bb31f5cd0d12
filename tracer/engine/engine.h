/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An engine: a way to hold the bytes of a snapshot and to move them. There are three:
 *
 *	chunk   256 bytes an entry in BPF hashes, which the hooks fill (chunk_engine.c)
 *	slab    pages in BPF arrays that are mapped here (slab_engine.c)
 *	page    pages in hashes, moved by programs that BCC compiles (page_engine.c)
 *
 * The kernel side copies. An engine names the bytes beforehand, and copies afterwards what the
 * kernel side could not. snapshot.h sorts the target's ranges among engines and is all that the
 * rest of the tracer knows. CONTRIBUTING.md, "Adding an engine", has the rules.
 */
#ifndef TRACER_ENGINE_ENGINE_H
#define TRACER_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "engine/dirty_way.h"
#include "target/target.h"

struct engine;

enum saved_state {
	SAVED_EMPTY,      /* mapped since the checkpoint */
	SAVED_PRESENT,    /* bytes hold what was saved */
	SAVED_ZERO,       /* never touched, or zeros: nothing is kept of it */
	SAVED_UNREADABLE, /* nobody could read it */
};

enum saved_kind { SAVED_CHUNK, SAVED_PAGE };

struct saved { /* a chunk or a page of the snapshot */
	enum saved_kind kind;
	enum saved_state state;
	const uint8_t *bytes; /* length of them, during the call; NULL: none are kept */
	uint64_t address;
	uint32_t length; /* CHUNK_BYTES or SLAB_BYTES */
	uint32_t first;  /* bytes before this offset are not ours */
};

typedef void saved_visitor(const struct saved *saved, void *argument);

struct engine_result {   /* what user space did to finish an operation, in chunks */
	uint64_t moved;  /* read or written */
	uint64_t forced; /* of them through /proc/PID/mem, or after a BPF access had failed */
	uint64_t failed; /* neither */
};

struct engine_account { /* one kind of store, for the summary */
	const char *name;
	uint64_t places, bytes; /* room for so many entries; its memory */
	uint64_t entries;       /* in use; UINT64_MAX: not counted */
	uint64_t limit;         /* of places; 0: none */
};

typedef void account_visitor(const struct engine_account *account, void *argument);

struct engine_settings { /* of an engine that keeps whole pages */
	enum dirty_way dirty_way;
	uint32_t pages_per_poll; /* with the page engine, else 0 */
	bool restore_in_bpf;
	bool restore_all; /* a restore looks at every page */
	bool verify;      /* keep checksums of what is read here, as BPF does of what it reads */
};

struct page_ops { /* what only an engine of whole pages can do */
	/* Before a checkpoint, while no thread of the target is held: looks how writes of the
	 * target can be tracked. Not if that is known, or does not pay for so many pages. */
	void (*watch)(struct engine *engine, struct target *target, uint64_t pages);

	/* Somebody else tracks writes of the target from now on: all pages are compared. */
	void (*leave_tracking)(struct engine *engine);

	/* Are writes found by the list of faults? */
	bool (*uses_list)(const struct engine *engine);

	/* Makes room for a checkpoint of so many pages, a little at a time; true: call it again. */
	bool (*provide)(struct engine *engine, uint64_t pages);

	/* The bytes of a page of the snapshot, valid until the next call. 0, -ENOENT or -errno. */
	int (*read)(struct engine *engine, uint64_t address, const uint8_t **ret_bytes);

	/* Flips a saved bit, for the fault damage (fault_injection.h). */
	void (*damage)(struct engine *engine);
};

/*
 * All return 0, -errno (-ESRCH: the target is gone) or -REASON_... (reason.h), unless they say
 * otherwise. The order of a copy: place, begin, the copy itself, collect, needs_hold, repair, end.
 */
struct engine_ops {
	/* An event of the kernel side: it keeps the engine's ranges true between two copies. After
	 * EVENT_LOST the engine has no ranges, and nothing saved. */
	int (*note)(struct engine *engine, const struct event *event);

	/*
	 * Before a copy: ranges that are in neither set are gone. A checkpoint also takes in what
	 * is new of wanted. reserved: mappings without access, in which pages that hold data are
	 * saved as well.
	 * -REASON_CHUNK_LIMIT: the limit is reached; what is placed until then stays.
	 */
	int (*place)(struct engine *engine, enum operation_kind kind,
		     const struct intervals *wanted, const struct intervals *reserved);

	/* Before a copy, with the target standing still or polling: finds the pages to be copied. A
	 * checkpoint that cannot be taken back drops what was saved before. May be NULL. */
	int (*begin)(struct engine *engine, struct target *target, enum operation_kind kind);

	/* After a copy: completes the counts of the operation, and looks for changes that the
	 * target has made meanwhile. May be NULL. */
	int (*collect)(struct engine *engine, struct target *target);

	/* After a copy: has the kernel side left anything of it? */
	bool (*is_left)(const struct engine *engine);

	/* After a copy: is anything left to repair for which the target must stand still? */
	bool (*needs_hold)(struct engine *engine, struct target *target);

	/* Reads or writes what is left, and adds to *result. Then nothing is left: from now on,
	 * writes of the target count as made since. */
	int (*repair)(struct engine *engine, struct target *target, struct engine_result *result);

	/* A checkpoint is over. good: it is whole. If not, it is taken back, even if it was whole
	 * already. Returns whether there is something that can be restored. */
	bool (*end)(struct engine *engine, bool good);

	/* Calls each for every chunk or page of the snapshot. Chunks come in address order, pages
	 * too, but pages that later operations have added may come last. */
	int (*visit)(struct engine *engine, saved_visitor *each, void *argument);

	void (*account)(const struct engine *engine, account_visitor *each, void *argument);

	void (*close)(struct engine *engine);

	const struct page_ops *pages; /* NULL: it keeps no whole pages */
};

struct engine { /* the first field of each engine's own struct */
	const struct engine_ops *ops;
	struct state *state;       /* shared with the kernel side */
	struct intervals ranges;   /* that the engine keeps */
	struct intervals reserved; /* mappings without access that it looks into */
	struct intervals added;    /* pages that restores have found since the checkpoint */
	uint64_t visited;          /* pages that the last operation has looked at */
	enum dirty_way found_by;   /* the way in which they were found */
};

#endif
