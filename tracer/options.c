/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The command line, with argp(3). Options end at the first word that is no option: the program and
 * its arguments follow.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/help.h"
#include "base/log.h"
#include "base/parse.h"
#include <linux/types.h>
#include "tracer.h"
#include "options.h"

#define EXIT_TRACER        125
#define SLAB_THRESHOLD     4096   /* auto; docs/engines.md says why */
#define DEFAULT_MAX_CHUNKS 524288 /* 128 MiB */
#define CHUNK_READY_CHUNKS 2048   /* 512 KiB, 0.7 MiB of kernel memory */
#define SLAB_READY_CHUNKS  256    /* for what slabs do not hold: the first page of a bss */

enum key {
	KEY_REGIONS = 256,
	KEY_CONTROL_DIR,
	KEY_WAIT,
	KEY_MAP_LOG,
	KEY_SAVE,
	KEY_MAX_CHUNKS,
	KEY_READY_CHUNKS,
	KEY_RESTORE_PATH,
	KEY_RESTORE,
	KEY_DIRTY,
	KEY_VERIFY,
	KEY_PAGES_PER_POLL,
	KEY_STATS,
	KEY_CONTROL_SOCKET,
};

enum { GROUP_PROCESS = 3 }; /* the options about a running process */

const char *argp_program_version = "tracer " TRACER_VERSION;

static const struct argp_option option_list[] = {
	{NULL, 0, NULL, 0, "Snapshots:", 1},
	{"engine", 'e', "ENGINE", 0, "How snapshots are held: chunk, slab, page, or auto (default)",
	 1},
	{"regions", KEY_REGIONS, "LIST", 0,
	 "Memory to track: mmap,heap,bss (default), and data,stack", 1},
	{"restore-path", KEY_RESTORE_PATH, "PATH", 0,
	 "Restore with bpf, process_vm, or auto (default): bpf where the kernel allows it", 1},
	{"restore", KEY_RESTORE, "HOW", 0,
	 "Pages in slabs that a restore writes: diff (default), the changed ones; or all", 1},
	{"dirty", KEY_DIRTY, "WAY", 0,
	 "How pages that may have changed are found: faults, scan, soft, compare, or auto "
	 "(default), the first that works",
	 1},
	{"verify", KEY_VERIFY, NULL, 0,
	 "Keep a checksum of each slab and page, and restore none that has been damaged", 1},
	{"pages-per-poll", KEY_PAGES_PER_POLL, "N", 0,
	 "With the page engine, copy N pages in each poll (1 to 1024, default 1)", 1},
	{"max-chunks", KEY_MAX_CHUNKS, "N", 0,
	 "Limit of the chunk stores, in chunks of 256 bytes (default 524288: 128 MiB)", 1},
	{"ready-chunks", KEY_READY_CHUNKS, "N", 0,
	 "Chunks allocated at the start; more are allocated as needed (default 2048 with the chunk "
	 "engine, else 256)",
	 1},
	{NULL, 0, NULL, 0, "The program:", 2},
	{"wait", KEY_WAIT, "NAME", 0, "Trace the next process that executes a file NAME", 2},
	{"user", 'u', "USER", 0, "Run PROGRAM as USER (default under sudo: the user who called it)",
	 2},
	{"control-dir", KEY_CONTROL_DIR, "DIR", 0, "Folder of the control files (default /tmp)", 2},
	{NULL, 0, NULL, 0, "A running process, and tracer ctl:", GROUP_PROCESS},
	{"pid", 'p', "PID", 0, "Attach to process PID; Ctrl-C detaches", GROUP_PROCESS},
	{"control-socket", KEY_CONTROL_SOCKET, "PATH", 0,
	 "Where tracer ctl finds this tracer (default /run/tracer/PID.sock for root, "
	 "$XDG_RUNTIME_DIR/tracer/PID.sock for others)",
	 GROUP_PROCESS},
	{NULL, 0, NULL, 0, "Reports:", 4},
	{"output", 'o', "FILE", 0,
	 "The CSV report (default results/PROGRAM-TIME-PID.csv; /dev/null: none)", 4},
	{"map-log", KEY_MAP_LOG, "FILE", 0, "At the end, write every range, chunk and slab to FILE",
	 4},
	{"save", KEY_SAVE, "FILE", 0,
	 "At the end, write the snapshot to FILE, a core file for readckpt and gdb (FILE.gz: "
	 "compressed)",
	 4},
	{"stats", KEY_STATS, NULL, 0, "Add latencies, maps and memory to the summary at the end",
	 4},
	{"verbose", 'v', NULL, 0, "Tell each step; implies --stats", 4},
	{"quiet", 'q', NULL, 0, "Print errors only; no summary", 4},
	{0},
};

/* In the order of the bits of enum region. */
static const char *const region_names[] = {"mmap", "heap", "bss", "data", "stack"};
_Static_assert(REGION_MMAP == 1 << 0 && REGION_HEAP == 1 << 1 && REGION_BSS == 1 << 2 &&
		       REGION_DATA == 1 << 3 && REGION_STACK == 1 << 4,
	       "a name for each bit");

const char *options__name(const struct options *options)
{
	const char *path = options->wait_name ? options->wait_name : *options->program;
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

char *options__regions_name(uint32_t regions, char *buffer)
{
	char *end = buffer;

	*buffer = '\0';
	for (size_t i = 0; i < sizeof(region_names) / sizeof(*region_names); i++) {
		if (!(regions & 1U << i))
			continue;
		if (end != buffer)
			*end++ = ',';
		end = stpcpy(end, region_names[i]);
	}
	return buffer;
}

/* The index of a word among count names. Ends the process when it is none of them. */
static unsigned int read_word(struct argp_state *state, const char *option, const char *word,
			      size_t length, const char *const *names, unsigned int count)
{
	char list[64], *end = list;

	for (unsigned int i = 0; i < count; i++) {
		if (strlen(names[i]) == length && !strncmp(names[i], word, length))
			return i;
		end += snprintf(end, sizeof(list) - (size_t)(end - list), "%s%s", i ? ", " : "",
				names[i]);
	}
	argp_error(state, "%s: '%.*s' is none of %s", option, (int)length, word, list);
	return 0; /* not reached */
}

static uint32_t read_regions(struct argp_state *state, const char *list)
{
	uint32_t regions = 0;

	for (const char *word = list;; word++) {
		size_t length = strcspn(word, ",");

		regions |= 1U << read_word(state, "--regions", word, length, region_names,
					   sizeof(region_names) / sizeof(*region_names));
		word += length;
		if (!*word)
			return regions;
	}
}

static void read_number(struct argp_state *state, const char *option, const char *text,
			uint64_t min, uint64_t max, uint64_t *ret_value)
{
	if (parse__u64(text, min, max, ret_value))
		argp_error(state, "%s: '%s' is not a whole number from %lu to %lu", option, text,
			   (unsigned long)min, (unsigned long)max);
}

static void read_engine(struct argp_state *state, const char *word, struct options *options)
{
	static const char *const names[] = {"auto", "chunk", "slab", "page"};
	static const uint64_t thresholds[] = {SLAB_THRESHOLD, UINT64_MAX, 0, 0};
	unsigned int i = read_word(state, "--engine", word, strlen(word), names, 4);

	options->engine = names[i];
	options->slab_threshold = thresholds[i];
	options->page_engine = i == 3;
}

static void read_restore_path(struct argp_state *state, const char *word, struct options *options)
{
	static const char *const names[] = {[RESTORE_AUTO] = "auto",
					    [RESTORE_BPF] = "bpf",
					    [RESTORE_PROCESS_VM] = "process_vm"};

	options->restore_path = read_word(state, "--restore-path", word, strlen(word), names, 3);
}

static void read_restore(struct argp_state *state, const char *word, struct options *options)
{
	static const char *const names[] = {"diff", "all"};

	options->restore_all = read_word(state, "--restore", word, strlen(word), names, 2) == 1;
}

/* The name of an option that tells how to run, trace or report on a program; else NULL. */
static const char *run_option(int key)
{
	for (const struct argp_option *option = option_list; option->name || option->group;
	     option++) {
		if (option->name && option->key == key && option->group != GROUP_PROCESS &&
		    key != 'v' && key != 'q')
			return option->name;
	}
	return NULL;
}

/* -p and what goes with it. */
static void check_process(struct argp_state *state, const struct options *options)
{
	if (options->pid && options->program)
		argp_error(state, "-p %d attaches to a process that runs already; take '%s' away",
			   options->pid, options->program[0]);
	if (options->pid && options->run_option)
		argp_error(state, "--%s does not go with -p", options->run_option);
}

static void read_dirty(struct argp_state *state, const char *word, struct options *options)
{
	const char *names[DIRTY_WAYS];

	for (enum dirty_way way = 0; way < DIRTY_WAYS; way++)
		names[way] = dirty_way__name(way);
	options->dirty_way = read_word(state, "--dirty", word, strlen(word), names, DIRTY_WAYS);
}

static void check(struct argp_state *state, const struct options *options)
{
	check_process(state, options);
	if (options->pages_per_poll && !options->page_engine)
		argp_error(state, "--pages-per-poll goes with --engine page, not with %s",
			   options->engine);
	if (options->restore_all && (options->page_engine || options->slab_threshold == UINT64_MAX))
		argp_error(state, "--restore all goes with slabs, not with --engine %s",
			   options->engine);
	if (options->dirty_way && options->slab_threshold == UINT64_MAX)
		argp_error(state, "--dirty goes with slabs and pages, not with --engine %s",
			   options->engine);
	if (options->verify && options->slab_threshold == UINT64_MAX)
		argp_error(state, "--verify goes with slabs and pages, not with --engine %s",
			   options->engine);
	if (options->stats && options->verbosity == LOG_LEVEL_QUIET)
		argp_error(state, "--stats is part of the summary, which --quiet leaves out");
	if (options->wait_name && options->program)
		argp_error(state,
			   "--wait %s traces a program that somebody else starts; take '%s' away",
			   options->wait_name, options->program[0]);
	if (!options->wait_name && !options->program && !options->pid)
		argp_error(state, "no PROGRAM given, no --wait NAME, and no -p PID");
	if (options->wait_name && options->user)
		argp_error(state, "--user goes with PROGRAM, not with --wait");
	if (options->wait_name && (!*options->wait_name || strchr(options->wait_name, '/') ||
				   strlen(options->wait_name) > 62))
		argp_error(state, "--wait '%s': give the base name of a file, at most 62 bytes",
			   options->wait_name);
}

static error_t read_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;
	const char *name = run_option(key);
	uint64_t number = 0;

	if (name)
		options->run_option = name;
	switch (key) {
	case 'e':
		read_engine(state, text, options);
		break;
	case 'p':
		read_number(state, "--pid", text, 1, INT32_MAX, &number);
		options->pid = (pid_t)number;
		break;
	case KEY_CONTROL_SOCKET:
		options->socket_path = text;
		break;
	case 'u':
		options->user = text;
		break;
	case 'o':
		options->output = text;
		break;
	case 'v':
		options->verbosity = LOG_LEVEL_VERBOSE;
		break;
	case 'q':
		options->verbosity = LOG_LEVEL_QUIET;
		break;
	case KEY_RESTORE:
		read_restore(state, text, options);
		break;
	case KEY_DIRTY:
		read_dirty(state, text, options);
		break;
	case KEY_VERIFY:
		options->verify = true;
		break;
	case KEY_PAGES_PER_POLL:
		read_number(state, "--pages-per-poll", text, 1, PAGE_BATCH,
			    &options->pages_per_poll);
		break;
	case KEY_STATS:
		options->stats = true;
		break;
	case KEY_REGIONS:
		options->regions = read_regions(state, text);
		break;
	case KEY_CONTROL_DIR:
		options->control_dir = text;
		break;
	case KEY_WAIT:
		options->wait_name = text;
		break;
	case KEY_MAP_LOG:
		options->map_log = text;
		break;
	case KEY_SAVE:
		options->save = text;
		break;
	case KEY_MAX_CHUNKS:
		read_number(state, "--max-chunks", text, 1, 1ULL << 26, &options->max_chunks);
		break;
	case KEY_READY_CHUNKS:
		read_number(state, "--ready-chunks", text, 1, 1ULL << 26, &options->ready_chunks);
		break;
	case KEY_RESTORE_PATH:
		read_restore_path(state, text, options);
		break;
	case ARGP_KEY_ARG:
		options->program = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_END:
		check(state, options);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const char help_text[] =
	"Checkpoint and roll back the memory of a running program, in place, from inside the "
	"kernel.\v"
	"PROGRAM asks for its own checkpoints: it creates DIR/ready_to_checkpoint or "
	"DIR/ready_to_restore, and polls DIR/checkpoint_complete or DIR/restore_complete with "
	"access(2). Each operation adds a row to the CSV report. At the end a summary is printed "
	"on stderr.\n\n"
	"With -p, somebody else asks:\n"
	"  tracer ctl PID COMMAND  checkpoints and rollbacks, see tracer ctl --help\n\n"
	"What this machine can do:\n"
	"  tracer check\n\n"
	"Exit status: that of PROGRAM (128+N if signal N ended it); 125 if the tracer or an "
	"operation failed, 126 if PROGRAM cannot be run, 127 if it is not found.";

void options__parse(int argc, char **argv, struct options *ret)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = read_option,
		.children = help__options,
		.args_doc = "[--] PROGRAM [ARG...]\n--wait NAME\n-p PID",
		.doc = help_text,
	};

	*ret = (struct options){
		.control_dir = "/tmp",
		.engine = "auto",
		.slab_threshold = SLAB_THRESHOLD,
		.regions = REGION_MMAP | REGION_HEAP | REGION_BSS,
		.max_chunks = DEFAULT_MAX_CHUNKS,
		.verbosity = LOG_LEVEL_NORMAL,
	};
	argp_err_exit_status = EXIT_TRACER;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, ret);
	if (!ret->ready_chunks)
		ret->ready_chunks =
			ret->slab_threshold == UINT64_MAX ? CHUNK_READY_CHUNKS : SLAB_READY_CHUNKS;
	if (ret->page_engine && !ret->pages_per_poll)
		ret->pages_per_poll = 1;
	if (ret->ready_chunks > ret->max_chunks)
		ret->ready_chunks = ret->max_chunks;
	if (ret->verbosity == LOG_LEVEL_VERBOSE)
		ret->stats = true;
}
