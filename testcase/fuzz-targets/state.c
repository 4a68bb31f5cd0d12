/* SPDX-License-Identifier: BSD-2-Clause
 *
 * state FILE: a target for afl-fuzz with a large state: STATE_MIB MiB (64 if it is not set), filled
 * before the fork server begins, as a program does that reads a dictionary, a model or a database.
 * Each input changes up to WRITES pages of it. state-persistent (-DPERSISTENT) does so in a loop,
 * and puts nothing back.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 4096, WRITES = 4 };

static unsigned char *state;
static size_t pages;

static void fill(void)
{
	const char *text = getenv("STATE_MIB");
	uint32_t value = 23;

	pages = (text ? strtoul(text, NULL, 10) : 64) << 8;
	state = malloc(pages * PAGE);
	if (!state)
		abort();
	for (size_t i = 0; i < pages * PAGE; i++) {
		value = value * 1664525 + 1013904223;
		state[i] = (unsigned char)(value >> 24);
	}
}

/* A small language: a word is looked for in the state, which each byte moves and changes. */
static int play(const unsigned char *input, size_t bytes)
{
	size_t place = 1;
	int depth = 0;

	for (size_t i = 0; i < bytes; i++) {
		unsigned char *here = &state[place % pages * PAGE];

		switch (input[i]) {
		case '(':
			depth++;
			break;
		case ')':
			if (--depth < 0)
				return 2;
			break;
		case '!':
			if (depth == 5 && *here == 0x17)
				abort();
			break;
		default:
			if (i < WRITES)
				*here ^= input[i];
			place = place * 31 + input[i] + (size_t)*here;
		}
	}
	return depth ? 3 : 0;
}

static int play_file(const char *name)
{
	static unsigned char input[1 << 16];
	ssize_t bytes;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 1;
	bytes = read(fd, input, sizeof(input));
	(void)close(fd);
	return bytes < 0 ? 1 : play(input, (size_t)bytes);
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc != 2)
		return 1;
	fill();
	__AFL_INIT();
#ifdef PERSISTENT
	while (__AFL_LOOP(1000))
		status = play_file(argv[1]);
#else
	status = play_file(argv[1]);
#endif
	return status;
}
