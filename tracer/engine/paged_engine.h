/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What can be done with a paged engine (paged_state.h): the functions of struct engine_ops, and
 * some that only engines of whole pages have.
 */
#ifndef TRACER_ENGINE_PAGED_ENGINE_H
#define TRACER_ENGINE_PAGED_ENGINE_H

#include "engine/paged_state.h"

/* Begins without a snapshot. hooks: borrowed. slots_fd, tables_fd: as in extents__open. 0 or
 * -ENOMEM (paged_engine__close is then still right). */
int paged_engine__init(struct paged_engine *paged, const struct engine *engine,
		       const struct paged_ops *ops, const struct engine_settings *settings,
		       const struct hooks *hooks, int slots_fd, int tables_fd);

/* For struct engine_ops, see there. */
int paged_engine__note(struct engine *engine, const struct event *event);
int paged_engine__place(struct engine *engine, enum operation_kind kind,
			const struct intervals *wanted, const struct intervals *reserved);
int paged_engine__begin(struct engine *engine, struct target *target, enum operation_kind kind);
int paged_engine__collect(struct engine *engine, struct target *target);
bool paged_engine__needs_hold(struct engine *engine, struct target *target);
int paged_engine__repair(struct engine *engine, struct target *target,
			 struct engine_result *result);
bool paged_engine__end(struct engine *engine, bool good);
int paged_engine__visit(struct engine *engine, saved_visitor *each, void *argument);

/* Before a checkpoint, while no thread of the target is held: looks how writes of the target can be
 * tracked. Not if that is known, or does not pay for so many pages. */
void paged_engine__watch(struct paged_engine *paged, struct target *target, uint64_t pages);

/* Somebody else tracks writes of the target from now on: all pages are compared. */
void paged_engine__leave_tracking(struct paged_engine *paged);

/* Makes room for a checkpoint of so many pages, a little at a time; true: call it again. */
bool paged_engine__provide(struct paged_engine *paged, uint64_t pages);

/* The bytes of a page of the snapshot, valid until the next call. 0, -ENOENT or as ops->fetch. */
int paged_engine__read(struct paged_engine *paged, uint64_t address, const uint8_t **ret_bytes);

/* Flips a saved bit, for the fault damage (fault.h). */
void paged_engine__damage(struct paged_engine *paged);

/* Frees the contents, not the engine itself. Harmless on one that is zero-initialised. */
void paged_engine__close(struct paged_engine *paged);

#endif
