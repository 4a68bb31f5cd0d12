/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See text.h.
 */
#include "readckpt/text.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "image/image.h"

const char *text__permissions(uint32_t flags, char *buffer)
{
	buffer[0] = flags & IMAGE_READ ? 'r' : '-';
	buffer[1] = flags & IMAGE_WRITE ? 'w' : '-';
	buffer[2] = flags & IMAGE_EXEC ? 'x' : '-';
	buffer[3] = flags & IMAGE_SHARED ? 's' : 'p';
	buffer[4] = '\0';
	return buffer;
}

const char *text__kind(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} kinds[] = {
		{IMAGE_ARENA, "arena"},     {IMAGE_STACK, "stack"}, {IMAGE_HEAP, "heap"},
		{IMAGE_VDSO, "vdso"},       {IMAGE_VVAR, "vvar"},   {IMAGE_VSYSCALL, "vsyscall"},
		{IMAGE_DELETED, "deleted"}, {IMAGE_FILE, "file"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (flags & kinds[i].flag)
			return kinds[i].name;
	}
	return "anonymous";
}

const char *text__advice(uint32_t advice, char *buffer)
{
	/* In the order of the bits IMAGE_ADVICE_... */
	static const char *const names[] = {
		"grows down", "wipe on fork",  "not for children", "not for core files",
		"huge pages", "no huge pages", "mergeable",        "random access",
		"sequential", "locked",        "locked on use",    "sealed",
	};
	char *at = buffer;

	_Static_assert(1 << sizeof(names) / sizeof(names[0]) == IMAGE_ADVICE_BITS + 1, "all");
	*at = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(advice & 1u << i))
			continue;
		if (at > buffer)
			at = stpcpy(at, ", "); /* NOLINT: all names fit */
		at = stpcpy(at, names[i]);     /* NOLINT: all names fit */
	}
	return buffer;
}

/* In the order of the bits IMAGE_MISSING_... */
static const struct {
	const char *key, *text;
} missing[] = {
	{"pages", "pages that could not be read"},
	{"files", "open files that are not plain files"},
	{"deleted", "open plain files without a name"},
	{"children", "child processes"},
	{"pending", "pending signals"},
	{"timers", "timers"},
	{"mappings", "mappings that were not asked for"},
	{"sharing", "other processes that share memory"},
	{"namespaces", "namespaces of single threads"},
};
_Static_assert(1 << sizeof(missing) / sizeof(missing[0]) == IMAGE_MISSING_BITS + 1, "all of them");

const char *text__missing_key(unsigned int bit)
{
	return bit < sizeof(missing) / sizeof(missing[0]) ? missing[bit].key : NULL;
}

const char *text__missing(unsigned int bit)
{
	return bit < sizeof(missing) / sizeof(missing[0]) ? missing[bit].text : NULL;
}

const char *text__signal(int number, char *buffer)
{
	const char *name = sigabbrev_np(number);

	if (name)
		(void)snprintf(buffer, TEXT_SIGNAL_BYTES, "%s", name);
	else if (number >= SIGRTMIN && number <= SIGRTMAX)
		(void)snprintf(buffer, TEXT_SIGNAL_BYTES, "RTMIN+%d", number - SIGRTMIN);
	else
		return NULL;
	return buffer;
}

const char *text__limit(int resource)
{
	static const char *const names[IMAGE_LIMITS] = {
		"CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
		"MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
	};

	return names[resource];
}

const char *text__policy(uint32_t policy)
{
	static const char *const names[] = {"OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE"};

	policy &= ~(uint32_t)SCHED_RESET_ON_FORK;
	return policy < sizeof(names) / sizeof(names[0]) ? names[policy] : "other";
}

const char *text__open_flags(uint32_t flags, char *buffer)
{
	static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "3"};
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		/* those of more than one bit first */
		{O_SYNC, "O_SYNC"},         {O_TMPFILE, "O_TMPFILE"}, {O_APPEND, "O_APPEND"},
		{O_NONBLOCK, "O_NONBLOCK"}, {O_CLOEXEC, "O_CLOEXEC"}, {O_DIRECTORY, "O_DIRECTORY"},
		{O_PATH, "O_PATH"},         {O_DIRECT, "O_DIRECT"},   {O_DSYNC, "O_DSYNC"},
		{O_NOATIME, "O_NOATIME"},   {O_NOCTTY, "O_NOCTTY"},   {O_NOFOLLOW, "O_NOFOLLOW"},
		{O_ASYNC, "O_ASYNC"},       {0100000, "O_LARGEFILE"},
	};
	uint32_t left = flags & ~(uint32_t)O_ACCMODE;
	char *at = stpcpy(buffer, access[flags & O_ACCMODE]); /* NOLINT: all names fit */

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((left & names[i].flag) != names[i].flag)
			continue;
		left &= ~names[i].flag;
		*at++ = '|';
		at = stpcpy(at, names[i].name); /* NOLINT: all names fit */
	}
	if (left)
		(void)snprintf(at, 16, "|0%o", left);
	return buffer;
}
