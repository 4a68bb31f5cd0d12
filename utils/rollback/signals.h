/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signal actions and the alternate stack.
 */
#ifndef ROLLBACK_SIGNALS_H
#define ROLLBACK_SIGNALS_H

#include "rollback/checkpoint.h"

/* Blocks all signals, and returns the mask that was in force. */
uint64_t signals__block(void);
void signals__set_mask(uint64_t mask);

void signals__save(struct rollback *rollback);

/* An action is only set if it has changed: to ignore a signal drops it if it is pending. */
void signals__restore(const struct rollback *rollback);

/* Sets the action of a signal, and returns 0 or -errno. old may be NULL. */
int signals__set(int number, const struct signal_action *action, struct signal_action *old);

#endif
