/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads that have registered something with the kernel since a checkpoint (registered.h): a
 * rollback registers what they had then.
 */
#ifndef TRACER_ATTACH_REGISTRATIONS_H
#define TRACER_ATTACH_REGISTRATIONS_H

#include <stddef.h>
#include "attach/attach_state.h"

struct registration {
	pid_t tid;
	const struct registered *then; /* of the checkpoint */
	struct registered now;
};

struct registrations { /* zero-initialised: none */
	struct registration *items;
	size_t count;
};

/* Fills in what the threads of a new checkpoint have registered, which all stand still. Without BPF
 * a part stays unknown. Nothing is read that attach->base knows already. */
void registrations__read(struct attach *attach, struct checkpoint *checkpoint);

/*
 * Finds them among the threads of a checkpoint, which all stand still, and looks whether they can
 * make calls. The pages in which the kernel writes meanwhile count as changed from now on
 * (attach->changes).
 * Returns 0; -ENOMEM; -ESRCH; or as inject__open_held().
 */
int registrations__find(struct attach *attach, const struct checkpoint *to,
			struct registrations *ret);

/* The two steps of registered.h, for each thread: before memory changes, and afterwards. Return 0;
 * -ESRCH; or another -errno. */
int registrations__take_away(const struct registrations *registrations, struct attach *attach);
int registrations__put_back(const struct registrations *registrations, struct attach *attach);

/* The threads have again what those of the checkpoint had: calls count from now on. */
void registrations__are_those_of(const struct attach *attach, struct checkpoint *checkpoint);

/* Frees what it holds; harmless if there are none. */
void registrations__clear(struct registrations *registrations);

#endif
