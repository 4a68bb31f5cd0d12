/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the child does on signals at its checkpoint. Setting all actions anew takes 62 system calls.
 * So it is noted which ones a run may have changed, by functions in interpose.c.
 */
#ifndef FORKSERVER_SIGNAL_ACTIONS_H
#define FORKSERVER_SIGNAL_ACTIONS_H

#include <stdint.h>

struct signal_actions {
	uint64_t changed; /* by this run; bit 0 is signal 1 */
	struct {          /* as the kernel has it */
		void *handler;
		uint64_t flags;
		void *restorer;
		uint64_t mask;
	} all[64];
};

/* Looks at all actions. */
void signal_actions__keep(struct signal_actions *actions);
/* That of this signal may change. */
void signal_actions__note(struct signal_actions *actions, int number);
/* Sets those that may have changed. */
void signal_actions__put_back(struct signal_actions *actions);

#endif
