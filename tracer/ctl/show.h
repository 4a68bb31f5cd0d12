/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows the answer to a command, for people.
 */
#ifndef TRACER_CTL_SHOW_H
#define TRACER_CTL_SHOW_H

/* Prints the answer of the command op, which has succeeded, on stdout, and warnings on stderr.
 * Prints nothing if the command has nothing to show. */
void show__answer(const char *op, const char *answer);

#endif
