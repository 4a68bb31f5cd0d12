/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See preload/environment.h.
 */
#include "preload/environment.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

#define DEFAULT_FILE   "myckpt"
#define DEFAULT_SIGNAL SIGUSR2
#define NSEC_PER_SEC   1000000000ULL

enum {
	INTERNAL_SIGNALS = 2, /* of the C library, below SIGRTMIN */
	INTERVAL_MAX_S = 31536000,
};

/* 0 or 1; unset or empty is 0. */
static int read_switch(const char *name, bool *ret_switch, char *message)
{
	const char *text = getenv(name);
	uint64_t value = 0;
	int err = 0;

	if (text && *text)
		err = parse__u64(text, 0, 1, &value);
	if (err)
		(void)snprintf(message, SETTINGS_MESSAGE_BYTES, "%s must be 0 or 1, not '%.64s'",
			       name, text);
	*ret_switch = value == 1;
	return err;
}

/* Leaves *value as it is if the variable is not set. */
static int read_number(const char *name, uint64_t min, uint64_t max, uint64_t *value, char *message)
{
	const char *text = getenv(name);
	int err;

	if (!text || !*text)
		return 0;
	err = parse__u64(text, min, max, value);
	if (err)
		(void)snprintf(message, SETTINGS_MESSAGE_BYTES,
			       "%s must be a number from %llu to %llu, not '%.64s'", name,
			       (unsigned long long)min, (unsigned long long)max, text);
	return err;
}

/* After an image the program goes on where it was: after a signal for a fault, it would fault
 * again, write another image, and so on. SIGCHLD comes whenever a child ends. */
static bool is_usable(uint64_t signal)
{
	static const int bad[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE,
				  SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, SIGCHLD};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (signal == (uint64_t)bad[i])
			return false;
	}
	return signal < (uint64_t)SIGRTMIN - INTERNAL_SIGNALS || signal >= (uint64_t)SIGRTMIN;
}

/* Leaves *ret_signal as it is if the variable is not set, or wrong. */
static int read_signal(const char *name, int *ret_signal, char *message)
{
	uint64_t value = (uint64_t)*ret_signal;
	int err = read_number(name, 1, (uint64_t)SIGRTMAX, &value, message);

	if (err || value == 0)
		return err;
	if (!is_usable(value)) {
		(void)snprintf(message, SETTINGS_MESSAGE_BYTES,
			       "%s must be a signal that can be handled and that neither faults "
			       "nor children make, not %llu",
			       name, (unsigned long long)value);
		return -EINVAL;
	}
	*ret_signal = (int)value;
	return 0;
}

static int read_signals(struct settings *s, char *message)
{
	int err;

	s->signal = DEFAULT_SIGNAL;
	err = read_signal("CKPT_SIGNAL", &s->signal, message);
	if (err)
		return err;
	err = read_signal("CKPT_RESTART_SIGNAL", &s->restart_signal, message);
	if (!err && s->restart_signal == s->signal) {
		(void)snprintf(message, SETTINGS_MESSAGE_BYTES,
			       "CKPT_RESTART_SIGNAL must be another signal than CKPT_SIGNAL (%d)",
			       s->signal);
		err = -EINVAL;
	}
	return err;
}

/* "5s", "5", "250ms" */
static int read_interval(uint64_t *ret_ns, char *message)
{
	const char *text = getenv("CKPT_INTERVAL");
	uint64_t unit = NSEC_PER_SEC, value;
	char digits[24];
	size_t length;

	*ret_ns = 0;
	if (!text || !*text)
		return 0;
	length = strspn(text, "0123456789");
	if (strcmp(text + length, "ms") == 0)
		unit = NSEC_PER_SEC / 1000;
	else if (text[length] && strcmp(text + length, "s") != 0)
		length = sizeof(digits);
	if (length < sizeof(digits)) {
		memcpy(digits, text, length);
		digits[length] = '\0';
		if (parse__u64(digits, 1, INTERVAL_MAX_S, &value) == 0) {
			*ret_ns = value * unit;
			return 0;
		}
	}
	(void)snprintf(
		message, SETTINGS_MESSAGE_BYTES,
		"CKPT_INTERVAL must be seconds (5s) or milliseconds (250ms), from 1 to %d, not "
		"'%.64s'",
		INTERVAL_MAX_S, text);
	return -EINVAL;
}

/* The program may change its folder later, so the path is made absolute now. */
static int read_folder(struct settings *s, char *message)
{
	int err;

	if (!getcwd(s->pattern, sizeof(s->pattern))) {
		err = -errno;
		(void)snprintf(
			message, SETTINGS_MESSAGE_BYTES,
			"the current folder has no path (%s); give CKPT_FILE an absolute one",
			strerror(-err));
		return err;
	}
	s->folder_bytes = strlen(s->pattern);
	if (s->folder_bytes > 1 && s->folder_bytes < sizeof(s->pattern))
		s->pattern[s->folder_bytes++] = '/';
	return 0;
}

/* By how many bytes the path is longer than text, at most, because of its %p. */
static size_t longer_by(const char *text)
{
	size_t bytes = 0;

	while ((text = strstr(text, "%p"))) {
		text += 2;
		bytes += SETTINGS_PID_DIGITS - 2;
	}
	return bytes;
}

static int read_path(struct settings *s, char *message)
{
	const char *text = getenv("CKPT_FILE");
	int err = 0;

	s->folder_bytes = 0;
	if (!text || !*text)
		text = DEFAULT_FILE;
	if (*text != '/')
		err = read_folder(s, message);
	if (err)
		return err;
	if (s->folder_bytes + strlen(text) + longer_by(text) >= PATH_MAX) {
		(void)snprintf(message, SETTINGS_MESSAGE_BYTES, "CKPT_FILE is too long");
		return -ENAMETOOLONG;
	}
	memcpy(s->pattern + s->folder_bytes, text, strlen(text) + 1);
	settings__set_pid(s, getpid());
	return 0;
}

int environment__read(struct settings *s, char *message)
{
	uint64_t keep = 1;
	int err;

	memset(s, 0, sizeof(*s));
	err = read_signals(s, message);
	if (err)
		goto out;
	err = read_path(s, message);
	if (err)
		goto out;
	err = read_interval(&s->interval_ns, message);
	if (err)
		goto out;
	err = read_number("CKPT_KEEP", 1, SETTINGS_KEEP_MAX, &keep, message);
	if (err)
		goto out;
	s->keep = (unsigned int)keep;
	err = read_switch("CKPT_INCREMENTAL", &s->incremental, message);
	if (err)
		goto out;
	err = read_switch("CKPT_FORK", &s->fork, message);
	if (err)
		goto out;
	err = read_switch("CKPT_VERBOSE", &s->verbose, message);
out:
	return err;
}
