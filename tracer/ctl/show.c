/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See show.h.
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/text.h"
#include "ctl/json_object.h"
#include "ctl/show_diff.h"

static const char *text_of(const char *answer, const char *name)
{
	static char text[TEXT_MAX];

	(void)json_object__text(answer, name, text, sizeof(text));
	return text;
}

/* "1 thread", "2 threads" */
static void put_count(uint64_t count, const char *what)
{
	(void)printf(", %" PRIu64 " %s%s", count, what, count == 1 ? "" : "s");
}

/* What several commands have in common, without the end of the line. member: its text names the
 * checkpoint or the file. */
static void show_result(const char *answer, const char *what, const char *member)
{
	char size[TEXT_SIZE_BYTES];

	(void)printf("%s %s: ", what, text_of(answer, member));
	(void)printf("%s", text__size(json_object__number_or_0(answer, "bytes"), size));
	put_count(json_object__number_or_0(answer, "pages"), "page");
	put_count(json_object__number_or_0(answer, "threads"), "thread");
	(void)printf(", stopped for %.3f ms",
		     (double)json_object__number_or_0(answer, "stop_ns") / 1e6);
}

static void show_checkpoint(const char *answer)
{
	show_result(answer, "checkpoint", "name");
	(void)printf("\n");
	for (const char *item = json_object__items(answer, "left_alone"); item;
	     item = json_object__next(item))
		log__info("left alone: %s, %" PRIu64 " bytes", text_of(item, "path"),
			  json_object__number_or_0(item, "bytes"));
}

static const char closed[] = "closed by the rollback";

/* One line for all descriptors that the rollback has closed, or one for all others that it has left
 * different. */
static void tell_files(const char *answer, bool were_closed)
{
	const char *what =
		were_closed ? closed : "descriptors are not rolled back, and have changed since";
	char *text = NULL;
	size_t size, count = 0;
	FILE *out = open_memstream(&text, &size);

	for (const char *item = json_object__items(answer, "files"); out && item;
	     item = json_object__next(item)) {
		char state[32], name[256];

		(void)json_object__text(item, "state", state, sizeof(state));
		if (!strcmp(state, closed) != were_closed)
			continue;
		(void)fprintf(out, "%s%" PRIu64, count++ ? ", " : "",
			      json_object__number_or_0(item, "fd"));
		if (!were_closed)
			(void)fprintf(out, " %s", state);
		if (json_object__text(item, "name", name, sizeof(name)))
			(void)fprintf(out, " (%s)", name);
	}
	if (out && count && json_object__number_or_0(answer, "more_files"))
		(void)fprintf(out, " and %" PRIu64 " more",
			      json_object__number_or_0(answer, "more_files"));
	if (out && !fclose(out) && count)
		(were_closed ? log__info : log__warn)("%s: %s", what, text);
	free(text);
}

static void show_rollback(const char *answer)
{
	static const struct {
		const char *name, *what, *how;
	} changes[] = {
		{"ended", "thread", "ended"},
		{"unmapped", "mapping", "taken away"},
		{"mapped", "mapping", "made again"},
	};

	show_result(answer, "rolled back to", "name");
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		uint64_t count = json_object__number_or_0(answer, changes[i].name);

		if (!count)
			continue;
		put_count(count, changes[i].what);
		(void)printf(" %s", changes[i].how);
	}
	(void)printf("\n");
	(void)fflush(stdout);
	tell_files(answer, true);
	tell_files(answer, false);
}

static void show_save(const char *answer)
{
	show_result(answer, "saved", "file");
	(void)printf("\n");
}

static void show_list(const char *answer)
{
	char time[TEXT_TIME_BYTES], size[TEXT_SIZE_BYTES];
	const char *first = json_object__items(answer, "checkpoints"), *item;
	int width = 20; /* of the names */

	for (item = first; item; item = json_object__next(item)) {
		const int length = (int)strlen(text_of(item, "name"));

		width = length > width ? length : width;
	}
	(void)printf("%-*s %-20s %10s %10s %8s\n", width, "NAME", "TIME", "PAGES", "OWN",
		     "THREADS");
	for (item = first; item; item = json_object__next(item))
		(void)printf("%-*s %-20s %10" PRIu64 " %10s %8" PRIu64 "\n", width,
			     text_of(item, "name"),
			     text__time(json_object__number_or_0(item, "time_ns"), time),
			     json_object__number_or_0(item, "pages"),
			     text__size(json_object__number_or_0(item, "own_bytes"), size),
			     json_object__number_or_0(item, "threads"));
}

static void show_status(const char *answer)
{
	char size[TEXT_SIZE_BYTES];

	(void)printf("process:      %" PRIu64 "%s\n", json_object__number_or_0(answer, "pid"),
		     json_object__is_true(answer, "stopped") ? ", stopped: a rollback broke off"
							     : "");
	(void)printf("tracking:     %s\n", text_of(answer, "tracking"));
	(void)printf("checkpoints:  %" PRIu64 ", %s\n",
		     json_object__number_or_0(answer, "checkpoints"),
		     text__size(json_object__number_or_0(answer, "store_bytes"), size));
	(void)printf("rollbacks:    %" PRIu64 "\n", json_object__number_or_0(answer, "rollbacks"));
}

void show__answer(const char *op, const char *answer)
{
	static const struct {
		const char *op;
		void (*show)(const char *answer);
	} ways[] = {
		{"checkpoint", show_checkpoint},
		{"rollback", show_rollback},
		{"diff", show_diff__table},
		{"save", show_save},
		{"list", show_list},
		{"status", show_status},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (!strcmp(ways[i].op, op))
			ways[i].show(answer);
	}
}
