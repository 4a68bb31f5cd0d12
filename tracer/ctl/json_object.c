/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See json_object.h. Always holds: a pointer into the text is NULL, or a value begins there.
 */
#include "ctl/json_object.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 23 };

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at the quote; NULL if it has no end. */
static const char *skip_string(const char *at)
{
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (!*at)
			return NULL;
	}
	return at + 1;
}

/* Behind the value that begins here. Brackets are counted, and not told apart. */
static const char *skip_value(const char *at)
{
	unsigned int depth = 0;

	do {
		at = skip_blanks(at);
		if (*at == '"') {
			at = skip_string(at);
			if (!at)
				return NULL;
		} else if (*at == '{' || *at == '[') {
			if (++depth > DEPTH_MAX)
				return NULL;
			at++;
		} else if (*at == '}' || *at == ']') {
			if (!depth--)
				return NULL;
			at++;
		} else if (depth && (*at == ',' || *at == ':')) {
			at++;
		} else {
			size_t length = strcspn(at, " \t\r\n,:{}[]\"");

			if (!length)
				return NULL;
			at += length;
		}
	} while (depth);
	return at;
}

/* The value of the member of that name. Names in answers have no escapes. */
static const char *find(const char *object, const char *name)
{
	size_t length = strlen(name);
	const char *at = skip_blanks(object);

	if (*at != '{')
		return NULL;
	do {
		bool is_it;

		at = skip_blanks(at + 1);
		if (*at != '"')
			return NULL;
		is_it = !strncmp(at + 1, name, length) && at[length + 1] == '"';
		at = skip_string(at);
		if (!at)
			return NULL;
		at = skip_blanks(at);
		if (*at != ':')
			return NULL;
		at = skip_blanks(at + 1);
		if (is_it)
			return at;
		at = skip_value(at);
		if (!at)
			return NULL;
		at = skip_blanks(at);
	} while (*at == ',');
	return NULL;
}

bool json_object__is_true(const char *object, const char *name)
{
	const char *value = find(object, name);

	return value && !strncmp(value, "true", 4);
}

bool json_object__number(const char *object, const char *name, uint64_t *ret_number)
{
	const char *value = find(object, name);
	uint64_t number = 0;

	if (!value || *value < '0' || *value > '9')
		return false;
	for (; *value >= '0' && *value <= '9'; value++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*value - '0'), &number))
			return false;
	}
	*ret_number = number;
	return true;
}

/* Writes a character as UTF-8: at most 3 bytes. Returns their number. */
static size_t encode(uint32_t c, char bytes[4])
{
	if (c < 0x80) {
		bytes[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		bytes[0] = (char)(0xc0 | c >> 6);
		bytes[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	bytes[0] = (char)(0xe0 | c >> 12);
	bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
	bytes[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* The character behind a backslash, and how many bytes of text it takes. The tracer escapes no
 * characters beyond U+FFFF. */
static uint32_t unescape(const char *at, size_t *ret_length)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *known = *at ? strchr(from, *at) : NULL;
	char digits[5] = "";
	uint32_t c;

	*ret_length = 1;
	if (known)
		return (unsigned char)to[known - from];
	if (*at != 'u' || strnlen(at, 5) < 5)
		return (unsigned char)*at;
	memcpy(digits, at + 1, 4);
	c = (uint32_t)strtoul(digits, NULL, 16);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4 || !c)
		return 'u';
	*ret_length = 5;
	return c;
}

uint64_t json_object__number_or_0(const char *object, const char *name)
{
	uint64_t number = 0;

	(void)json_object__number(object, name, &number);
	return number;
}

bool json_object__text(const char *object, const char *name, char *ret_text, size_t size)
{
	const char *value = find(object, name);
	size_t used = 0;

	ret_text[0] = '\0';
	if (!value || *value != '"' || !skip_string(value))
		return false;
	for (value++; *value != '"';) {
		size_t length = 1, bytes_count = 1;
		char bytes[4] = {*value};

		if (*value == '\\') {
			bytes_count = encode(unescape(value + 1, &length), bytes);
			length++;
		}
		if (used + bytes_count >= size)
			break;
		memcpy(ret_text + used, bytes, bytes_count);
		used += bytes_count;
		value += length;
	}
	ret_text[used] = '\0';
	return true;
}

const char *json_object__items(const char *object, const char *name)
{
	const char *value = find(object, name);

	if (!value || *value != '[')
		return NULL;
	value = skip_blanks(value + 1);
	return *value && *value != ']' ? value : NULL;
}

const char *json_object__next(const char *item)
{
	const char *at = skip_value(item);

	if (!at)
		return NULL;
	at = skip_blanks(at);
	return *at == ',' ? skip_blanks(at + 1) : NULL;
}
