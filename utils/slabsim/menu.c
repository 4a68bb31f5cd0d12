/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The menu. A line is read as a whole; a wrong one is explained, and asked for again. The end
 * of input ends the menu at any question.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actions.h"
#include "base/parse.h"
#include "errors.h"
#include "menu.h"

struct menu {
	struct simulation *simulation;
	uint64_t seed;
	char *line;
	size_t room;
	int err;
	bool ended; /* end of input, or the user wants to leave */
};

/* Replaces control characters, which must not reach the terminal. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* Asks, and returns the answer without blanks around it; NULL at the end of input. Valid until the
 * next question. */
static char *ask(struct menu *menu, const char *question)
{
	ssize_t length;
	char *start;

	(void)fputs(question, stdout);
	if (fflush(stdout)) {
		menu->ended = true;
		return NULL;
	}
	errno = 0;
	length = getline(&menu->line, &menu->room, stdin);
	if (length < 0) {
		if (ferror(stdin) || errno)
			menu->err = errno ? -errno : -EIO;
		menu->ended = true;
		(void)printf("\n");
		return NULL;
	}
	if (strlen(menu->line) < (size_t)length)
		menu->line[0] = '?'; /* a line with a NUL is no valid answer */
	start = menu->line + strspn(menu->line, " \t\r\n");
	for (char *end = start + strlen(start); end > start && strchr(" \t\r\n", end[-1]);)
		*--end = '\0';
	clean(start);
	return start;
}

/* Asks until the answer is a number, or empty for `otherwise`. 0, or -1 at the end of input. */
static int ask_number(struct menu *menu, const char *question, uint64_t least, uint64_t most,
		      uint64_t otherwise, uint64_t *ret_value)
{
	for (;;) {
		const char *answer = ask(menu, question);

		if (!answer)
			return -1;
		if (!*answer) {
			*ret_value = otherwise;
			return 0;
		}
		if (!parse__u64(answer, least, most, ret_value))
			return 0;
		(void)printf("'%.60s' is not a number from %" PRIu64 " to %" PRIu64 "\n", answer,
			     least, most);
	}
}

static void allocate(struct menu *menu)
{
	uint64_t count;

	if (!ask_number(menu, "how many (Enter for 1)? ", 1, MOST_OBJECTS, 1, &count))
		(void)actions__allocate(menu->simulation, count);
}

static void deallocate(struct menu *menu)
{
	const char *answer = ask(menu, "the number of an object, 'all', or an address after 0x: ");

	if (answer && *answer)
		(void)actions__deallocate(menu->simulation, answer);
}

static void status(struct menu *menu)
{
	(void)actions__status(menu->simulation);
}

static void run(struct menu *menu)
{
	uint64_t operations, seed;
	char question[80];

	if (ask_number(menu, "how many operations (Enter for 100)? ", 1, MOST_OPERATIONS, 100,
		       &operations))
		return;
	(void)snprintf(question, sizeof(question), "seed (Enter for %" PRIu64 ")? ", menu->seed);
	if (ask_number(menu, question, 0, UINT64_MAX, menu->seed, &seed))
		return;
	menu->seed = seed + 1;
	(void)actions__run(menu->simulation, operations, seed, (operations + 3) / 4);
}

static void explain(struct menu *menu)
{
	const char *answer;

	(void)printf("errors: ");
	errors__print_names(stdout, ", ");
	(void)printf("\n");
	answer = ask(menu, "which one (Enter for all)? ");
	if (!answer)
		return;
	if (*answer && !errors__is_name(answer))
		(void)printf("there is no error '%.60s'\n", answer);
	else
		(void)actions__explain(*answer ? answer : "all");
}

static void leave(struct menu *menu)
{
	menu->ended = true;
}

static const struct {
	const char *title;
	void (*choose)(struct menu *menu);
} choices[] = {
	{"allocate objects", allocate},
	{"deallocate an object", deallocate},
	{"show the status", status},
	{"run a simulation of operations", run},
	{"provoke and explain the errors", explain},
	{"exit", leave},
};

enum { CHOICES = sizeof(choices) / sizeof(*choices) };

int menu__run(struct simulation *simulation, uint64_t seed)
{
	struct menu menu = {.simulation = simulation, .seed = seed};

	while (!menu.ended) {
		const char *answer;
		uint64_t number;

		(void)printf("\n");
		for (unsigned int i = 0; i < CHOICES; i++)
			(void)printf("  %u  %s\n", i + 1, choices[i].title);
		answer = ask(&menu, "> ");
		if (!answer || !*answer)
			continue;
		if (parse__u64(answer, 1, CHOICES, &number))
			(void)printf("'%.60s' is not a choice: type a number from 1 to %d\n",
				     answer, CHOICES);
		else
			choices[number - 1].choose(&menu);
	}
	free(menu.line);
	return menu.err;
}
