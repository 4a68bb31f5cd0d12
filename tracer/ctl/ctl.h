/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tracer ctl PID COMMAND: asks a tracer over its control socket, and shows the answer.
 */
#ifndef TRACER_CTL_CTL_H
#define TRACER_CTL_CTL_H

/* Reads the command line after "tracer", asks, and prints the answer on stdout, for people or as
 * JSON. Returns the exit status: 0; 1 if it was refused or failed, as stderr tells. Wrong usage
 * ends the process with 2. */
int ctl__main(int argc, char **argv);

#endif
