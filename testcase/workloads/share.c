/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that another process has as well: copied on write after a fork, where the other keeps its
 * own contents, or truly shared, where a restore is seen by both.
 */
#include <stdbool.h>
#include "workload.h"

#define BYTES (23 * PAGE)
#define PART  (5 * PAGE)

/* Forks a child that runs look(memory) when its pipe is closed; its result is its exit status. */
static pid_t fork_child(bool (*look)(unsigned char *memory), unsigned char *memory, int *ret_pipe)
{
	int ends[2];
	pid_t child;
	char byte;

	must(!pipe(ends), "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) > 0)
			;
		_exit(look(memory));
	}
	close(ends[0]);
	*ret_pipe = ends[1];
	return child;
}

static bool has_first(unsigned char *memory)
{
	return first_wrong(memory, BYTES, seed(1)) != BYTES;
}

static bool has_second(unsigned char *memory)
{
	return first_wrong(memory, BYTES, seed(2)) != BYTES;
}

/* Every page is protected against writing for the copy when the restore wants to write it. */
static void copied_on_write(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);
	int first_pipe, second_pipe;
	pid_t first, second;

	fill(memory, BYTES, seed(1));
	first = fork_child(has_first, memory, &first_pipe);
	save();
	fill(memory, BYTES, seed(2));
	second = fork_child(has_second, memory, &second_pipe);
	restore();
	expect(memory, BYTES, seed(1), "memory");
	expect_child(second, second_pipe, "forked after the checkpoint");
	fill(memory, BYTES, seed(3));
	expect_child(first, first_pipe, "forked before the checkpoint");
	restore();
	expect(memory, BYTES, seed(1), "memory, alone again");
}

/* Nobody has written since the fork: the restore has nothing to do, and copies nothing. */
static void not_copied(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);
	int to_child;
	pid_t child;

	fill(memory, BYTES, seed(1));
	save();
	child = fork_child(has_first, memory, &to_child);
	restore();
	expect(memory, BYTES, seed(1), "memory");
	expect_child(child, to_child, "a child that wrote nothing");
}

/* A child with two orders: at the first byte it writes, at the end of the pipe it looks. */
static pid_t fork_writer(void (*write_it)(unsigned char *memory),
			 bool (*look)(unsigned char *memory), unsigned char *memory, int *ret_pipe,
			 int *ret_done)
{
	int orders[2], done[2];
	pid_t child;
	char byte;

	must(!pipe(orders) && !pipe(done), "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		close(orders[1]);
		while (read(orders[0], &byte, 1) > 0) {
			write_it(memory);
			if (write(done[1], &byte, 1) != 1)
				_exit(2);
		}
		_exit(look(memory));
	}
	close(orders[0]);
	close(done[1]);
	*ret_pipe = orders[1];
	*ret_done = done[0];
	return child;
}

static void order(int to_child, int done)
{
	char byte = 'w';

	must(write(to_child, &byte, 1) == 1 && read(done, &byte, 1) == 1, "the child's answer");
}

static void write_second(unsigned char *memory)
{
	fill(memory + PART, BYTES - 2 * PART, seed(2));
}

static void shared(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_SHARED);
	int to_child, done;
	pid_t child;

	fill(memory, BYTES, seed(1));
	child = fork_writer(write_second, has_first, memory, &to_child, &done);
	save();
	order(to_child, done);
	expect(memory + PART, BYTES - 2 * PART, seed(2), "what the child wrote");
	restore();
	expect(memory, BYTES, seed(1), "shared memory");
	order(to_child, done);
	restore();
	expect_child(child, to_child, "the child that shares memory");
	close(done);
}

/* The parent does not touch the memory: its own page table says that nothing is there. */
static void write_first(unsigned char *memory)
{
	fill(memory, PART, memory[BYTES - PAGE] ? seed(2) : seed(1));
	if (memory[BYTES - PAGE])
		fill(memory + 2 * PART, PART, seed(3));
	memory[BYTES - PAGE] = 1;
}

static bool has_first_part(unsigned char *memory)
{
	return first_wrong(memory, PART, seed(1)) != PART ||
	       first_wrong(memory + PART, 2 * PART, 0) != 2 * PART;
}

static void shared_untouched(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_SHARED);
	int to_child, done;
	pid_t child;

	child = fork_writer(write_first, has_first_part, memory, &to_child, &done);
	order(to_child, done);
	save();
	order(to_child, done);
	restore();
	order(to_child, done);
	restore();
	expect_child(child, to_child, "the child that alone has written");
	close(done);
	expect(memory, PART, seed(1), "what the child had written");
	expect(memory + PART, 2 * PART, 0, "what nobody had written");
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"copied-on-write", copied_on_write},
		{"not-copied", not_copied},
		{"shared", shared},
		{"shared-untouched", shared_untouched},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
