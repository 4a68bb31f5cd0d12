/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Notices a target that has asked and does not poll: its operation cannot go on.
 */
#ifndef TRACER_OPERATION_SILENCE_H
#define TRACER_OPERATION_SILENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "ask/reply.h"

struct silence { /* the pointers are borrowed */
	struct state *state;
	struct reply *reply;
	uint64_t expected_ns; /* since when a poll is expected */
	uint64_t polls_seen;
	uint64_t looked_ns; /* the last look */
	/* For how long it was silent, without the time in which the whole machine stood still. */
	uint64_t silent_ns;
	uint64_t warned; /* sequence of the request that nobody polls for */
};

/* A poll is expected from now on. */
void silence__expect_poll(struct silence *silence);

/* To be called now and then. If the target is silent for too long, says so, or lets its threads go:
 * their operation has then failed. */
void silence__watch(struct silence *silence);

/* Has silence__watch said so of the operation that is under way? */
bool silence__is_told(const struct silence *silence);

#endif
