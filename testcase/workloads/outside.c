/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outside FD: looks at a workload from another process, whose memory no restore touches. It takes
 * questions (pattern.h) from the socket FD until that is closed: are the lines of /proc/PID/maps
 * and the links of /proc/PID/fd what they were, does memory hold what it should? Memory is read
 * through /proc/PID/mem, which no protection stops.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/procfs.h"
#include "pattern.h"

struct text {
	char *bytes;
	size_t length, room;
};

static void append(struct text *text, const char *bytes, size_t length)
{
	while (text->length + length + 1 > text->room) {
		text->room = text->room ? 2 * text->room : 1 << 16;
		text->bytes = realloc(text->bytes, text->room);
		if (!text->bytes)
			abort();
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

static void append_file(struct text *text, pid_t pid, const char *name)
{
	char block[1 << 14];
	int fd = procfs__open(pid, name, O_RDONLY);
	ssize_t got;

	while (fd >= 0 && (got = read(fd, block, sizeof(block))) > 0)
		append(text, block, (size_t)got);
	if (fd >= 0)
		close(fd);
}

static void append_links(struct text *text, pid_t pid)
{
	int fd = procfs__open(pid, "fd", O_RDONLY | O_DIRECTORY);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char target[4096];

	while (folder && (entry = readdir(folder))) {
		ssize_t length = readlinkat(fd, entry->d_name, target, sizeof(target));

		append(text, entry->d_name, strlen(entry->d_name));
		append(text, " -> ", 4);
		append(text, target, length > 0 ? (size_t)length : 0);
		append(text, "\n", 1);
	}
	if (folder)
		closedir(folder);
}

struct line { /* of /proc/PID/maps */
	unsigned long start, end;
	const char *rest; /* behind the addresses, with the newline */
	size_t length;
};

static void append_mapping(struct text *text, const struct line *line)
{
	char addresses[64];
	int length = snprintf(addresses, sizeof(addresses), "%lx-%lx", line->start, line->end);

	append(text, addresses, (size_t)length);
	append(text, line->rest ? line->rest : "\n", line->rest ? line->length : 1);
}

/* Joins lines of mappings that touch and are alike. The kernel joins such mappings itself, or keeps
 * them apart, when the tracer arms their pages. */
static void join_mappings(const struct text *maps, struct text *text)
{
	struct line joined = {0}, next;
	int at;

	for (const char *at_line = maps->bytes; at_line && *at_line;
	     at_line = next.rest + next.length) {
		if (sscanf(at_line, "%lx-%lx%n", &next.start, &next.end, &at) != 2)
			abort();
		next.rest = at_line + at;
		next.length = strcspn(next.rest, "\n") + 1;
		if (joined.rest && joined.end == next.start && joined.length == next.length &&
		    !memcmp(joined.rest, next.rest, next.length)) {
			joined.end = next.end;
			continue;
		}
		append_mapping(text, &joined);
		joined = next;
	}
	append_mapping(text, &joined);
}

static void look(pid_t pid, struct text *text)
{
	struct text maps = {0};

	text->length = 0;
	append_file(&maps, pid, "maps");
	join_mappings(&maps, text);
	append_links(text, pid);
	free(maps.bytes);
}

/* The first line that differs, as it was and as it is. */
static void compare(const struct text *then, const struct text *now, struct outside_answer *answer)
{
	size_t line = 0, i = 0;

	if (!then->bytes || !now->bytes)
		return;
	while (i < then->length && i < now->length && then->bytes[i] == now->bytes[i])
		if (then->bytes[i++] == '\n')
			line = i;
	if (i == then->length && i == now->length)
		return;
	answer->wrong = 1;
	snprintf(answer->text, sizeof(answer->text), "was: %.*s; is: %.*s",
		 (int)strcspn(then->bytes + line, "\n"), then->bytes + line,
		 (int)strcspn(now->bytes + line, "\n"), now->bytes + line);
}

static void expect(const struct outside_ask *ask, struct outside_answer *answer)
{
	uint8_t *bytes = malloc(ask->bytes);
	size_t done = 0, wrong;
	ssize_t got = 1;
	int fd;

	fd = procfs__open(ask->pid, "mem", O_RDONLY);
	for (; bytes && fd >= 0 && done < ask->bytes && got > 0; done += (size_t)got) {
		got = pread(fd, bytes + done, ask->bytes - done, (off_t)(ask->address + done));
		if (got < 0)
			break;
	}
	wrong = done == ask->bytes ? first_wrong(bytes, ask->bytes, ask->seed) : done;
	answer->wrong = wrong != ask->bytes;
	if (done != ask->bytes)
		snprintf(answer->text, sizeof(answer->text), "cannot read %#lx: %s",
			 (unsigned long)(ask->address + done), strerror(errno));
	else if (answer->wrong)
		snprintf(answer->text, sizeof(answer->text), "byte %zu of %lu at %#lx is wrong",
			 wrong, (unsigned long)ask->bytes, (unsigned long)ask->address);
	if (fd >= 0)
		close(fd);
	free(bytes);
}

int main(int argc, char **argv)
{
	struct text then = {0}, now = {0};
	struct outside_ask ask;
	uint64_t fd;

	if (argc != 2 || parse__u64(argv[1], 0, 1 << 20, &fd))
		return 2;
	while (recv((int)fd, &ask, sizeof(ask), 0) == sizeof(ask)) {
		struct outside_answer answer = {0};

		if (ask.kind == OUTSIDE_REMEMBER) {
			look(ask.pid, &then);
		} else if (ask.kind == OUTSIDE_COMPARE) {
			look(ask.pid, &now);
			compare(&then, &now, &answer);
		} else {
			expect(&ask, &answer);
		}
		if (send((int)fd, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	free(then.bytes);
	free(now.bytes);
	return 0;
}
