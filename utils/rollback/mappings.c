/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See mappings.h. Source: proc(5).
 */
#include "rollback/mappings.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"

int mappings__read(int fd, struct mapping_text *text)
{
	size_t length = 0;
	long n;

	do {
		if (length + 1 >= text->room)
			return -E2BIG;
		n = raw_syscall__call(SYS_pread64, (uint64_t)fd, (uintptr_t)text->bytes + length,
				      text->room - length - 1, length);
		if (n < 0 && n != -EINTR)
			return (int)n;
		if (n > 0)
			length += (size_t)n;
	} while (n != 0);
	if (length == 0)
		return -EBADF;
	text->bytes[length] = '\0';
	text->length = length;
	return 0;
}

static uint64_t take_number(const char **at, unsigned int base)
{
	uint64_t number = 0;

	for (;; (*at)++) {
		unsigned int digit = base;

		if (**at >= '0' && **at <= '9')
			digit = (unsigned int)(**at - '0');
		else if (**at >= 'a' && **at <= 'f')
			digit = (unsigned int)(**at - 'a') + 10;
		if (digit >= base)
			return number;
		number = number * base + digit;
	}
}

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

int mappings__next(const char **at, struct mapping *m)
{
	if (!**at)
		return 0;
	m->start = take_number(at, 16);
	if (!take(at, '-'))
		return -EBADMSG;
	m->end = take_number(at, 16);
	if (!take(at, ' '))
		return -EBADMSG;
	m->protection = 0;
	m->protection |= take(at, 'r') ? PROT_READ : (take(at, '-'), 0);
	m->protection |= take(at, 'w') ? PROT_WRITE : (take(at, '-'), 0);
	m->protection |= take(at, 'x') ? PROT_EXEC : (take(at, '-'), 0);
	m->shared = take(at, 's');
	if (!m->shared && !take(at, 'p'))
		return -EBADMSG;
	if (!take(at, ' '))
		return -EBADMSG;
	m->offset = take_number(at, 16);
	if (!take(at, ' '))
		return -EBADMSG;
	m->device = take_number(at, 16) << 32;
	if (!take(at, ':'))
		return -EBADMSG;
	m->device |= take_number(at, 16);
	if (!take(at, ' '))
		return -EBADMSG;
	m->inode = take_number(at, 10);
	while (take(at, ' '))
		;
	m->name = *at;
	while (**at && **at != '\n')
		(*at)++;
	return take(at, '\n') ? 1 : -EBADMSG;
}

int mappings__parse(const struct mapping_text *text, struct mapping_list *list)
{
	const char *at = text->bytes;
	size_t count = 0;
	int more;

	do {
		if (count == list->room)
			return -E2BIG;
		more = mappings__next(&at, &list->items[count]);
		if (more > 0)
			count++;
	} while (more > 0);
	list->count = count;
	return more;
}

bool mappings__is_special(const struct mapping *m)
{
	return bytes__begins(m->name, "[v") || bytes__begins(m->name, "[uprobes]");
}
