/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See clocks.h. A new namespace has the offsets of the one it was made in. They may be changed
 * until somebody is in it. They are relative to the clocks of the machine, and the caller may be in
 * a namespace already, so the lag is added to what is there.
 * Source: kernel/time/namespace.c of Linux.
 */
#include "restart/clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { SECOND_NS = 1000000000, CLOCKS = 2, TEXT_BYTES = 256 };

struct lag {
	const char *name; /* in timens_offsets */
	uint64_t ns;
};

static uint64_t find_lag(clockid_t id, uint64_t then_ns)
{
	const uint64_t now_ns = clock__read_ns(id);

	return then_ns > now_ns ? then_ns - now_ns : 0;
}

/* Adds the line of a clock to text. offsets: as timens_offsets has them. Returns whether they have
 * that clock. */
static bool add_line(char text[TEXT_BYTES], const char *offsets, const struct lag *lag)
{
	const char *line = strstr(offsets, lag->name);
	const size_t length = strlen(text);
	long long seconds;
	uint64_t ns;
	char *end;

	if (!line)
		return false;
	seconds = strtoll(line + strlen(lag->name), &end, 10);
	ns = (uint64_t)strtol(end, NULL, 10) + lag->ns % SECOND_NS; /* below two seconds */
	seconds += (long long)(lag->ns / SECOND_NS + ns / SECOND_NS);
	(void)snprintf(text + length, TEXT_BYTES - length, "%s %lld %" PRIu64 "\n", lag->name,
		       seconds, ns % SECOND_NS);
	return true;
}

static int fail(struct clocks_failure *ret, enum clocks_reason reason, int err)
{
	*ret = (struct clocks_failure){.reason = err == EPERM ? CLOCKS_NEED_RIGHTS : reason,
				       .err = -err};
	return -err;
}

/* Changes the namespace that was made and has nobody in it. */
static int change_offsets(const struct lag lags[CLOCKS], struct clocks_failure *ret)
{
	char offsets[TEXT_BYTES] = "", text[TEXT_BYTES] = "";
	int fd = open("/proc/self/timens_offsets", O_RDWR | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return fail(ret, CLOCKS_NOT_SUPPORTED, errno);
	if (read(fd, offsets, sizeof(offsets) - 1) < 0) {
		err = fail(ret, CLOCKS_FAILED, errno);
		goto out;
	}
	for (size_t i = 0; i < CLOCKS; i++) {
		if (!add_line(text, offsets, &lags[i])) {
			err = fail(ret, CLOCKS_UNKNOWN, ENOTSUP);
			goto out;
		}
	}
	/* The file takes all lines in one write at its beginning, and no pwrite(2). */
	if (lseek(fd, 0, SEEK_SET) < 0 || write(fd, text, strlen(text)) < 0)
		err = fail(ret, errno == ERANGE ? CLOCKS_OUT_OF_RANGE : CLOCKS_FAILED, errno);
out:
	(void)close(fd);
	return err;
}

static int enter(const char *path, struct clocks_failure *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return fail(ret, CLOCKS_NOT_SUPPORTED, errno);
	if (setns(fd, CLONE_NEWTIME) < 0)
		err = fail(ret, CLOCKS_FAILED, errno);
	(void)close(fd);
	return err;
}

/* unshare(2) copies the namespace for children, not the caller's own. So the caller makes the two
 * the same first. */
static int make_namespace(const struct lag lags[CLOCKS], struct clocks_failure *ret)
{
	static const char own[] = "/proc/self/ns/time";
	struct clocks_failure ignored;
	int err = enter(own, ret);

	if (err)
		return err;
	if (unshare(CLONE_NEWTIME) < 0)
		return fail(ret, CLOCKS_FAILED, errno);
	err = change_offsets(lags, ret);
	if (!err)
		err = enter("/proc/self/ns/time_for_children", ret);
	if (err) /* the caller could start no thread otherwise; it worked before */
		(void)enter(own, &ignored);
	return err;
}

int clocks__carry_on(const struct image_process *process, uint64_t *ret_behind_ns,
		     struct clocks_failure *ret_failure)
{
	const struct lag lags[CLOCKS] = {
		{"monotonic", find_lag(CLOCK_MONOTONIC, process->monotonic_ns)},
		{"boottime", find_lag(CLOCK_BOOTTIME, process->boottime_ns)},
	};

	*ret_behind_ns = lags[0].ns > lags[1].ns ? lags[0].ns : lags[1].ns;
	return *ret_behind_ns ? make_namespace(lags, ret_failure) : 0;
}

const char *clocks__reason_text(enum clocks_reason reason)
{
	static const char *const texts[] = {
		[CLOCKS_NEED_RIGHTS] =
			"as root (CAP_SYS_ADMIN, CAP_SYS_TIME) it gets a clock of its own",
		[CLOCKS_NOT_SUPPORTED] =
			"this kernel has no time namespaces, or /proc is not mounted",
		[CLOCKS_OUT_OF_RANGE] = "no clock of Linux can be so far ahead",
		[CLOCKS_UNKNOWN] = "this kernel shows its clocks in a form that is not known",
		[CLOCKS_FAILED] = "it cannot get a clock of its own",
	};

	return texts[reason];
}
