/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory that holds the saved bytes, while it is filled.
 */
#ifndef ROLLBACK_STORE_H
#define ROLLBACK_STORE_H

#include "rollback/checkpoint.h"

/* Copies bytes to memory of the checkpoint that was never touched. Returns when they are there. */
void store__fill(struct rollback *rollback, uint64_t to, uint64_t from, uint64_t bytes);

#endif
