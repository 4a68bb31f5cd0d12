/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See starting.h. A tracer is recognised by its name, and by the words that it was started with.
 */
#include "ctl/starting.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/procfs.h"

/* The words of its command line, perhaps cut, each with its NUL; "" behind the last. */
static void read_words(pid_t tracer, char *words, size_t size)
{
	ssize_t bytes = procfs__read(tracer, "cmdline", words, size - 2);

	memset(words + (bytes > 0 ? bytes : 0), 0, 2);
}

/* Does "-p PID", "-pPID", "--pid PID" or "--pid=PID" stand there? Options may be cut short. */
static bool names(const char *words, const char *pid)
{
	const char *before = "";

	for (const char *word = words; *word; before = word, word += strlen(word) + 1) {
		if (!strcmp(word, pid) && (!strcmp(before, "-p") || !strncmp(before, "--p", 3)))
			return true;
		if (!strncmp(word, "-p", 2) && !strcmp(word + 2, pid))
			return true;
		if (!strncmp(word, "--p", 3) && strchr(word, '=') &&
		    !strcmp(strchr(word, '=') + 1, pid))
			return true;
	}
	return false;
}

static bool is_tracer_of(pid_t tracer, pid_t pid, uint64_t parent)
{
	char comm[16], number[16], words[4096];
	const char *first;

	if (tracer == getpid() || procfs__string(tracer, "comm", comm, sizeof(comm)) < 0 ||
	    strcmp(comm, "tracer\n") != 0)
		return false;
	read_words(tracer, words, sizeof(words));
	first = words + strlen(words) + 1;
	if (*words && !strcmp(first, "ctl"))
		return false;
	(void)snprintf(number, sizeof(number), "%d", pid);
	return (uint64_t)tracer == parent || names(words, number);
}

bool starting__is(pid_t pid)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	uint64_t parent = 0, number;
	bool found = false;

	if (!folder)
		return false;
	(void)procfs__status_u64(pid, "PPid", &parent); /* 0: it has none */
	while (!found && (entry = readdir(folder)))
		found = !parse__u64(entry->d_name, 1, INT32_MAX, &number) &&
			is_tracer_of((pid_t)number, pid, parent);
	(void)closedir(folder);
	return found;
}
