/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See text.h.
 */
#include "base/text.h"

#include <stdbool.h>
#include <time.h>

enum { INVALID = 0x7fffffff };

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

/* The next character of a NUL-terminated string of UTF-8, and *at moves behind it. 0 at the end,
 * where *at stays; INVALID for a byte that begins no character (RFC 3629), one at a time. */
static uint32_t next(const char **at)
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
			return INVALID;
		value = value << 6 | (from[i] & 0x3f);
	}
	if (more < 0 || value < least[more] || value > 0x10ffff ||
	    (value >= 0xd800 && value < 0xe000))
		return INVALID;
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

	for (uint32_t c; (c = next(&at)) != 0; from = at) {
		if (from - text >= TEXT_MAX) {
			(void)fputs("...", out);
			return;
		}
		if (c == INVALID || is_control(c))
			(void)fputc('?', out);
		else
			(void)fwrite(from, 1, (size_t)(at - from), out);
	}
}

void text__put_json(FILE *out, const char *text)
{
	const char *at = text, *from = text;

	for (uint32_t c; (c = next(&at)) != 0; from = at) {
		if (from - text >= TEXT_MAX) {
			(void)fputs("...", out);
			return;
		}
		if (c == INVALID)
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
