/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See help.h.
 */
#include "base/help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_USAGE = 0x100 };

static error_t read_option(int key, char *text, struct argp_state *state)
{
	(void)text;
	switch (key) {
	case 'h':
	case '?':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case KEY_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
		return 0;
	case 'V':
		(void)fprintf(stdout, "%s\n", argp_program_version);
		exit(0);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_list[] = {
	{NULL, 0, NULL, 0, "Help:", -1},
	{"help", 'h', NULL, 0, "Print this text", -1},
	{NULL, '?', NULL, OPTION_ALIAS, NULL, -1},
	{"usage", KEY_USAGE, NULL, 0, "Print a short usage message", -1},
	{"version", 'V', NULL, 0, "Print the version", -1},
	{0},
};

static const struct argp argp = {.options = option_list, .parser = read_option};

const struct argp_child help__options[] = {{&argp, 0, NULL, 0}, {0}};

const char *help__default_file(struct argp_state *state, const char *path)
{
	if (access(path, F_OK) && errno == ENOENT)
		argp_failure(state, argp_err_exit_status, 0,
			     "no FILE is given, and there is no %s here; usage: %s [OPTION...] "
			     "[FILE]",
			     path, state->name);
	return path;
}
