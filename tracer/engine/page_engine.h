/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The page engine from user space: bpf/page.bcc.c draws its tables, page_maps.h keeps them. Before
 * a copy a walk over the pages is laid out. Each poll of the target copies some of them and leaves
 * a return code for each. These become the flags of the table and the counts of the operation.
 */
#ifndef TRACER_ENGINE_PAGE_ENGINE_H
#define TRACER_ENGINE_PAGE_ENGINE_H

#include "engine/engine.h"
#include "kernel/hooks.h"

/* hooks, state: borrowed. settings: with pages_per_poll from 1 to PAGE_BATCH. 0 and *ret_engine
 * (its close), or -errno after saying why on stderr (-ENOMEM: perhaps not). */
int page_engine__open(const struct hooks *hooks, struct state *state,
		      const struct engine_settings *settings, struct engine **ret_engine);

#endif
