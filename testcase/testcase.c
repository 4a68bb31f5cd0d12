/* SPDX-License-Identifier: BSD-2-Clause
 *
 * testcase: a program that asks its tracer for checkpoints and restores of its own memory, and
 * verifies every byte that comes back. It speaks the control-file protocol (docs/protocol.md)
 * through the client library, so that any tracer which does can be tried with it.
 * Here are the options and the table of cases only.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/help.h"
#include "base/parse.h"
#include "client/client.h"
#include "cases.h"

#ifndef TRACER_VERSION
#define TRACER_VERSION "(unversioned build)"
#endif

#define MAX_SECONDS 86400
#define MAX_POWER   28 /* 1 GiB */

const char *argp_program_version = "testcase " TRACER_VERSION;

static const struct test_case cases[] = {
	{"idle", "malloc'ed buffer; save and recover in a loop", case__idle, 1},
	{"scramble", "malloc'ed buffer; save, destroy and recover in a loop", case__scramble, 1},
	{"anon", "private anonymous mapping", case__anon, 0},
	{"shared", "shared anonymous mapping at a hinted address", case__shared, 0},
	{"bss", "large and small static variables", case__bss, 0},
	{"many", "23 mappings of odd sizes, some unmapped again before", case__many, 0},
	{"untouched", "pages first touched after the checkpoint are zeros again", case__untouched,
	 0},
	{"repeat", "one checkpoint, 23 restores", case__repeat, 0},
	{"replace", "a second checkpoint replaces the first", case__replace, 0},
};

#define CASES ((unsigned int)(sizeof(cases) / sizeof(cases[0])))

struct arguments {
	uint64_t seconds, power, seed;
	const struct test_case *only; /* NULL: all */
	int list, quiet;
};

enum { OPTION_CASE = 256, OPTION_LIST, OPTION_SEED };

static uint64_t read_number(const char *option, const char *text, uint64_t max,
			    struct argp_state *state)
{
	uint64_t value = 0;

	if (parse__u64(text, 0, max, &value) < 0)
		argp_error(state, "%s: '%s' is not a number from 0 to %llu", option, text,
			   (unsigned long long)max);
	return value;
}

static const struct test_case *find_case(const char *name, struct argp_state *state)
{
	unsigned int i;

	if (strcmp(name, "all") == 0)
		return NULL;
	for (i = 0; i < CASES; i++) {
		if (strcmp(cases[i].name, name) == 0)
			return &cases[i];
	}
	argp_error(state, "--case: there is no case '%s'; --list shows them", name);
	return NULL; /* argp_error does not return */
}

static error_t read_option(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 't':
		arguments->seconds = read_number("-t", text, MAX_SECONDS, state);
		return 0;
	case 'n':
		arguments->power = read_number("-n", text, MAX_POWER, state);
		return 0;
	case OPTION_CASE:
		arguments->only = find_case(text, state);
		return 0;
	case OPTION_SEED:
		arguments->seed = read_number("--seed", text, UINT64_MAX, state);
		return 0;
	case OPTION_LIST:
		arguments->list = 1;
		return 0;
	case 'q':
		arguments->quiet = 1;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is not an option; there are no other arguments", text);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
	const struct argp_option options[] = {
		{"seconds", 't', "SECONDS", 0,
		 "How long idle and scramble loop, 0 to 86400; 0 is once (default 20)", 0},
		{"power", 'n', "POWER", 0, "Use 2^POWER integers of 4 bytes, 0 to 28 (default 10)",
		 0},
		{"case", OPTION_CASE, "NAME", 0, "The case to run, or 'all' (default idle)", 0},
		{"list", OPTION_LIST, NULL, 0, "List the cases and exit", 0},
		{"seed", OPTION_SEED, "N", 0, "Seed of all data (default 23)", 0},
		{"quiet", 'q', NULL, 0, "Print the results only", 0},
		{0},
	};
	const struct argp parser = {
		.options = options,
		.parser = read_option,
		.children = help__options,
		.doc = "Save and recover this program's own memory through a tracer, and verify "
		       "every byte of it.\vRun it as: tracer ./testcase\n\nWith --case all, "
		       "idle and scramble share the SECONDS.\nExit status: 0 every byte is right; "
		       "1 memory is wrong; 2 the case could not be run (no tracer answered, ...), "
		       "or wrong usage. Stopped by SIGINT, SIGTERM or SIGHUP it reports, removes "
		       "its control files and dies of the signal.",
	};
	error_t err;

	argp_err_exit_status = RESULT_BROKEN;
	err = argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, arguments);

	if (err) {
		(void)fprintf(stderr, "testcase: cannot read the options: %s\n", strerror(err));
		exit(RESULT_BROKEN);
	}
}

static int list_cases(void)
{
	unsigned int i;

	for (i = 0; i < CASES; i++)
		(void)printf("%-10s %s\n", cases[i].name, cases[i].description);
	return fflush(stdout) || ferror(stdout) ? RESULT_BROKEN : RESULT_OK;
}

/* Until a tracer has answered, a signal ends the wait at once; afterwards run.c holds it back. */
static void clean_up_and_die(int sig)
{
	(void)client__cleanup();
	(void)raise(sig); /* SA_RESETHAND: kills, once this handler has returned */
}

static void catch_signals(void)
{
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = clean_up_and_die, .sa_flags = SA_RESETHAND}, old;
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	}
}

static enum result run_one(const struct test_case *test, const struct arguments *arguments,
			   uint64_t seconds, int *answered)
{
	struct run run = {
		.name = test->name,
		.seed = arguments->seed,
		.seconds = seconds,
		.power = (unsigned int)arguments->power,
		.answered = *answered,
		.quiet = arguments->quiet,
	};
	enum result result = test->run(&run);

	*answered = run.answered;
	return result;
}

/* Wrong memory does not keep the next cases from being tried; a tracer that is not there does. */
static enum result run_all(const struct arguments *arguments)
{
	const struct run summary = {.name = "testcase"};
	enum result worst = RESULT_OK, result;
	unsigned int i, done = 0, right = 0, loops = 0;
	uint64_t seconds;
	int answered = 0;

	for (i = 0; i < CASES; i++)
		loops += (unsigned int)cases[i].loops;
	seconds = arguments->seconds / loops;
	if (!seconds && arguments->seconds)
		seconds = 1;
	for (i = 0; i < CASES && worst != RESULT_BROKEN && !run__interrupted(); i++) {
		result = run_one(&cases[i], arguments, seconds, &answered);
		done++;
		right += result == RESULT_OK;
		worst = result > worst ? result : worst;
	}
	run__print_result(&summary, "%u of %u cases ok, %u failed, %u not run", right, CASES,
			  done - right, CASES - done);
	return worst;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.seconds = 20, .power = 10, .seed = 23, .only = &cases[0]};
	enum result result;
	sigset_t mask;
	int answered = 0;

	read_arguments(argc, argv, &arguments);
	if (arguments.list)
		return list_cases();
	(void)sigprocmask(SIG_BLOCK, NULL, &mask);
	catch_signals();
	if (arguments.only)
		result = run_one(arguments.only, &arguments, arguments.seconds, &answered);
	else
		result = run_all(&arguments);
	(void)client__cleanup();
	(void)sigprocmask(SIG_SETMASK, &mask, NULL); /* a held-back signal strikes here */
	return result;
}
