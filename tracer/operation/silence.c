/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See silence.h.
 */
#include "operation/silence.h"

#include "base/clock.h"
#include "base/log.h"
#include "target/target.h"

enum {
	TOO_LONG_NS = 2000000000,
	LOOK_NS = 500000000, /* at most so much counts from one look to the next */
};

void silence__expect_poll(struct silence *silence)
{
	silence->expected_ns = clock__now_ns();
}

/* The target asked, and has been silent for too long. */
static void end_wait(struct silence *silence)
{
	struct operation *operation = &silence->state->operation;
	const char *path = control__completion_path(silence->reply->control, operation->kind);
	uint32_t ready = PHASE_READY;

	if (operation->phase == PHASE_READY && operation->threads > 1) {
		/* its other threads must not stand still for ever */
		if (__atomic_compare_exchange_n(&operation->phase, &ready, PHASE_PREPARING, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			reply__fail(silence->reply, NULL, "the target asked and stopped polling %s",
				    path);
	} else if (silence->warned != operation->sequence) {
		silence->warned = operation->sequence;
		log__error("process %d asked for a %s but does not poll %s with access(2), or may "
			   "not call it (seccomp?)",
			   silence->reply->target->pid, report__kind_name(operation->kind), path);
	}
}

void silence__watch(struct silence *silence)
{
	const struct operation *operation = &silence->state->operation;
	uint64_t now = clock__now_ns();

	if (operation->polls != silence->polls_seen) {
		silence->polls_seen = operation->polls;
		silence->expected_ns = now;
	}
	if (silence->expected_ns < operation->request_ns) /* its event was not read yet */
		silence->expected_ns = operation->request_ns;
	if (silence->looked_ns < silence->expected_ns) {
		silence->looked_ns = silence->expected_ns;
		silence->silent_ns = 0;
	}
	if (now > silence->looked_ns) {
		const uint64_t passed = now - silence->looked_ns;

		silence->silent_ns += passed < LOOK_NS ? passed : LOOK_NS;
		silence->looked_ns = now;
	}
	if ((operation->phase == PHASE_REQUESTED || operation->phase == PHASE_READY) &&
	    silence->silent_ns > TOO_LONG_NS)
		end_wait(silence);
}

bool silence__is_told(const struct silence *silence)
{
	return silence->warned == silence->state->operation.sequence;
}
