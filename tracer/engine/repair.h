/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What user space does after the kernel's copy: it writes what BPF found to differ and may not
 * write itself, and reads or writes the pages that a BPF access, which never faults, could not
 * reach. The copy has left behind what is to be done: chunks in the maps differences and suspects,
 * slabs in the flags of their table.
 */
#ifndef TRACER_ENGINE_REPAIR_H
#define TRACER_ENGINE_REPAIR_H

#include <stdbool.h>
#include "kernel/hooks.h"
#include "engine/chunk_snapshot.h"
#include "target/target.h"

struct repair_result {
	struct snapshot_result written;  /* chunks that differed, where BPF may not write */
	struct snapshot_result repaired; /* what BPF could not reach */
};

/* Has the copy left something to do? */
bool repair__is_needed(const struct operation *operation);

/*
 * Does what the copy has left, of the operation in target->state; with the page engine, after
 * slab_store__collect(). Makes the target stand still only if a page to be repaired can hold data
 * (target__hold(); the caller releases it). With differences, the caller has held it since BPF
 * compared.
 * hooks: for the maps. ret_result: zeroed by the caller; on failure, what was done until then.
 * Returns 0 (chunks that could not be moved are counted as failed); -ENOMEM; -ESRCH; another
 * -errno, as target__hold() and the modules that move the bytes. Memory, or the snapshot, is then
 * made good in part.
 */
int repair__run(struct target *target, const struct hooks *hooks, struct repair_result *ret_result);

#endif
