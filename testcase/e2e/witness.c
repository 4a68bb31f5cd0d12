/* SPDX-License-Identifier: BSD-2-Clause
 *
 * witness: compares the whole state of a process with what it was (outside.h). It takes lines of a
 * word and the number of the process from stdin, and answers each with a line:
 *	stop		job control stops the process
 *	look		keeps its state
 *	compare		"same", or the first difference
 *	go		the process runs on
 */
#include <signal.h>
#include <stdbool.h>
#include "../limit.h"
#include "outside.h"

enum { NAP_US = 1000, NAPS = LIMIT_SECONDS * 1000 };

/* Are all threads stopped? A first thread that has ended is no obstacle. */
static bool is_stopped(pid_t pid)
{
	struct procfs_fields fields;
	pid_t *tids = NULL;
	size_t count = 0;
	bool all = true;
	char name[40];

	outside__need(!procfs__threads(pid, &tids, &count), "threads");
	for (size_t i = 0; i < count && all; i++) {
		(void)snprintf(name, sizeof(name), "task/%d/stat", tids[i]);
		all = procfs__fields(pid, name, &fields) || fields.items[3] == 'T' ||
		      fields.items[3] == 'Z';
	}
	free(tids);
	return all;
}

/* The signal is sent again: SIGCONT just after a tracer has let go of a stopped process may have no
 * effect. */
static void change(pid_t pid, int number, bool stopped)
{
	for (int i = 0; i < NAPS; i++) {
		if (i % 100 == 0)
			outside__need(!kill(pid, number), "kill");
		if (is_stopped(pid) == stopped)
			return;
		(void)usleep(NAP_US);
	}
	outside__need(0, "it does not stop, or go on");
}

int main(void)
{
	struct outside *before = NULL, *now;
	char word[16], text[256];
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%15s %d", word, &pid) == 2) {
		(void)snprintf(text, sizeof(text), "%s", word);
		if (!strcmp(word, "stop")) {
			change(pid, SIGSTOP, true);
		} else if (!strcmp(word, "go")) {
			change(pid, SIGCONT, false);
		} else if (!strcmp(word, "look")) {
			if (before)
				outside__free(before);
			before = outside__look(pid);
		} else if (!strcmp(word, "compare") && before) {
			now = outside__look(pid);
			if (outside__is_same(before, now, text, sizeof(text)))
				(void)snprintf(text, sizeof(text), "same");
			outside__free(now);
		} else {
			return 2;
		}
		(void)printf("%s\n", text);
	}
	if (before)
		outside__free(before);
	return 0;
}
