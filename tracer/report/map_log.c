/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk store as text, one line for each range and chunk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include "report/map_log.h"

struct map_log {
	FILE *out;
	const struct intervals *ranges;
	size_t next; /* the range whose line comes next */
};

static void write_chunk(uint64_t address, const struct chunk *chunk, void *argument)
{
	static const char *const states[] = {"empty", "present", "absent", "unreadable"};
	struct map_log *log = argument;

	while (log->next < log->ranges->count &&
	       log->ranges->items[log->next].start < address + CHUNK_BYTES) {
		const struct interval *range = &log->ranges->items[log->next++];

		fprintf(log->out, "range %#lx %#lx %lu\n", (unsigned long)range->start,
			(unsigned long)range->end, (unsigned long)(range->end - range->start));
	}
	fprintf(log->out, "chunk %#lx %s %08lx\n", (unsigned long)address,
		chunk->state < 4 ? states[chunk->state] : "unknown",
		crc32(crc32(0, NULL, 0), chunk->bytes, CHUNK_BYTES));
}

static void write_slab(const struct slab *slab, const uint8_t *bytes, void *argument)
{
	static const char *const states[] = {"gone", "due", "present", "zero", "unreadable"};
	FILE *out = argument;

	fprintf(out, "slab %#lx %s", (unsigned long)slab->address,
		slab->state < 5 ? states[slab->state] : "unknown");
	if (bytes)
		fprintf(out, " %08lx", crc32(crc32(0, NULL, 0), bytes, SLAB_BYTES));
	fputc('\n', out);
}

int map_log__write(const char *path, struct target *target, const struct state *state)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), err;
	struct map_log log = {.ranges = &target->tracked};

	if (fd < 0)
		return -errno;
	log.out = fdopen(fd, "w");
	if (!log.out) {
		err = -errno;
		close(fd);
		return err;
	}
	fprintf(log.out, "# process %d (%s), snapshot %s, after operation %lu\n", target->pid,
		target->comm, state->valid ? "valid" : "none",
		(unsigned long)state->operation.sequence);
	fprintf(log.out, "# range START END BYTES; chunk ADDRESS STATE CRC-32; slab ADDRESS STATE "
			 "[CRC-32]\n");
	err = chunk_snapshot__for_each(target->snapshot, log.ranges, write_chunk, &log);
	for (size_t i = 0; i < target->large.count; i++)
		fprintf(log.out, "range %#lx %#lx %lu\n",
			(unsigned long)target->large.items[i].start,
			(unsigned long)target->large.items[i].end,
			(unsigned long)(target->large.items[i].end - target->large.items[i].start));
	slab_store__for_each(target->slabs, write_slab, log.out);
	if (ferror(log.out) && !err)
		err = -EIO;
	if (fclose(log.out) && !err)
		err = -errno;
	return err;
}
