/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tracer check: what this machine can do, and why not.
 */
#ifndef TRACER_CHECK_H
#define TRACER_CHECK_H

/* Reads the command line after "tracer", and prints a line for each ability on stdout. Changes
 * nothing on the machine, except that it removes the sockets of killed tracers. Returns the exit
 * status: 0, or 125 if stdout cannot be written. Wrong usage ends the process with 2. */
int check__main(int argc, char **argv);

#endif
