/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of environment and settings: defaults, each variable at and beyond its limits, and the
 * path that CKPT_FILE gives.
 */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/environment.h"
#include "folder.h"
#include "tap.h"

static struct settings settings;
static char message[SETTINGS_MESSAGE_BYTES];

/* Reads the environment with one variable in it, or none. */
static int read_one(const char *name, const char *value)
{
	int err;

	must(clearenv() || (name && setenv(name, value, 1)));
	memset(&settings, 0x55, sizeof(settings));
	message[0] = '\0';
	err = environment__read(&settings, message);
	return err;
}

static void test_nothing(void)
{
	tap__equal(read_one(NULL, NULL), 0, "an empty environment is right");
	tap__equal_string(settings.path, folder__path("myckpt"),
			  "the file is myckpt in the current folder");
	tap__equal(settings.signal, SIGUSR2, "the signal is SIGUSR2");
	tap__equal(settings.keep, 1, "one image is kept");
	tap__ok(settings.interval_ns == 0 && !settings.restart_signal && !settings.incremental &&
			!settings.fork && !settings.verbose,
		"everything else is off");
	tap__equal(read_one("CKPT_KEEP", ""), 0, "an empty variable is as none");
	tap__equal(settings.keep, 1, "and has the same value");
}

static void test_right_values(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} intervals[] = {
		{"1", 1000000000},    {"5s", 5000000000},
		{"250ms", 250000000}, {"31536000", 31536000000000000},
		{"1ms", 1000000},
	};

	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		int err = read_one("CKPT_INTERVAL", intervals[i].text);

		tap__ok(!err && settings.interval_ns == intervals[i].ns, "CKPT_INTERVAL=%s",
			intervals[i].text);
	}
	tap__ok(!read_one("CKPT_SIGNAL", "40") && settings.signal == 40, "CKPT_SIGNAL=40");
	tap__ok(!read_one("CKPT_RESTART_SIGNAL", "10") && settings.restart_signal == 10,
		"CKPT_RESTART_SIGNAL=10");
	tap__ok(!read_one("CKPT_KEEP", "1000") && settings.keep == 1000, "CKPT_KEEP=1000");
	tap__ok(!read_one("CKPT_FORK", "1") && settings.fork == 1, "CKPT_FORK=1");
	tap__ok(!read_one("CKPT_VERBOSE", "1") && settings.verbose == 1, "CKPT_VERBOSE=1");
	tap__ok(!read_one("CKPT_INCREMENTAL", "0") && settings.incremental == 0,
		"CKPT_INCREMENTAL=0");
}

/* 32 and 33 are the C library's. */
static void test_wrong_values(void)
{
	static const char *const wrong[][2] = {
		{"CKPT_SIGNAL", "0"},
		{"CKPT_SIGNAL", "9"},
		{"CKPT_SIGNAL", "19"},
		{"CKPT_SIGNAL", "11"},
		{"CKPT_SIGNAL", "17"},
		{"CKPT_SIGNAL", "32"},
		{"CKPT_SIGNAL", "33"},
		{"CKPT_SIGNAL", "65"},
		{"CKPT_SIGNAL", "USR1"},
		{"CKPT_RESTART_SIGNAL", "9"},
		{"CKPT_RESTART_SIGNAL", "12"}, /* which is CKPT_SIGNAL */
		{"CKPT_RESTART_SIGNAL", "x"},
		{"CKPT_INTERVAL", "0"},
		{"CKPT_INTERVAL", "s"},
		{"CKPT_INTERVAL", "5m"},
		{"CKPT_INTERVAL", "-1"},
		{"CKPT_INTERVAL", "5 s"},
		{"CKPT_INTERVAL", "1.5"},
		{"CKPT_INTERVAL", "31536001"},
		{"CKPT_KEEP", "0"},
		{"CKPT_KEEP", "1001"},
		{"CKPT_KEEP", "2x"},
		{"CKPT_INCREMENTAL", "2"},
		{"CKPT_INCREMENTAL", "yes"},
		{"CKPT_FORK", "-1"},
		{"CKPT_VERBOSE", "01 "},
		{"CKPT_INTERVAL", "1000000000000000000000000000000000000"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int err = read_one(wrong[i][0], wrong[i][1]);

		tap__ok(err < 0 && strncmp(message, wrong[i][0], strlen(wrong[i][0])) == 0 &&
				settings.signal == SIGUSR2,
			"%s=%s is refused by name, and the signal can be used", wrong[i][0],
			wrong[i][1]);
	}
}

static void test_paths(void)
{
	char longest[PATH_MAX + 23];

	tap__ok(!read_one("CKPT_FILE", "/a%b%%/%p.%p") && settings.folder_bytes == 0,
		"an absolute path with numbers");
	settings__set_pid(&settings, 2301);
	tap__equal_string(settings.path, "/a%b%%/2301.2301", "each is replaced");
	settings__set_pid(&settings, 4194304);
	tap__equal_string(settings.path, "/a%b%%/4194304.4194304", "again, by a longer one");
	must(mkdir("%p", 0700) || chdir("%p"));
	tap__equal(read_one("CKPT_FILE", "x%"), 0, "a folder of the name %%p");
	tap__equal_string(settings.path, folder__path("%p/x%"), "is nothing special");
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[PATH_MAX] = '\0';
	tap__equal(read_one("CKPT_FILE", longest), -ENAMETOOLONG, "one byte too many");
	longest[PATH_MAX - 1] = '\0';
	tap__equal(read_one("CKPT_FILE", longest), 0, "the longest path");
	memcpy(longest + 1, "%p", 2);
	tap__equal(read_one("CKPT_FILE", longest), -ENAMETOOLONG, "no room for a long number");
	longest[PATH_MAX - 6] = '\0';
	tap__equal(read_one("CKPT_FILE", longest), 0, "just enough of it");
	settings__set_pid(&settings, 4194304);
	tap__equal(strlen(settings.path), PATH_MAX - 1, "and it is used");
}

int main(void)
{
	tap__plan(55);
	folder__enter("settings");
	test_nothing();
	test_right_values();
	test_wrong_values();
	test_paths();
	folder__remove();
	return tap__done();
}
