/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See text.h.
 */
#include "readckpt/text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "image/image.h"

/* How many bytes follow the first, and the bits of it that count; -1: none begins like this. */
static int begin(unsigned char byte, uint32_t *ret_bits)
{
	static const struct {
		unsigned char mask, value;
	} kinds[] = {{0x80, 0x00}, {0xe0, 0xc0}, {0xf0, 0xe0}, {0xf8, 0xf0}};

	for (int i = 0; i < 4; i++) {
		if ((byte & kinds[i].mask) == kinds[i].value) {
			*ret_bits = byte & (unsigned char)~kinds[i].mask;
			return i;
		}
	}
	return -1;
}

uint32_t text__next(const char **at)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* shorter forms are forbidden */
	const unsigned char *from = (const unsigned char *)*at;
	uint32_t value = 0;
	int more;

	if (!*from)
		return 0;
	++*at;
	more = begin(*from, &value);
	for (int i = 1; i <= more; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return TEXT_INVALID;
		value = value << 6 | (from[i] & 0x3f);
	}
	if (more < 0 || value < least[more] || value > 0x10ffff ||
	    (value >= 0xd800 && value < 0xe000))
		return TEXT_INVALID;
	*at += more;
	return value;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

void text__put(FILE *out, const char *text)
{
	const char *at = text, *from = text;

	for (uint32_t c; (c = text__next(&at)) != 0; from = at) {
		if (from - text >= TEXT_MAX) {
			(void)fputs("...", out);
			return;
		}
		if (c == TEXT_INVALID || is_control(c))
			(void)fputc('?', out);
		else
			(void)fwrite(from, 1, (size_t)(at - from), out);
	}
}

void text__put_json(FILE *out, const char *text)
{
	const char *at = text, *from = text;

	for (uint32_t c; (c = text__next(&at)) != 0; from = at) {
		if (from - text >= TEXT_MAX) {
			(void)fputs("...", out);
			return;
		}
		if (c == TEXT_INVALID)
			(void)fputs("\\ufffd", out);
		else if (is_control(c))
			(void)fprintf(out, "\\u%04x", (unsigned int)c);
		else if (c == '"' || c == '\\')
			(void)fprintf(out, "\\%c", (int)c);
		else
			(void)fwrite(from, 1, (size_t)(at - from), out);
	}
}

const char *text__size(uint64_t bytes, char *buffer)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1024 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		(void)snprintf(buffer, TEXT_SIZE_BYTES, "%llu B", (unsigned long long)bytes);
	else
		(void)snprintf(buffer, TEXT_SIZE_BYTES, "%.*f %s", value < 100, value, units[unit]);
	return buffer;
}

const char *text__time(uint64_t ns, char *buffer)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(buffer, TEXT_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		buffer[0] = '\0';
	return buffer;
}

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
		{IMAGE_SCRATCH, "workspace"}, {IMAGE_STACK, "stack"}, {IMAGE_HEAP, "heap"},
		{IMAGE_VDSO, "vdso"},         {IMAGE_VVAR, "vvar"},   {IMAGE_VSYSCALL, "vsyscall"},
		{IMAGE_DELETED, "deleted"},   {IMAGE_FILE, "file"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (flags & kinds[i].flag)
			return kinds[i].name;
	}
	return "anonymous";
}

/* In the order of the bits IMAGE_MISSING_... */
static const struct {
	const char *key, *text;
} missing[] = {
	{"pages", "pages that could not be read"},
	{"files", "open files that are not plain files"},
	{"deleted", "open plain files that have no name any more"},
	{"children", "child processes"},
	{"pending", "signals that were pending"},
	{"timers", "timers"},
	{"regions", "regions that were not asked for"},
	{"sharing", "who else has the shared memory"},
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
