/* SPDX-License-Identifier: BSD-2-Clause
 *
 * slabsim: shows how the slab allocator of this project works. Only the options are here.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "base/help.h"
#include "base/parse.h"
#include "errors.h"
#include "menu.h"

#ifndef TRACER_VERSION
#define TRACER_VERSION "(unversioned build)"
#endif

const char *argp_program_version = "slabsim " TRACER_VERSION;

enum { EXIT_REFUSED = 1, EXIT_BROKEN = 2 /* or called wrongly */ };

struct action { /* in the order of the command line */
	int key;
	uint64_t number;
	const char *text;
};

struct arguments {
	struct shape shape;
	uint64_t seed, every;
	struct action *actions;
	size_t count;
};

enum { OPTION_KEEP = 256, OPTION_SEED, OPTION_EVERY };

static uint64_t read_number(const char *option, const char *text, uint64_t least, uint64_t most,
			    struct argp_state *state)
{
	uint64_t value = 0;

	if (parse__u64(text, least, most, &value) < 0)
		argp_error(state, "%s: '%s' is not a number from %llu to %llu", option, text,
			   (unsigned long long)least, (unsigned long long)most);
	return value;
}

static error_t add_action(struct arguments *arguments, int key, uint64_t number, const char *text)
{
	struct action *actions =
		reallocarray(arguments->actions, arguments->count + 1, sizeof(*arguments->actions));

	if (!actions)
		return ENOMEM;
	arguments->actions = actions;
	actions[arguments->count++] = (struct action){key, number, text};
	return 0;
}

static error_t read_shape(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct shape *shape = &arguments->shape;

	switch (key) {
	case 'b':
		shape->object_bytes = read_number("--bytes", text, 1, SLAB_MAX_BYTES, state);
		return 0;
	case 'S':
		shape->slab_bytes =
			read_number("--slab", text, SLAB_MIN_BYTES, SLAB_MAX_BYTES, state);
		return 0;
	case 'm':
		shape->limit_bytes = read_number("--memory", text, 1, SIZE_MAX, state);
		return 0;
	case 'g':
		shape->debug = true;
		return 0;
	case OPTION_KEEP:
		shape->keep_empty = read_number("--keep", text, 1, 1000, state);
		return 0;
	case OPTION_SEED:
		arguments->seed = read_number("--seed", text, 0, UINT64_MAX, state);
		return 0;
	case OPTION_EVERY:
		arguments->every = read_number("--every", text, 1, MOST_OPERATIONS, state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is not an option; there are no other arguments", text);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_every(const struct arguments *arguments, struct argp_state *state)
{
	for (size_t i = 0; i < arguments->count; i++) {
		if (arguments->actions[i].key == 'r')
			return;
	}
	if (arguments->every)
		argp_error(state, "--every is for --run");
}

static error_t read_option(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'a':
		return add_action(arguments, key,
				  read_number("--allocate", text, 1, MOST_OBJECTS, state), NULL);
	case 'd':
		return add_action(arguments, key, 0, text);
	case 's':
		return add_action(arguments, key, 0, NULL);
	case 'r':
		return add_action(arguments, key,
				  read_number("--run", text, 1, MOST_OPERATIONS, state), NULL);
	case 'x':
		if (!errors__is_name(text))
			argp_error(state,
				   "--explain: there is no error '%s'; --explain all shows them",
				   text);
		return add_action(arguments, key, 0, text);
	case ARGP_KEY_END:
		check_every(arguments, state);
		return 0;
	default:
		return read_shape(key, text, state);
	}
}

static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
	const struct argp_option options[] = {
		{NULL, 0, NULL, 0, "The cache:", 1},
		{"bytes", 'b', "BYTES", 0, "Size of an object (default 256)", 1},
		{"slab", 'S', "BYTES", 0,
		 "Size of a slab: a power of two from 4096 on (default 4096)", 1},
		{"keep", OPTION_KEEP, "N", 0, "Empty slabs that are kept (default 2)", 1},
		{"memory", 'm', "BYTES", 0, "Memory that there is (default: no limit)", 1},
		{"debug", 'g', NULL, 0, "Debug mode: red zones and poison", 1},
		{NULL, 0, NULL, 0, "What to do, in the order given:", 2},
		{"allocate", 'a', "N", 0, "Allocate N objects", 2},
		{"deallocate", 'd', "OBJECT", 0,
		 "Deallocate an object by its number, 'all' of them, or the one at an address "
		 "after 0x",
		 2},
		{"status", 's', NULL, 0, "Print numbers, and a picture of each slab", 2},
		{"run", 'r', "N", 0, "Allocate and deallocate N times at random", 2},
		{"explain", 'x', "ERROR", 0,
		 "Provoke an error, or 'all' of them, on a cache of its own, and explain it", 2},
		{NULL, 0, NULL, 0, "For --run:", 3},
		{"seed", OPTION_SEED, "N", 0, "The same seed does the same (default 23)", 3},
		{"every", OPTION_EVERY, "N", 0, "Print a picture after every N operations", 3},
		{0},
	};
	const struct argp parser = {
		.options = options,
		.parser = read_option,
		.children = help__options,
		.doc = "Show how a slab allocator works.\vWithout anything to do, a menu is shown."
		       "\n\nExit status: 0 all went well; 1 the cache refused something; 2 output "
		       "or memory failed, or wrong usage.",
	};
	error_t err;

	argp_err_exit_status = EXIT_BROKEN;
	err = argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, arguments);
	if (err) {
		(void)fprintf(stderr, "slabsim: cannot read the options: %s\n", strerror(err));
		exit(EXIT_BROKEN);
	}
}

static int act(struct simulation *simulation, const struct arguments *arguments,
	       const struct action *action)
{
	switch (action->key) {
	case 'a':
		return actions__allocate(simulation, action->number);
	case 'd':
		return actions__deallocate(simulation, action->text);
	case 's':
		return actions__status(simulation);
	case 'r':
		return actions__run(simulation, action->number, arguments->seed, arguments->every);
	default:
		return actions__explain(action->text);
	}
}

static int work(const struct arguments *arguments)
{
	struct simulation *simulation = NULL;
	int err = simulation__create(&arguments->shape, &simulation), status = 0;

	if (err == -EINVAL) {
		(void)fprintf(stderr,
			      "slabsim: --slab %zu: not a power of two, or too small for an object "
			      "of %zu bytes%s\n",
			      arguments->shape.slab_bytes, arguments->shape.object_bytes,
			      arguments->shape.debug ? " with red zones" : "");
		return EXIT_BROKEN;
	}
	if (err) {
		(void)fprintf(stderr, "slabsim: no memory for a cache%s\n",
			      arguments->shape.limit_bytes ? "; give it more with --memory" : "");
		return EXIT_BROKEN;
	}
	for (size_t i = 0; i < arguments->count; i++)
		if (act(simulation, arguments, &arguments->actions[i]))
			status = EXIT_REFUSED;
	if (!arguments->count) {
		err = menu__run(simulation, arguments->seed);
		if (err) {
			(void)fprintf(stderr, "slabsim: cannot read stdin: %s\n", strerror(-err));
			status = EXIT_BROKEN;
		}
	}
	simulation__free(simulation);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.shape = {.object_bytes = 256, .slab_bytes = SLAB_MIN_BYTES},
		.seed = 23,
	};
	int status;

	read_arguments(argc, argv, &arguments);
	status = work(&arguments);
	free(arguments.actions);
	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "slabsim: cannot write to stdout: %s\n", strerror(errno));
		return EXIT_BROKEN;
	}
	return status;
}
