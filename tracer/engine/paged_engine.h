/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What can be done with a paged engine (paged_state.h): the functions of struct engine_ops.
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
bool paged_engine__is_left(const struct engine *engine);
extern const struct page_ops paged_engine__page_ops;

/* Frees the contents, not the engine itself. Harmless on one that is zero-initialised. */
void paged_engine__close(struct paged_engine *paged);

#endif
