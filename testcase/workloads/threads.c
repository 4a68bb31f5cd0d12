/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Targets of more than one thread: the others write, map and unmap, allocate in arenas of their own
 * or end, while the main thread asks. They stand still during a copy: a snapshot is one instant.
 */
#include "threads.h"

enum { ROUNDS = 7, WRITERS = 3, ENDING = 7, LARGE = 20 << 20, BLOCKS = 203 };

/* Counters at both ends of a range so long that it is copied in several polls. */
struct ends {
	uint64_t counters[BOARD_THREADS];
};

static struct ends *low, *high; /* set before any checkpoint */
static unsigned char *area, *child_stack;

/* Each thread counts at the low end, then at the high one. In the last counter they count in turn:
 * the thread that finds low and high equal begins, the next one follows. */
static void *count(void *argument)
{
	struct worker *worker = argument;
	int number = worker->number, last = BOARD_THREADS - 1;
	uint64_t *turn_low = &low->counters[last], *turn_high = &high->counters[last];

	while (get(&worker->board->checkpoints_done) < ROUNDS) {
		if (get(&worker->board->phase) != worker->board->reached[number]) {
			set(&worker->board->reached[number], get(&worker->board->phase));
			wait_for(&worker->board->checkpoints_done, get(&worker->board->phase));
		}
		__atomic_add_fetch(&low->counters[number], 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&high->counters[number], 1, __ATOMIC_SEQ_CST);
		if (number == 0 &&
		    *(volatile uint64_t *)turn_low == *(volatile uint64_t *)turn_high)
			__atomic_add_fetch(turn_low, 1, __ATOMIC_SEQ_CST);
		if (number == 1 && *(volatile uint64_t *)turn_low > *(volatile uint64_t *)turn_high)
			__atomic_add_fetch(turn_high, 1, __ATOMIC_SEQ_CST);
		worker->board->rounds[number]++;
	}
	return NULL;
}

/* In round r the threads count until phase r + 1, and wait there until the round is over: a restore
 * wants the threads of its checkpoint. */
static void instant(void)
{
	unsigned char *memory = map_alone(LARGE, MAP_PRIVATE);
	struct worker *workers = NULL;

	fill(memory + PAGE, LARGE - 2 * PAGE, seed(1));
	low = (struct ends *)memory;
	high = (struct ends *)(memory + LARGE - PAGE);
	for (int round = 0; round < ROUNDS; round++) {
		fill(low, sizeof(*low), 0);
		fill(high, sizeof(*high), 0);
		if (!workers)
			workers = start_workers(WRITERS, count);
		memset(workers->board->rounds, 0, sizeof(workers->board->rounds));
		set(&workers->board->checkpoints_done, round);
		for (int i = 0; i < WRITERS; i++)
			while (__atomic_load_n(&workers->board->rounds[i], __ATOMIC_SEQ_CST) < 23)
				sched_yield();
		save();
		phase(workers, WRITERS, round + 1); /* they wait */
		fill(low, sizeof(*low), seed(2));
		fill(high, sizeof(*high), seed(3));
		fill(memory + PAGE, 3 * PAGE, seed(4));
		restore();
		for (int i = 0; i < BOARD_THREADS; i++)
			if (low->counters[i] - high->counters[i] > 1)
				wrong("round %d: counter %d is %lu at one end, %lu at the other",
				      round, i, low->counters[i], high->counters[i]);
		expect(memory + PAGE, LARGE - 2 * PAGE, seed(1), "what no thread writes");
	}
	set(&workers->board->checkpoints_done, ROUNDS);
	join(workers, WRITERS);
	must(!munmap(memory, LARGE), "munmap");
}

/* ---- mapping and unmapping ---- */

/* A restore never touches memory that was mapped since the last checkpoint. */
static void *map_and_unmap(void *argument)
{
	struct worker *worker = argument;
	struct board *board = worker->board;
	uint64_t round = 0;

	while (get(&board->phase) == 0) {
		size_t bytes = (1 + round % 37) * PAGE;
		uint64_t with = seed(1000 + 2 * round + (uint64_t)worker->number);
		int done = get(&board->checkpoints_done), begun = get(&board->checkpoints_begun);
		unsigned char *memory = map_at(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);

		fill(memory, PAGE, with);
		fill(memory + bytes - PAGE, PAGE, with);
		if (round % 3 == 0)
			sched_yield();
		if ((first_wrong(memory, PAGE, with) != PAGE ||
		     first_wrong(memory + bytes - PAGE, PAGE, with) != PAGE) &&
		    done == begun && get(&board->checkpoints_begun) == begun)
			set(&board->wrong, 1);
		if (round % 5 == 0 && mremap(memory, bytes, PAGE, 0) == memory)
			bytes = PAGE; /* the rest may be another thread's by now */
		must(!munmap(memory, bytes), "munmap");
		round++;
	}
	return NULL;
}

static void mapper(void)
{
	unsigned char *memory = map_alone(23 * PAGE, MAP_PRIVATE);
	struct worker *workers;

	fill(memory, 23 * PAGE, seed(1));
	workers = start_workers(2, map_and_unmap);
	workload.outside = -1; /* mappings come and go all the time */
	for (int round = 0; round < 2 * ROUNDS; round++) {
		workers->board->checkpoints_begun++;
		save();
		workers->board->checkpoints_done++;
		fill(memory, 23 * PAGE, seed(2));
		restore();
		expect(memory, 23 * PAGE, seed(1), "memory");
		fill(memory, PAGE, seed(3));
		restore();
		expect(memory, 23 * PAGE, seed(1), "memory, restored again");
	}
	set(&workers->board->phase, 1);
	join(workers, 2);
	if (workers->board->wrong)
		wrong("a restore has changed what was mapped after the checkpoint");
}

/* ---- ending ---- */

static void *end_soon(void *argument)
{
	struct worker *worker = argument;

	wait_for(&worker->board->phase, 1);
	for (int i = 0; i < worker->number * 23; i++)
		sched_yield();
	__atomic_add_fetch(&worker->board->ended, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void ending(void)
{
	unsigned char *memory = map_alone(LARGE, MAP_PRIVATE);
	struct worker *workers;

	fill(memory, LARGE, seed(1));
	for (int round = 0; round < ROUNDS; round++) {
		workers = start_workers(ENDING, end_soon);
		set(&workers->board->phase, 1);
		save();
		join(workers, ENDING);
		save(); /* the threads are others now */
		fill(memory + 23 * PAGE * round, 23 * PAGE, seed(2));
		restore();
		expect(memory, LARGE, seed(1), "memory");
	}
	must(!munmap(memory, LARGE), "munmap");
}

/* ---- children ---- */

static int write_all(void *argument)
{
	(void)argument;
	fill(area, LARGE, seed(3));
	_exit(0);
}

/* A child of another thread writes to memory that both have, and then that thread does. The stack
 * of the thread is shared memory, so the child has another one. */
static void *fork_often(void *argument)
{
	struct worker *worker = argument;
	struct board *board = worker->board;

	for (int number = 1; number <= ROUNDS; number++) {
		int status = -1;
		pid_t child;

		wait_for(&board->phase, number);
		child = clone(write_all, child_stack + STACK_BYTES, SIGCHLD, NULL);
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			set(&board->wrong, 1);
		fill(area + (size_t)number * 23 * PAGE, PAGE, seed(2));
		set(&board->reached[worker->number], number);
	}
	return NULL;
}

static void forking(void)
{
	struct worker *workers;

	area = map_alone(LARGE, MAP_PRIVATE);
	fill(area, LARGE, seed(1));
	child_stack = map_alone(STACK_BYTES, MAP_PRIVATE);
	workers = start_workers(1, fork_often);
	save();
	for (int round = 1; round < ROUNDS; round++) {
		phase(workers, 1, round);
		fill(area + 23 * PAGE * (size_t)round, 23 * PAGE, seed(4));
		restore();
		expect_outside(area, LARGE, seed(1), "memory");
	}
	phase(workers, 1, ROUNDS);
	join(workers, 1);
	if (workers->board->wrong)
		wrong("a thread could not have a child");
	must(!munmap(area, LARGE), "munmap");
}

/* ---- arenas ---- */

static void fill_block(unsigned char **block, size_t bytes, uint64_t with)
{
	*block = malloc(bytes);
	if (*block)
		fill(*block, bytes, with);
}

/* malloc gives each thread an arena: 64 MiB without access, made accessible as it is used. */
static void *allocate(void *argument)
{
	struct worker *worker = argument;
	struct board *board = worker->board;
	unsigned char *blocks[BLOCKS], *others[BLOCKS];
	uint64_t base = 5000 + 1000 * (uint64_t)worker->number;

	for (int i = 0; i < BLOCKS; i++)
		fill_block(&blocks[i], 23 + 97 * (size_t)i, seed(base + (uint64_t)i));
	set(&board->reached[worker->number], 1);
	wait_for(&board->phase, 2); /* saved */
	for (int i = 0; i < BLOCKS; i++) {
		fill_block(&others[i], 23 + 211 * (size_t)i, seed(3));
		if (i % 3)
			free(blocks[i]);
	}
	set(&board->reached[worker->number], 2);
	wait_for(&board->phase, 3); /* restored */
	for (int i = 0; i < BLOCKS; i++)
		if (first_wrong(blocks[i], 23 + 97 * (size_t)i, seed(base + (uint64_t)i)) !=
		    23 + 97 * (size_t)i)
			set(&board->wrong, 1);
	for (int i = 0; i < BLOCKS; i++) {
		fill_block(&others[i], 23 + 97 * (size_t)i, seed(4));
		free(blocks[i]);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (first_wrong(others[i], 23 + 97 * (size_t)i, seed(4)) != 23 + 97 * (size_t)i)
			set(&board->wrong, 2);
	set(&board->reached[worker->number], 3);
	return NULL;
}

static void arenas(void)
{
	struct worker *workers = start_workers(WRITERS, allocate);

	phase(workers, WRITERS, 1);
	save();
	phase(workers, WRITERS, 2);
	restore();
	phase(workers, WRITERS, 3);
	join(workers, WRITERS);
	if (workers->board->wrong)
		wrong("%s in the arena of a thread",
		      workers->board->wrong == 1 ? "saved blocks" : "new blocks");
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"instant", instant}, {"mapper", mapper}, {"ending", ending},
		{"forking", forking}, {"arenas", arenas}, {NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
