/* SPDX-License-Identifier: BSD-2-Clause
 *
 * readckpt [FILE]: what is in an image, see readckpt(1). Options, and what the exit status is.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/help.h"
#include "base/log.h"
#include "base/parse.h"
#include "readckpt/dump.h"
#include "readckpt/json.h"
#include "readckpt/squash.h"
#include "readckpt/survey.h"
#include "readckpt/table.h"

enum {
	EXIT_DAMAGED = 1, /* or it cannot be read, or written */
	EXIT_USAGE = 2,
	OPTION_JSON = 256,
	OPTION_DUMP,
	OPTION_SQUASH,
};

#define DEFAULT_PATH   "myckpt"
#define DUMP_BYTES_MAX (1ULL << 30)
#define ADDRESS_MAX    (1ULL << 47)

struct options {
	const char *path;
	const char *squash; /* NULL: not asked */
	uint64_t address, bytes;
	bool json, dump;
};

const char *argp_program_version = "readckpt " TRACER_VERSION;

static const struct argp_option option_table[] = {
	{"json", OPTION_JSON, NULL, 0, "Write JSON, for machines", 0},
	{"dump", OPTION_DUMP, "ADDR,LEN", 0,
	 "Write LEN bytes of memory from ADDR on, in hexadecimal (at most 1 GiB)", 0},
	{"squash", OPTION_SQUASH, "OUT", 0,
	 "Merge an increment with its parents into one image OUT", 0},
	{0},
};

static void read_dump(struct argp_state *state, char *text, struct options *options)
{
	char *comma = strchr(text, ',');

	if (!comma) {
		argp_error(state, "--dump %s: give ADDR,LEN, as in 0x7ffc0000,64", text);
		return; /* it does not come back */
	}
	*comma = '\0';
	if (parse__u64(text, 0, ADDRESS_MAX, &options->address))
		argp_error(state, "--dump: '%s' is no address (0x... or decimal)", text);
	if (parse__u64(comma + 1, 1, DUMP_BYTES_MAX, &options->bytes))
		argp_error(state, "--dump: '%s' is no length from 1 to %llu", comma + 1,
			   DUMP_BYTES_MAX);
	options->dump = true;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPTION_JSON:
		options->json = true;
		return 0;
	case OPTION_DUMP:
		read_dump(state, argument, options);
		return 0;
	case OPTION_SQUASH:
		options->squash = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one image at a time");
		options->path = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		options->path = help__default_file(state, DEFAULT_PATH);
		return 0;
	case ARGP_KEY_END:
		if (options->json + options->dump + (options->squash != NULL) > 1)
			argp_error(state, "--json, --dump and --squash: one of them at a time");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.children = help__options,
	.args_doc = "[FILE]",
	.doc = "Show what is in the image FILE (default: " DEFAULT_PATH
	       ") that libckpt or tracer wrote, and verify its checksums.\v"
	       "Exit status: 0; 1 if the image is damaged, or cannot be read or written; 2 if "
	       "readckpt was called wrongly.",
};

static bool use_colours(void)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */

	return (!no_color || !*no_color) && isatty(STDOUT_FILENO);
}

/*
 * An image is shown alone if its parents cannot be used: then *ret_broken is set, and message says
 * why. Returns 0 or -errno with a message.
 */
static int open_to_show(const char *path, struct image_chain *chain, bool *ret_broken,
			char *message)
{
	static char other[IMAGE_MESSAGE_BYTES];
	int err = image_chain__open(path, chain, message);

	*ret_broken = false;
	if (!err)
		return 0;
	if (image__open(path, &chain->images[0], other))
		return err;
	chain->count = 1;
	*ret_broken = true;
	return 0;
}

static int show(const struct options *options, char *message)
{
	struct image_chain chain = {.count = 0};
	struct survey survey;
	bool broken;
	int status, err = open_to_show(options->path, &chain, &broken, message);

	if (err) {
		if (options->json)
			json__write_error(stdout, options->path, message);
		log__error("%s", message);
		return EXIT_DAMAGED;
	}
	if (survey__make(&chain, broken ? message : NULL, &survey)) {
		log__error("%s: %s", options->path, strerror(ENOMEM));
		image_chain__free(&chain);
		return EXIT_DAMAGED;
	}
	if (options->json)
		json__write(stdout, &chain, &survey);
	else
		table__write(stdout, &chain, &survey, use_colours());
	if (survey.fault_count) {
		(void)fflush(stdout); /* before what is said of it; main() looks at errors */
		log__error("%s", survey.faults[0] ? survey.faults[0] : strerror(ENOMEM));
	}
	status = survey.fault_count ? EXIT_DAMAGED : 0;
	survey__free(&survey);
	image_chain__free(&chain);
	return status;
}

static int dump_or_squash(const struct options *options, char *message)
{
	struct image_chain chain;
	int err = image_chain__open(options->path, &chain, message);

	if (!err) {
		if (options->dump)
			err = dump__write(stdout, &chain, options->address, options->bytes,
					  message);
		else
			err = squash__write(&chain, options->squash, message);
		image_chain__free(&chain);
	}
	if (err) {
		(void)fflush(stdout); /* before what is said of it; main() looks at errors */
		log__error("%s", message);
	}
	return err ? EXIT_DAMAGED : 0;
}

int main(int argc, char **argv)
{
	static char message[IMAGE_MESSAGE_BYTES];
	struct options options = {0};
	int status;

	log__reserve_descriptors();
	log__set_name("readckpt");
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &options))
		return EXIT_USAGE;
	if (options.dump || options.squash)
		status = dump_or_squash(&options, message);
	else
		status = show(&options, message);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log__error("cannot write: %s", strerror(errno ? errno : EIO));
		return EXIT_DAMAGED;
	}
	return status;
}
