/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The same program twice: with AddressSanitizer (asan), which keeps 20 TiB of shadow memory beside
 * the program's own, and for valgrind, which runs a program on a processor of its own making.
 * Blocks come and go around a checkpoint and a restore; what was saved must be right afterwards,
 * and the sanitizer must find nothing wrong.
 */
#include <malloc.h>
#include "workload.h"

enum { BLOCKS = 203, EXIT_REFUSED = 3 };

static unsigned char *blocks[BLOCKS];

static void make(int from, uint64_t with)
{
	for (int i = from; i < BLOCKS; i += 3) {
		blocks[i] = malloc(23 + 31 * (size_t)i);
		must(blocks[i] != NULL, "malloc");
		fill(blocks[i], 23 + 31 * (size_t)i, with);
	}
}

static void release(int from)
{
	for (int i = from; i < BLOCKS; i += 3)
		free(blocks[i]);
}

static void check(uint64_t with)
{
	for (int i = 0; i < BLOCKS; i++)
		expect(blocks[i], 23 + 31 * (size_t)i, with, "a block");
}

int main(void)
{
	int err;

	workload.name = "blocks";
	alarm(LIMIT_SECONDS);
	for (int i = 0; i < 3; i++)
		make(i, seed(1));
	err = client__save(0);
	if (err) { /* must be said, and do no harm */
		check(seed(1));
		say("refused: %s\n", client__strerror(err));
		return EXIT_REFUSED;
	}
	release(0);
	make(0, seed(2));
	for (int i = 1; i < BLOCKS; i += 3)
		fill(blocks[i], 23, seed(3));
	err = client__restore(0);
	if (err)
		finish(WORKLOAD_BROKEN, "restore: %s", client__strerror(err));
	check(seed(1));
	for (int i = 0; i < 3; i++)
		release(i);
	for (int i = 0; i < 3; i++)
		make(i, seed(4));
	check(seed(4));
	for (int i = 0; i < 3; i++)
		release(i);
	say("blocks: ok\n");
	return 0;
}
