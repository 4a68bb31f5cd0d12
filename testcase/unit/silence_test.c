/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the watch over a target that asks and does not poll. The operation is made up; there is
 * no target. Needs root, for the control files.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "folder.h"
#include "operation/silence.h"
#include "talk.h"
#include "tap.h"

enum { SECOND_NS = 1000000000, TESTS = 6 };

#define LATER_NS (1000UL * SECOND_NS) /* however slow this is, the request is new */

static struct state state;
static struct target target = {.pid = 23};
static struct reply reply = {.state = &state, .target = &target};
static struct silence silence = {.state = &state, .reply = &reply};

static const char *watch(void)
{
	talk__listen();
	silence__watch(&silence);
	return talk__hear();
}

/* The same after many looks. */
static const char *watch_on(void)
{
	silence.looked_ns = clock__now_ns();
	silence.silent_ns = 9UL * SECOND_NS;
	return watch();
}

static void ask(uint64_t sequence, uint64_t request_ns)
{
	state.operation.sequence = sequence;
	state.operation.request_ns = request_ns;
	state.operation.phase = PHASE_REQUESTED;
}

static void run_tests(void)
{
	uint64_t now = clock__now_ns();

	if (geteuid() != 0) {
		tap__skip(TESTS, "needs root: the lock of a folder is in /run");
		return;
	}
	must(control__open(folder, &reply.control));
	ask(1, now + LATER_NS);
	tap__ok(!*watch_on(), "a new request whose event was not read yet is not overdue");
	silence.expected_ns = now - 9UL * SECOND_NS;
	ask(2, now + LATER_NS);
	tap__ok(!*watch_on(), "nor is one long after the last");
	silence.expected_ns = silence.looked_ns = 0;
	ask(3, now - 9UL * SECOND_NS);
	tap__ok(!*watch(), "nor is one at the first look: the machine may have stood still");
	tap__ok(strstr(watch_on(), "process 23 asked for a checkpoint but does not poll"),
		"one that nobody polls for is told");
	tap__ok(!*watch_on(), "once");
	silence.expected_ns = 0;
	state.operation.polls = 1;
	ask(4, now - 9UL * SECOND_NS);
	tap__ok(!*watch_on(), "a poll that has just come counts");
	control__free(reply.control);
}

int main(void)
{
	folder__enter("silence_test");
	talk__open();
	tap__plan(TESTS);
	run_tests();
	talk__close();
	folder__remove();
	return tap__done();
}
