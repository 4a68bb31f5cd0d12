/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an operation of the target needs: operations.h prepares it, outcome.h ends it.
 */
#ifndef TRACER_OPERATION_OPERATIONS_STATE_H
#define TRACER_OPERATION_OPERATIONS_STATE_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>
#include "tracer.h"
#include "ask/reply.h"
#include "engine/snapshot.h"
#include "report/snapshot_image.h"
#include "operation/rollbacks.h"
#include "operation/silence.h"
#include "target/target.h"

struct operations { /* all pointers are borrowed */
	struct state *state;
	struct ring_buffer *events;
	struct snapshot *snapshot;
	struct target *target;
	struct snapshot_image *image; /* told of each checkpoint; NULL: not wanted */
	struct rollbacks *rollbacks;
	struct reply reply;
	struct silence silence;
	bool restore_in_bpf; /* the kernel lets BPF write */
	bool verify;         /* checksums are compared */

	/* for operations.c and outcome.c alone */
	uint64_t begun;    /* sequence of the request that was prepared last */
	uint32_t restarts; /* of that one */
	char threads[200]; /* that have come or gone, for a message */
	char text[500];    /* of a message */
};

#endif
