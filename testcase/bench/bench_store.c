/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Measures two kinds of BPF hash as a store of chunks: one allocates all its elements at its
 * creation, the other as they come (BPF_F_NO_PREALLOC). It measures the time to insert and to
 * delete a chunk, in batches from user space, and the kernel memory, by the map's fdinfo and by
 * MemAvailable of /proc/meminfo.
 */
#include <bpf/bpf.h>
#include <linux/types.h>
#include <unistd.h>
#include "base/procfs.h"
#include "bench.h"
#include "tracer.h"

enum { ENTRIES = 65536 };

static double available_bytes(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		BENCH_DIE("cannot read /proc/meminfo");
	while (!kib && fgets(line, sizeof(line), file))
		(void)sscanf(line, "MemAvailable: %lu kB", &kib);
	(void)fclose(file);
	return (double)kib * 1024;
}

/* The kernel frees a map some time after its last user is gone, and the next must not gain by it.
 */
static void await_free(double wanted_bytes)
{
	for (int i = 0; i < 300 && available_bytes() < wanted_bytes; i++)
		(void)usleep(10000);
}

static void measure(int samples, const char *variant, uint32_t flags, const uint64_t *keys,
		    const struct chunk *chunks)
{
	struct bpf_map_create_opts options = {.sz = sizeof(options), .map_flags = flags};
	double before = available_bytes(), used;
	uint32_t count = ENTRIES;
	uint64_t start_ns;
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bench", sizeof(*keys), sizeof(*chunks), ENTRIES,
				&options);

	if (fd < 0)
		BENCH_DIE("cannot create a BPF hash of %d chunks", ENTRIES);
	start_ns = bench__now_ns();
	if (bpf_map_update_batch(fd, keys, chunks, &count, NULL) || count != ENTRIES)
		BENCH_DIE("cannot insert %d chunks, only %u", ENTRIES, count);
	bench__emit(samples, "store_insert", variant, "-", CHUNK, 0,
		    (double)(bench__now_ns() - start_ns) / ENTRIES);
	bench__emit(samples, "store_bytes_per_chunk", variant, "-", CHUNK, 0,
		    (double)procfs__map_memory(fd) / ENTRIES);
	used = before - available_bytes();
	bench__emit(samples, "store_available_per_chunk", variant, "-", CHUNK, 0, used / ENTRIES);
	start_ns = bench__now_ns();
	if (bpf_map_delete_batch(fd, keys, &count, NULL) || count != ENTRIES)
		BENCH_DIE("cannot delete %d chunks, only %u", ENTRIES, count);
	bench__emit(samples, "store_delete", variant, "-", CHUNK, 0,
		    (double)(bench__now_ns() - start_ns) / ENTRIES);
	close(fd);
	await_free(before - used / 10);
}

int main(int argc, char **argv)
{
	struct chunk *chunks;
	uint64_t *keys;
	int samples;

	bench__check_usage(argc, argv, argc != 2, "bench_store SAMPLES");
	keys = calloc(ENTRIES, sizeof(*keys));
	chunks = calloc(ENTRIES, sizeof(*chunks));
	if (!keys || !chunks)
		BENCH_DIE("no memory");
	samples = bench__open_samples(argv[1]);
	for (uint64_t i = 0; i < ENTRIES; i++) {
		keys[i] = 0x7f0000000000 + i * CHUNK;
		memset(&chunks[i], (int)i, sizeof(*chunks));
	}
	for (int i = 0; i < 3; i++) {
		measure(samples, "prealloc", 0, keys, chunks);
		measure(samples, "no_prealloc", BPF_F_NO_PREALLOC, keys, chunks);
	}
	close(samples);
	free(keys);
	free(chunks);
	return 0;
}
