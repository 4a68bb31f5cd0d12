/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See proc_text.h.
 */
#include "base/proc_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/nocancel.h"

ssize_t proc_text__read(const char *path, char *buffer, size_t bytes)
{
	int fd = nocancel__open(path, O_RDONLY | O_CLOEXEC, 0);
	size_t length = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (length < bytes) {
		n = nocancel__read(fd, buffer + length, bytes - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	else if (length == bytes)
		n = -EFBIG;
	(void)nocancel__close(fd);
	if (n < 0)
		return n;
	buffer[length] = '\0';
	return (ssize_t)length;
}

uint64_t proc_text__take_number(const char **p, unsigned int base)
{
	uint64_t value = 0;

	for (;; ++*p) {
		char c = **p;

		if (c >= '0' && c <= '9')
			value = value * base + (uint64_t)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			value = value * base + (uint64_t)(c - 'a') + 10;
		else
			return value;
	}
}

uint64_t proc_text__find_number(const char *text, const char *word, unsigned int base)
{
	const char *p = strstr(text, word);

	if (!p)
		return 0;
	p += strlen(word);
	while (*p == ' ' || *p == '\t')
		p++;
	return proc_text__take_number(&p, base);
}

uint64_t proc_text__find_namespace(const char *link)
{
	char text[64];
	ssize_t n = readlink(link, text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0'; /* "net:[4026531840]" */
	return proc_text__find_number(text, "[", 10);
}

void proc_text__make_path(char *path, const char *prefix, uint64_t number, unsigned int base,
			  const char *suffix)
{
	char digits[24];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	memcpy(path, prefix, strlen(prefix));
	path += strlen(prefix);
	memcpy(path, digits + i, sizeof(digits) - i);
	path += sizeof(digits) - i;
	memcpy(path, suffix, strlen(suffix) + 1);
}

void proc_text__map_path(char path[PROC_TEXT_MAP_PATH], uint64_t start, uint64_t end)
{
	proc_text__make_path(path, "/proc/self/map_files/", start, 16, "-");
	proc_text__make_path(path + strlen(path), "", end, 16, "");
}
