/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How an operation ends, as a success or as a failure: what BPF left is repaired, what was done is
 * counted, and the target gets its reply (reply.h): reply__complete() or reply__fail().
 */
#ifndef TRACER_OPERATION_OUTCOME_H
#define TRACER_OPERATION_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>
#include "operation/operations_state.h"

/* Answers an operation that has failed, and takes back what it has done to the snapshot. row: its
 * counts, or NULL. moved: a restore may have written something. err: -errno or a reason. */
void outcome__fail(struct operations *operations, struct operation_row *row, bool moved, int err);

/* The copy is done: repairs, counts, and answers. start_ns: when user space began with that. */
void outcome__settle(struct operations *operations, uint64_t start_ns);

#endif
