/* SPDX-License-Identifier: BSD-2-Clause
 *
 * restart [FILE]: brings a process back from its image, see restart(1). What runs while there is
 * a C library is here and in reopen/; become/ goes on without it.
 *
 * restart is linked statically at a fixed address, 64 KiB, so the kernel chooses no place for any
 * of its code. Linkers put programs at 2 MiB or above; for one that lies lower there is
 * restart-high (elsewhere.h). All else that the kernel has put into this process (stack, heap,
 * vdso) is unmapped or moved before the image comes.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/help.h"
#include "base/log.h"
#include "become/become.h"
#include "reopen/files.h"
#include "reopen/folder.h"
#include "reopen/high_files.h"
#include "reopen/missing.h"
#include "reopen/same_root.h"
#include "restart/attributes.h"
#include "restart/clocks.h"
#include "restart/elsewhere.h"
#include "restart/hook.h"
#include "restart/left_out.h"
#include "restart/make_plan.h"
#include "restart/rights.h"
#include "restart/same_pid.h"

#define DEFAULT_PATH "myckpt"

enum { OPTION_SAME_PID = 256, OPTION_CHANGED_FILES, OPTION_HOOK };

struct options {
	const char *path, *hook;
	bool same_pid, changed_files;
};

const char *argp_program_version = "restart " TRACER_VERSION;

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPTION_SAME_PID:
		options->same_pid = true;
		return 0;
	case OPTION_CHANGED_FILES:
		options->changed_files = true;
		return 0;
	case OPTION_HOOK:
		options->hook = argument;
		return 0;
	case 'v':
		log__set_level(LOG_LEVEL_VERBOSE);
		return 0;
	case 'q':
		log__set_level(LOG_LEVEL_QUIET);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one image at a time");
		options->path = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		options->path = help__default_file(state, DEFAULT_PATH);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_table[] = {
	{"same-pid", OPTION_SAME_PID, NULL, 0,
	 "Give the process the number that it had (as root); refuse if that cannot be", 0},
	{"changed-files", OPTION_CHANGED_FILES, NULL, 0,
	 "Accept files that were replaced or cut off, and another root folder", 0},
	{"hook", OPTION_HOOK, "COMMAND", 0,
	 "Run a command of sh before the process goes on; refuse if it fails", 0},
	{"verbose", 'v', NULL, 0, "Tell more about what does not come back", 0},
	{"quiet", 'q', NULL, 0, "Print errors only", 0},
	{0},
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.children = help__options,
	.args_doc = "[FILE]",
	.doc = "Bring a process back from the image FILE (default: " DEFAULT_PATH
	       ") that libckpt or tracer ctl save wrote.\v"
	       "Exit status: that of the process; 125 if it could not be brought back.",
};

/* ---- the way ---- */

static int open_images(const char *path, struct image_chain *ret)
{
	char message[IMAGE_MESSAGE_BYTES];
	int err = image_chain__open(path, ret, message);

	if (err)
		log__error("%s", message);
	return err;
}

static int plan_memory(const struct image_chain *chain, int first_fd, bool accept_changes,
		       struct plan **ret)
{
	char message[IMAGE_MESSAGE_BYTES];
	int err = make_plan__of(chain, first_fd, accept_changes, ret, message);

	if (err)
		log__error("%s", message);
	return err;
}

/* Returns 0; or -errno, and it has said why. */
static int check_folder(const struct image *image, bool accept_changes)
{
	const char *path = image__string(image, image->process.cwd);
	const char *change = folder__find_change(image);

	if (!change)
		return 0;
	if (accept_changes) {
		log__warn("the process was in the folder %s, which %s", path, change);
		return 0;
	}
	log__error("the process was in the folder %s, which %s; put it back and try again, or "
		   "accept that with --changed-files",
		   path, change);
	return -ENOENT;
}

static int check_place(const struct image *image, bool accept_changes)
{
	const char *difference;

	if (same_root__is(image, &difference))
		return check_folder(image, accept_changes);
	if (accept_changes) {
		log__warn("the process had %s", difference);
		return 0;
	}
	log__error("the process had %s, so its files may have other names here; run restart there, "
		   "or accept it with --changed-files",
		   difference);
	return -EXDEV;
}

/* An image is a program. Whoever can write it decides what it does with the caller's rights. */
static void warn_of_strangers(const struct image_chain *chain)
{
	const struct image *image = chain->images[0];
	const struct image_rights *rights = &image->rights;
	const uid_t user = rights->are_known ? rights->euid : image->process.uid;
	const gid_t group = rights->are_known ? rights->egid : image->process.gid;
	const uid_t self = geteuid();

	for (size_t i = 0; i < chain->count; i++) {
		struct stat st;

		/* Not of the open file: that of a compressed image is memory of ours. */
		if (stat(chain->images[i]->path, &st) == 0 && st.st_uid != self && st.st_uid != 0)
			log__warn("%s belongs to user %u: whatever is in it now runs as user %u",
				  chain->images[i]->path, st.st_uid, self);
	}
	if (user != self)
		log__warn("the process was of user %u, and goes on as user %u", user, self);
	else if (group != getegid())
		log__warn("the process was of group %u, and goes on as group %u", group, getegid());
	else if (image->process.uid != getuid())
		log__warn("the process was of real user %u, and goes on with real user %u",
			  image->process.uid, getuid());
	else if (rights__has_more(rights))
		log__warn("the process had given up rights (capabilities), and goes on with all "
			  "that restart has; setpriv(1) starts restart without them");
}

/* Before there is any thread. */
static void carry_clocks_on(const struct image *image)
{
	struct clocks_failure failure;
	uint64_t behind_ns;
	int err = clocks__carry_on(&image->process, &behind_ns, &failure);
	const uint64_t behind = behind_ns / 1000000000 + (behind_ns % 1000000000 > 0);

	if (err)
		log__warn("the clock of this machine is behind that of the process (by %" PRIu64
			  " s): what waits for a moment will wait that much longer; %s%s%s",
			  behind, clocks__reason_text(failure.reason),
			  failure.reason == CLOCKS_FAILED ? ": " : "",
			  failure.reason == CLOCKS_FAILED ? strerror(-failure.err) : "");
	else if (behind_ns)
		log__debug("the clock of this machine is behind that of the process (by %" PRIu64
			   " s); it has a clock of its own now",
			   behind);
}

/* Returns -errno, and it has said why; or never. */
static int restart(const struct options *options, char **argv)
{
	struct plan_limit limits[IMAGE_LIMITS];
	struct missing missing = {0};
	struct files files = {0};
	struct image_chain chain;
	const struct image *image;
	struct plan *plan;
	int err, first_fd;

	err = open_images(options->path, &chain);
	if (err)
		return err;
	image = chain.images[0];
	elsewhere__run(image, argv);
	err = check_place(image, options->changed_files);
	if (err)
		goto out;
	first_fd = high_files__first(image);
	err = attributes__read_limits(limits); /* before they are raised for restart itself */
	if (err)
		goto out;
	err = high_files__move(&chain, first_fd);
	if (err)
		goto out;
	err = plan_memory(&chain, first_fd, options->changed_files, &plan);
	if (err)
		goto out;
	memcpy(plan->limits, limits, sizeof(limits));
	err = missing__open(&missing);
	if (err)
		goto out;
	err = files__check(image, options->changed_files, &missing, &files);
	if (err)
		goto out;
	if (options->same_pid)
		err = same_pid__take(image->process.pid);
	if (err)
		goto out;
	if (options->hook)
		err = hook__run(options->hook, image);
	if (err)
		goto out;

	warn_of_strangers(&chain);
	carry_clocks_on(image);
	left_out__add_missing(image, &missing);
	attributes__set(image, plan, &missing);
	rights__add_missing(image, &missing);
	err = files__make(&files, first_fd, &missing); /* sockets have relative names, too */
	if (err)
		goto out;
	files__keep_outputs(&files);
	missing__say(&missing, image);

	plan->shows_progress = log__level() != LOG_LEVEL_QUIET && isatty(STDERR_FILENO);
	err = high_files__keep_stderr(first_fd, &plan->messages_fd);
	if (err)
		goto out;
	err = files__open(&files, first_fd, plan->messages_fd);
	if (err)
		goto out;
	become__process(plan);
out:
	files__free(&files);
	missing__close(&missing);
	image_chain__free(&chain);
	return err;
}

int main(int argc, char **argv)
{
	struct options options = {0};

	log__set_name("restart");
	argp_err_exit_status = RESTART_FAILED;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &options))
		return RESTART_FAILED;
	(void)restart(&options, argv);
	return RESTART_FAILED;
}
