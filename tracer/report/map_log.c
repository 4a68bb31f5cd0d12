/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot as text, one line for each range, chunk and slab.
 */
#include "report/map_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

static void write_saved(const struct saved *saved, void *argument)
{
	static const char *const chunk_states[] = {"empty", "present", "absent", "unreadable"};
	static const char *const slab_states[] = {"due", "present", "zero", "unreadable"};
	bool is_chunk = saved->kind == SAVED_CHUNK;
	FILE *out = argument;

	fprintf(out, "%s %#lx %s", is_chunk ? "chunk" : "slab", (unsigned long)saved->address,
		(is_chunk ? chunk_states : slab_states)[saved->state]);
	if (saved->bytes)
		fprintf(out, " %08lx", crc32(crc32(0, NULL, 0), saved->bytes, saved->length));
	fputc('\n', out);
}

static int write_all(FILE *out, const struct target *target, struct snapshot *snapshot,
		     const struct state *state)
{
	struct intervals ranges = {0};
	int err;

	fprintf(out, "# process %d (%s), snapshot %s, after operation %lu\n", target->pid,
		target->comm, state->valid ? "valid" : "none",
		(unsigned long)state->operation.sequence);
	fprintf(out, "# range START END BYTES; chunk ADDRESS STATE CRC-32; slab ADDRESS STATE "
		     "[CRC-32]\n");
	err = snapshot__ranges(snapshot, false, &ranges);
	if (err)
		goto out;
	for (size_t i = 0; i < ranges.count; i++)
		fprintf(out, "range %#lx %#lx %lu\n", (unsigned long)ranges.items[i].start,
			(unsigned long)ranges.items[i].end,
			(unsigned long)(ranges.items[i].end - ranges.items[i].start));
	err = snapshot__visit(snapshot, write_saved, out);
out:
	intervals__clear(&ranges);
	return err;
}

int map_log__write(const char *path, const struct target *target, struct snapshot *snapshot,
		   const struct state *state)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), err;
	FILE *out;

	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		err = -errno;
		close(fd);
		return err;
	}
	err = write_all(out, target, snapshot, state);
	if (fflush(out) && !err) /* what could not be written is tried once more, for errno */
		err = -errno;
	if (ferror(out) && !err)
		err = -EIO;
	if (fclose(out) && !err)
		err = -errno;
	return err;
}
