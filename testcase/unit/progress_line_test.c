/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of progress_line, which has no C library: when the line is drawn, what it says, and that it
 * is erased.
 */
#include <unistd.h>

#include "become/die.h"
#include "become/progress_line.h"
#include "tap.h"

#define SECOND_NS 1000000000ULL

static int out[2]; /* a pipe */
static char text[256];

/* Returns the text that was written since the last call. */
static const char *said(void)
{
	ssize_t n;

	must(write(out[1], ".", 1) != 1); /* so that there is something to read */
	n = read(out[0], text, sizeof(text) - 1);
	must(n < 1);
	text[n - 1] = '\0';
	return text;
}

int main(void)
{
	struct plan plan = {.piece_count = 23, .shows_progress = true};
	struct progress_line line;

	tap__plan(7);
	must(pipe(out) != 0);
	die__set_fd(out[1]);
	progress_line__begin(&line, &plan);
	line.start_ns += 1000 * SECOND_NS;
	progress_line__step(&line, 11);
	progress_line__end(&line);
	tap__ok(strcmp(said(), "") == 0, "nothing in the first second");
	line.start_ns -= 1002 * SECOND_NS;
	progress_line__step(&line, 11);
	tap__ok(strcmp(said(), "\r\33[Krestart: loading the image: 47 %") == 0, "then the line");
	line.drawn_ns += 1000 * SECOND_NS;
	progress_line__step(&line, 12);
	tap__ok(strcmp(said(), "") == 0, "not again at once");
	line.drawn_ns -= 1001 * SECOND_NS;
	progress_line__step(&line, 23);
	tap__ok(strcmp(said(), "\r\33[Krestart: loading the image: 100 %") == 0, "but later");
	progress_line__end(&line);
	tap__ok(strcmp(said(), "\r\33[K") == 0, "it is erased");
	plan.shows_progress = false;
	progress_line__begin(&line, &plan);
	tap__equal(line.start_ns, 0, "where it is not shown, no clock is read");
	progress_line__step(&line, 11);
	progress_line__end(&line);
	tap__ok(strcmp(said(), "") == 0, "nothing is said");
	return tap__done();
}
