/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of options: defaults, each option, and each mistake. A mistake ends the process, so a
 * forked child parses each command line. The options come back in shared memory, its output in
 * files.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "options.h"
#include "tap.h"

#define ARGS_MAX     23
#define STATUS_READ  77 /* the child's, when options__parse has returned */
#define STATUS_WRONG 125

static struct shared {
	struct options options;
	int program_at; /* its index in argv; -1: none */
} * shared;

static char out_text[1 << 14], err_text[1 << 14];

static void take_text(FILE *file, char *text, size_t size)
{
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	(void)fclose(file);
}

/* Splits the line at blanks ('~' begins an empty word) and parses it. Returns the child's exit
 * status. */
static int parse(const char *line)
{
	FILE *out = tmpfile(), *err = tmpfile();
	char words[512], *argv[ARGS_MAX + 1] = {(char *)"tracer"}, *rest = NULL;
	int argc = 1, status = 0;
	pid_t child;

	if (!out || !err) {
		perror("tmpfile");
		exit(1);
	}
	(void)snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok_r(words, " ", &rest); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = *word == '~' ? word + 1 : word;
	argv[argc] = NULL;
	memset(shared, 0x55, sizeof(*shared));
	child = fork();
	if (child == 0) {
		if (dup2(fileno(out), STDOUT_FILENO) < 0 || dup2(fileno(err), STDERR_FILENO) < 0)
			_exit(1);
		options__parse(argc, argv, &shared->options);
		shared->program_at =
			shared->options.program ? (int)(shared->options.program - argv) : -1;
		_exit(STATUS_READ);
	}
	(void)waitpid(child, &status, 0);
	take_text(out, out_text, sizeof(out_text));
	take_text(err, err_text, sizeof(err_text));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_regions_name(void)
{
	char buffer[32];

	tap__equal_string(options__regions_name(0, buffer), "", "no region");
	tap__equal_string(options__regions_name(REGION_HEAP, buffer), "heap", "one region");
	tap__equal_string(options__regions_name(REGION_MMAP | REGION_HEAP | REGION_BSS, buffer),
			  "mmap,heap,bss", "the default regions");
	tap__equal_string(options__regions_name(REGION_STACK | REGION_DATA, buffer), "data,stack",
			  "two regions");
	memset(buffer, 'x', sizeof(buffer));
	tap__equal_string(options__regions_name(UINT32_MAX, buffer), "mmap,heap,bss,data,stack",
			  "all regions, and bits that are none");
	tap__ok(options__regions_name(REGION_BSS, buffer) == buffer, "it returns the buffer");
}

static void test_defaults(void)
{
	const struct options *o = &shared->options;

	tap__equal(parse("./program"), STATUS_READ, "only a program");
	tap__ok(!o->wait_name && !o->output && !o->map_log && !o->user && !o->restore_all &&
			!o->stats,
		"nothing else is set");
	tap__ok(o->max_chunks == 524288 && o->ready_chunks == 256, "chunks");
	tap__equal(o->regions, REGION_MMAP | REGION_HEAP | REGION_BSS, "regions");
	tap__ok(o->restore_path == RESTORE_AUTO && o->verbosity == LOG_LEVEL_NORMAL,
		"restore path, verbosity");
	/* literals are where they were before the fork */
	tap__equal_string(o->control_dir, "/tmp", "control folder");
	tap__equal_string(o->engine, "auto", "engine");
	tap__ok(o->slab_threshold > 0 && o->slab_threshold < UINT64_MAX, "slab threshold");
	tap__equal(shared->program_at, 1, "the program");
	tap__equal_string(err_text, "", "not a word");
}

static void test_program(void)
{
	const struct options *o = &shared->options;

	tap__ok(parse("-q ./program -v --max-chunks 0 -x") == STATUS_READ &&
			shared->program_at == 2 && o->verbosity == LOG_LEVEL_QUIET &&
			o->max_chunks == 524288,
		"options behind the program are its own");
	tap__ok(parse("-- -v") == STATUS_READ && shared->program_at == 2, "a program -v");
	tap__ok(parse("-v -- a -- b") == STATUS_READ && shared->program_at == 3 &&
			o->verbosity == LOG_LEVEL_VERBOSE,
		"the second -- is the program's");
	tap__ok(parse("--wait name") == STATUS_READ && !o->program && o->wait_name,
		"--wait needs no program");
}

/* Status 125, nothing on stdout, and the word on stderr. */
static void test_wrong(const char *line, const char *word)
{
	int status = parse(line);

	tap__ok(status == STATUS_WRONG && !*out_text && strstr(err_text, word), "refused: %s",
		*line ? line : "nothing");
	if (status != STATUS_WRONG || !strstr(err_text, word))
		tap__note("status %d, \"%s\" is not in: %s", status, word, err_text);
}

static void test_process(void)
{
	const struct options *o = &shared->options;

	tap__ok(parse("-p 23") == STATUS_READ && o->pid == 23 && !o->socket_path && !o->program,
		"a process, and no program");
	tap__ok(parse("-q --pid=0x7fffffff --control-socket s -v") == STATUS_READ &&
			o->pid == INT32_MAX && o->socket_path && o->verbosity == LOG_LEVEL_VERBOSE,
		"what goes with a process");
	test_wrong("-p 23 program", "'program'");
	test_wrong("-p 23 --wait name", "--wait");
	test_wrong("-p 23 --engine slab", "--engine");
	test_wrong("--user root -p 23", "--user");
	test_wrong("-p 23 -o file", "--output");
	test_wrong("-p 23 --stats", "--stats");
	test_wrong("-p 0", "--pid");
	test_wrong("-p -1", "--pid");
	tap__ok(parse("--control-socket s program") == STATUS_READ && o->socket_path,
		"the socket of a program that is run");
	test_wrong("-p 2147483648", "--pid");
	test_wrong("-p 23x", "--pid");
	test_wrong("-p ~", "--pid");
}

static void test_values(void)
{
	const struct options *o = &shared->options;

	tap__ok(parse("--max-chunks 0x17 p") == STATUS_READ && o->max_chunks == 23 &&
			o->ready_chunks == 23,
		"a small limit; no more chunks are ready than it allows");
	tap__ok(parse("--max-chunks 67108864 --ready-chunks 67108864 p") == STATUS_READ &&
			o->max_chunks == 67108864 && o->ready_chunks == 67108864,
		"the largest numbers");
	tap__ok(parse("--ready-chunks 1 p") == STATUS_READ && o->ready_chunks == 1,
		"the smallest number");
	tap__ok(parse("-e chunk p") == STATUS_READ && o->slab_threshold == UINT64_MAX &&
			o->ready_chunks == 2048,
		"engine chunk: no slabs, more chunks");
	tap__ok(parse("--engine=slab p") == STATUS_READ && o->slab_threshold == 0 &&
			o->ready_chunks == 256,
		"engine slab");
	tap__ok(parse("-e page p") == STATUS_READ && o->page_engine && o->slab_threshold == 0 &&
			o->pages_per_poll == 1,
		"engine page: one page in a poll");
	tap__ok(parse("--pages-per-poll 1024 -e page p") == STATUS_READ &&
			o->pages_per_poll == 1024,
		"the most pages in a poll");
	tap__ok(parse("-e page -e slab p") == STATUS_READ && !o->page_engine && !o->pages_per_poll,
		"no pages in a poll with another engine");
	tap__ok(parse("--engine=slab -e auto p") == STATUS_READ && o->slab_threshold > 0 &&
			o->slab_threshold < UINT64_MAX,
		"the last engine counts");
	tap__ok(parse("--regions stack p") == STATUS_READ && o->regions == REGION_STACK,
		"one region");
	tap__ok(parse("--regions bss,data,bss p") == STATUS_READ &&
			o->regions == (REGION_BSS | REGION_DATA),
		"a region named twice");
	tap__ok(parse("--restore-path bpf p") == STATUS_READ && o->restore_path == RESTORE_BPF,
		"restore path bpf");
	tap__ok(parse("--restore-path process_vm p") == STATUS_READ &&
			o->restore_path == RESTORE_PROCESS_VM,
		"restore path process_vm");
	tap__ok(parse("--stats p") == STATUS_READ && o->stats, "a long summary");
	tap__ok(parse("-v p") == STATUS_READ && o->stats, "a long summary with -v");
	tap__ok(parse("-v -q p") == STATUS_READ && !o->stats && o->verbosity == LOG_LEVEL_QUIET,
		"the last of -v and -q counts");
	tap__ok(parse("--restore all p") == STATUS_READ && o->restore_all, "restore all");
	tap__ok(parse("p") == STATUS_READ && o->dirty_way == DIRTY_AUTO, "dirty auto");
	tap__ok(parse("--dirty soft p") == STATUS_READ && o->dirty_way == DIRTY_SOFT, "dirty soft");
	tap__ok(parse("--dirty compare -e page p") == STATUS_READ && o->dirty_way == DIRTY_COMPARE,
		"dirty compare");
	tap__ok(parse("--restore all --restore diff p") == STATUS_READ && !o->restore_all,
		"restore diff");
	tap__ok(parse("-o a -u b --map-log c --control-dir d --save e p") == STATUS_READ &&
			o->output && o->user && o->map_log && o->save && shared->program_at == 11,
		"words that are not looked into");
}

static void test_numbers(void)
{
	static const char *const options[] = {"--max-chunks", "--ready-chunks"};
	static const char *const numbers[] = {
		"0",  "-1",  "10abc", "abc", "~", "67108865", "18446744073709551617",
		"+5", "1.5", "4K",    "0x",
	};
	char line[64];

	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof(numbers) / sizeof(*numbers); j++) {
			(void)snprintf(line, sizeof(line), "%s %s p", options[i], numbers[j]);
			test_wrong(line, options[i]);
		}
	}
}

static void test_mistakes(void)
{
	char line[128];

	test_wrong("", "no PROGRAM");
	test_wrong("-v", "no PROGRAM");
	test_wrong("--", "no PROGRAM");
	test_wrong("--no-such-option p", "no-such-option");
	test_wrong("-x p", "x");
	test_wrong("--output", "output");
	test_wrong("--quiet=yes p", "quiet");
	test_wrong("--engine disk p", "'disk' is none of auto, chunk, slab, page");
	test_wrong("--engine aut p", "'aut'");
	test_wrong("--engine ~ p", "--engine");
	test_wrong("--pages-per-poll 7 p", "--engine page");
	test_wrong("-e page --pages-per-poll 0 p", "1024");
	test_wrong("-e page --pages-per-poll 1025 p", "1024");
	test_wrong("--restore some p", "'some' is none of diff, all");
	test_wrong("--restore all -e chunk p", "--engine chunk");
	test_wrong("--dirty guess p", "'guess' is none of auto, faults, scan, soft, compare");
	test_wrong("--dirty scan -e chunk p", "--engine chunk");
	test_wrong("-e page --restore all p", "--engine page");
	test_wrong("-e chunk --verify p", "--engine chunk");
	test_wrong("--restore-path bpf2 p", "'bpf2' is none of auto, bpf, process_vm");
	test_wrong("--quiet --stats p", "--quiet");
	test_wrong("--regions ~ p", "--regions");
	test_wrong("--regions mmap, p", "--regions");
	test_wrong("--regions ,mmap p", "--regions");
	test_wrong("--regions mmap,,heap p", "--regions");
	test_wrong("--regions mmap,text,heap p", "'text'");
	test_wrong("--regions mma p", "'mma'");
	test_wrong("--regions heaps p", "'heaps'");
	test_wrong("--wait name p", "'p'");
	test_wrong("--wait name --user root", "--user");
	test_wrong("--wait ~", "--wait");
	test_wrong("--wait /bin/true", "/bin/true");
	(void)snprintf(line, sizeof(line), "--wait %063d", 0);
	test_wrong(line, "62");
	line[strlen(line) - 1] = '\0';
	tap__equal(parse(line), STATUS_READ, "a name of 62 bytes is good");
}

static void test_help(void)
{
	tap__ok(parse("--help") == 0 && !*err_text && strstr(out_text, "--max-chunks"), "--help");
	tap__ok(parse("-h -x") == 0 && !*err_text && strstr(out_text, "Exit status"), "-h");
	tap__ok(parse("--version") == 0 && !*err_text, "--version");
	tap__equal_string(out_text, "tracer " TRACER_VERSION "\n", "the version");
	tap__ok(parse("-V") == 0 && !*err_text && strstr(out_text, TRACER_VERSION), "-V");
	tap__equal(parse("p --help"), STATUS_READ, "--help of the program");
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	tap__plan(118);
	test_regions_name();
	test_defaults();
	test_program();
	test_process();
	test_values();
	test_numbers();
	test_mistakes();
	test_help();
	(void)munmap(shared, sizeof(*shared));
	return tap__done();
}
