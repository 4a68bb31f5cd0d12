/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_advice.h. Source: proc(5), VmFlags of smaps.
 */
#include "capture/capture_advice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "base/nocancel.h"
#include "capture/proc_text.h"
#include "image/image_advice.h"

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
	advice = image_advice__take(line);
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
	return (int)n;
}
