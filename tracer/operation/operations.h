/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target's operations, one after the other: the part of user space in each. The kernel side
 * copies in the polls of the target. User space prepares that, repairs what it left, and replies.
 */
#ifndef TRACER_OPERATION_OPERATIONS_H
#define TRACER_OPERATION_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "operation/operations_state.h"

/* Prepares or finishes the operation, if it waits for that. The ring must have been read. When none
 * is under way, refuses the requests that came during the last one. Returns whether an operation
 * was prepared or finished. */
bool operations__step(struct operations *operations);

/* The target has asked for the operation of that sequence, and will poll. */
void operations__expect_poll(struct operations *operations, uint64_t sequence);

/* Does the target wait for its answer? Not if it has stopped polling for it. */
bool operations__is_under_way(const struct operations *operations);

/* The target has ended: an operation that was under way has failed. */
void operations__end(struct operations *operations);

#endif
