/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of reasons: each has a text of its own, and an errno keeps its meaning.
 */
#include <errno.h>
#include <string.h>
#include "base/procfs_reason.h"
#include "image/image_reason.h"
#include "target/reason.h"
#include "tap.h"

/* Counts the reasons without a text, or with that of another. */
static int count_unclear(void)
{
	int unclear = 0;

	for (int reason = REASON_TRACED; reason < REASONS_END; reason++) {
		const char *text = reason__text(-reason);

		if (!text) {
			unclear++;
			continue;
		}
		for (int other = REASON_TRACED; other < reason; other++)
			unclear += !strcmp(text, reason__text(-other));
	}
	return unclear;
}

int main(void)
{
	tap__plan(7);
	tap__equal(count_unclear(), 0, "each reason has a text of its own");
	tap__equal_string(reason__text(-EPERM), "Operation not permitted",
			  "EPERM says nothing about who traces the target");
	tap__equal_string(reason__text(-E2BIG), "Argument list too long", "an errno is an errno");
	tap__equal_string(reason__text(-ESRCH), "the target has ended", "no such process");
	tap__equal_string(reason__text(-IMAGE_MANY_SEGMENTS),
			  "there would be more segments than 60000", "a reason of an image");
	tap__equal_string(reason__text(-PROCFS_MALFORMED),
			  "a file of /proc has a line that proc(5) does not know",
			  "a reason of /proc");
	tap__ok(strstr(reason__text(-REASONS_END), "unknown") != NULL, "no such reason");
	return tap__done();
}
