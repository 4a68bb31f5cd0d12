/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab engine from user space: bpf/slab.bpf.h draws table and extents. BPF moves the bytes.
 * User space finds the pages, and moves what BPF could not. Table and extents are shared memory: no
 * system call looks at them.
 */
#ifndef TRACER_ENGINE_SLAB_ENGINE_H
#define TRACER_ENGINE_SLAB_ENGINE_H

#include "engine/engine.h"
#include "kernel/hooks.h"

/* hooks, state: borrowed. 0 and *ret_engine (its close), or -errno. */
int slab_engine__open(const struct hooks *hooks, struct state *state,
		      const struct engine_settings *settings, struct engine **ret_engine);

#endif
