/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The options that every program has: -h, -?, --help, --usage, -V and --version. Each prints on
 * stdout and ends the program with status 0.
 */
#ifndef BASE_HELP_H
#define BASE_HELP_H

#include <argp.h>

/* The children of a program's argp, which is to be parsed with ARGP_NO_HELP. The program defines
 * argp_program_version. */
extern const struct argp_child help__options[];

/* No FILE was given, so it is path. If that is not there, says so and ends the program as wrong
 * usage does (argp_err_exit_status). Returns path. */
const char *help__default_file(struct argp_state *state, const char *path);

#endif
