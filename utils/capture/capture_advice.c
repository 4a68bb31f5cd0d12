/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_advice.h. Source: proc(5), VmFlags of smaps.
 */
#include "capture/capture_advice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/nocancel.h"
#include "base/page.h"
#include "base/proc_text.h"
#include "process/advice.h"

enum { BUFFER_BYTES = 1 << 16 };

static volatile bool is_told, was_given;

void capture_advice__rely(void)
{
	is_told = true;
}

void capture_advice__note(void)
{
	was_given = true;
}

/* A mapping of smaps may be several of the image, which are marked as our own in part. */
struct walk {
	struct image *image;
	size_t next; /* the first mapping that is not behind the one of smaps */
	uint64_t start, end;
};

/* "START-END rwxp ...", or "VmFlags: ...", or another line. */
static void take_line(struct walk *w, const char *line)
{
	const char *p = line;
	uint64_t start;
	uint32_t advice;

	if (strncmp(line, "VmFlags:", 8) != 0) {
		start = proc_text__take_number(&p, 16);
		if (*p == '-' && p > line) {
			p++;
			w->start = start;
			w->end = proc_text__take_number(&p, 16);
		}
		return;
	}
	advice = advice__take(line);
	while (w->next < w->image->mapping_count && w->image->mappings[w->next].end <= w->start)
		w->next++;
	for (size_t i = w->next;
	     i < w->image->mapping_count && w->image->mappings[i].start < w->end; i++)
		w->image->advice[i] = advice;
}

/* Takes the whole lines of the buffer. Returns how many bytes are left, which are moved to its
 * beginning. */
static size_t take_lines(struct walk *w, char *buffer, size_t bytes)
{
	char *line = buffer, *end;

	buffer[bytes] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		take_line(w, line);
		line = end + 1;
	}
	bytes -= (size_t)(line - buffer);
	memmove(buffer, line, bytes);
	return bytes == BUFFER_BYTES ? 0 : bytes;
}

/* Is a page of a mapping absent? bytes: room for a byte of each page. */
static bool has_absent(const struct image_mapping *m, char *bytes)
{
	for (uint64_t at = m->start, part; at < m->end; at += part) {
		part = m->end - at;
		if (part > (uint64_t)BUFFER_BYTES * PAGE_BYTES)
			part = (uint64_t)BUFFER_BYTES * PAGE_BYTES;
		if (mincore((void *)at, part, (unsigned char *)bytes) < 0) /* NOLINT */
			return false;
		for (uint64_t i = 0; i < part / PAGE_BYTES; i++) {
			if (!(bytes[i] & 1))
				return true;
		}
	}
	return false;
}

/* Before Linux 6.7, nothing tells that memory is locked page by page, as it is used. But mlock(2)
 * without MLOCK_ONFAULT leaves no page absent. */
static void find_locked_on_use(struct image *image, char *buffer)
{
	for (size_t i = 0; i < image->mapping_count; i++) {
		if ((image->advice[i] & IMAGE_ADVICE_LOCKED) &&
		    has_absent(&image->mappings[i], buffer))
			image->advice[i] |= IMAGE_ADVICE_LOCKED_ON_USE;
	}
}

int capture_advice__add(struct capture *c)
{
	struct walk walk = {.image = c->image};
	size_t bytes = 0;
	char *buffer;
	ssize_t n;
	int fd;

	if (is_told && !was_given)
		return 0;
	c->image->advice = arena__take(c->arena, (c->image->mapping_count + 1) * sizeof(uint32_t));
	buffer = arena__take(c->arena, BUFFER_BYTES + 1);
	if (!c->image->advice || !buffer)
		return -ENOMEM;
	fd = nocancel__open("/proc/self/smaps", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while ((n = nocancel__read(fd, buffer + bytes, BUFFER_BYTES - bytes)) > 0)
		bytes = take_lines(&walk, buffer, bytes + (size_t)n);
	n = n < 0 ? -errno : 0;
	(void)nocancel__close(fd);
	find_locked_on_use(c->image, buffer);
	return (int)n;
}
