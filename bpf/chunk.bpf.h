/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk engine, kernel side: hashes from a chunk's address to its 256 bytes. The elements of a
 * hash are allocated when it is made, and a visit walks all its buckets. So there are several, and
 * user space adds one when all are full:
 *
 *	chunk_stores:  [0] chunks 2048   [1] 2048   [2] 4096   [3] ...
 *
 * A key is in at most one of them. While state.deferred equals state.prepared, every entry belongs
 * to a live mapping of the target. Otherwise user space looks at the entries before the next copy.
 * A failed access costs a fault (about 1 us), so an operation remembers the pages that failed.
 */
#ifndef BPF_CHUNK_BPF_H
#define BPF_CHUNK_BPF_H

struct chunk_hash {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* set before the load */
	__type(key, __u64);
	__type(value, struct chunk);
} chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CHUNK_STORES);
	__type(key, __u32);
	__array(values, struct chunk_hash);
} chunk_stores SEC(".maps") = {
	.values = {&chunks},
};

/* Pages that the operation could not read or write: user space looks at them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SUSPECT_PAGES);
	__type(key, __u32);
	__type(value, __u64);
} suspects SEC(".maps");

/* Of a restore that user space does: what it must write. Of a checkpoint: what it has replaced. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, DIFFERENCES);
	__type(key, __u32);
	__type(value, struct difference);
} differences SEC(".maps");

struct failed_page {    /* at its page number modulo FAILED_PAGES */
	__u64 suspect;  /* as in suspects */
	__u64 sequence; /* of the operation it failed */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FAILED_PAGES);
	__type(key, __u32);
	__type(value, struct failed_page);
} failed_pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[CHUNK_BYTES / 8]);
} scratch SEC(".maps");

static const struct chunk empty_chunk;

/* ---- registering ---- */

enum chunk_action { CHUNK_ADD, CHUNK_DROP, CHUNK_ANNOUNCE, CHUNK_REVOKE, CHUNK_DROP_ANNOUNCED };

struct chunk_walk {
	__u64 start;
	enum chunk_action action;
	__u32 done; /* chunks from start on that are dealt with */
};

static __always_inline void *store_at(__u32 index)
{
	return bpf_map_lookup_elem(&chunk_stores, &index);
}

static struct chunk *find_chunk(__u64 address)
{
	struct chunk *chunk;
	void *store;
	__u32 i;

	for (i = 0; i < CHUNK_STORES && i < state.stores; i++) {
		store = store_at(i);
		if (!store)
			break;
		chunk = bpf_map_lookup_elem(store, &address);
		if (chunk)
			return chunk;
	}
	return NULL;
}

/* Not static, as walk_chunks(). */
__noinline bool has_chunk(__u64 address)
{
	return find_chunk(address) != NULL;
}

static long add_chunk(__u64 address)
{
	struct chunk *chunk = find_chunk(address);
	void *store;
	long err;
	__u32 i;

	if (chunk) { /* what was mapped here before is gone */
		chunk->state = CHUNK_EMPTY;
		chunk->first = chunk->announced = 0;
		return 0;
	}
	for (i = 0; i < CHUNK_STORES && i < state.stores; i++) {
		store = store_at(i);
		if (!store)
			break;
		err = bpf_map_update_elem(store, &address, &empty_chunk, BPF_NOEXIST);
		if (!err || err == -EEXIST) /* another thread has just added it */
			return 0;
	}
	count_drop(COUNTER_CHUNKS_REFUSED);
	return -1;
}

static void drop_chunk(__u64 address)
{
	void *store;
	__u32 i;

	for (i = 0; i < CHUNK_STORES && i < state.stores; i++) {
		store = store_at(i);
		if (!store || !bpf_map_delete_elem(store, &address))
			break;
	}
}

static long walk_step(__u32 index, struct chunk_walk *walk)
{
	__u64 address = walk->start + (__u64)index * CHUNK_BYTES;
	struct chunk *chunk;

	switch (walk->action) {
	case CHUNK_ADD:
		if (add_chunk(address))
			return 1;
		break;
	case CHUNK_DROP:
		drop_chunk(address);
		break;
	default:
		chunk = find_chunk(address);
		if (!chunk)
			break;
		if (walk->action != CHUNK_DROP_ANNOUNCED)
			chunk->announced = walk->action == CHUNK_ANNOUNCE;
		else if (chunk->announced)
			drop_chunk(address);
	}
	walk->done++;
	return 0;
}

/* Carries out an action on the chunks of [start, end), at most HOOK_CHUNKS of them. Returns the
 * end of the part that is done. Not static: the verifier looks at it once, not at each of its
 * calls. */
__noinline __u64 walk_chunks(__u64 start, __u64 end, enum chunk_action action)
{
	struct chunk_walk walk = {.start = start, .action = action};
	__u64 number = (end - start) / CHUNK_BYTES;

	if (number > HOOK_CHUNKS)
		number = HOOK_CHUNKS;
	bpf_loop(number, walk_step, &walk, 0);
	return start + (__u64)walk.done * CHUNK_BYTES;
}

/* ---- copying ---- */

/* The callbacks count in state.operation, not in a context on the stack. If the verifier knows that
 * an index starts at 0, it follows the loop value by value. */

static struct failed_page *failed_page_of(__u64 suspect)
{
	__u32 index = (suspect >> 12) % FAILED_PAGES;

	return bpf_map_lookup_elem(&failed_pages, &index);
}

static bool has_failed(__u64 suspect)
{
	struct failed_page *page = failed_page_of(suspect);

	return page && page->suspect == suspect && page->sequence == state.operation.sequence;
}

static void note_failed(__u64 suspect)
{
	struct failed_page *page = failed_page_of(suspect);
	__u32 index = state.operation.suspects++;
	__u64 *entry;

	if (page) {
		page->suspect = suspect;
		page->sequence = state.operation.sequence;
	}
	entry = bpf_map_lookup_elem(&suspects, &index);
	if (entry)
		*entry = suspect;
}

static __u64 suspect_of(__u64 address, __u64 kind)
{
	return (address & ~(PAGE_BYTES - 1)) | kind;
}

/* Keeps what the chunk has of the last snapshot, so that the checkpoint can be taken back. It takes
 * half as long as to read the chunk, so it is done where most memory is in slabs. */
static void keep_chunk(__u64 address, const struct chunk *chunk)
{
	struct difference *before;
	__u32 index = state.replaced++;

	before = bpf_map_lookup_elem(&differences, &index);
	if (!before)
		return; /* more than fit: user space sees it by their number */
	before->address = address | chunk->state;
	__builtin_memcpy(before->bytes, chunk->bytes, CHUNK_BYTES);
}

static long read_chunk(struct bpf_map *map, const __u64 *key, struct chunk *chunk, void *none)
{
	__u64 suspect = suspect_of(*key, SUSPECT_ABSENT);

	if (state.replacing)
		keep_chunk(*key, chunk);
	if (!has_failed(suspect)) {
		if (!bpf_probe_read_user(chunk->bytes, CHUNK_BYTES, (void *)*key)) {
			chunk->state = CHUNK_PRESENT;
			state.operation.copied++;
			return 0;
		}
		note_failed(suspect); /* and bytes are zero now */
	} else if (chunk->state != CHUNK_ABSENT) {
		__builtin_memset(chunk->bytes, 0, CHUNK_BYTES);
	}
	chunk->state = CHUNK_ABSENT;
	state.operation.absent++;
	return 0;
}

struct tail { /* a chunk that begins before its range */
	__u64 address;
	const struct chunk *chunk;
	long err;
};

static long write_byte(__u32 index, struct tail *tail)
{
	__u32 offset = tail->chunk->first + index;

	if (offset >= CHUNK_BYTES)
		return 1;
	tail->err = bpf_probe_write_user((void *)(tail->address + offset),
					 &tail->chunk->bytes[offset], 1);
	return tail->err != 0;
}

/* Writes the bytes of a chunk from chunk->first on. It is rarely above 0. */
static long write_bytes(__u64 address, const struct chunk *chunk)
{
	struct tail tail = {.address = address, .chunk = chunk};

	if (!chunk->first)
		return bpf_probe_write_user((void *)address, chunk->bytes, CHUNK_BYTES);
	bpf_loop(CHUNK_BYTES, write_byte, &tail, 0);
	return tail.err;
}

static bool is_zero(const __u64 *words)
{
	__u64 any = 0;
	__u32 i;

	for (i = 0; i < CHUNK_BYTES / 8; i++)
		any |= words[i];
	return !any;
}

/* The chunk was absent at the checkpoint. Is it absent now, or zero? */
static bool still_absent(__u64 address)
{
	__u64 suspect = suspect_of(address, SUSPECT_ABSENT);
	__u32 zero = 0;
	__u64 *words = bpf_map_lookup_elem(&scratch, &zero);

	if (has_failed(suspect))
		return true;
	if (words && bpf_probe_read_user(words, CHUNK_BYTES, (void *)address)) {
		note_failed(suspect);
		return true;
	}
	return words && is_zero(words);
}

static long write_chunk(struct bpf_map *map, const __u64 *key, struct chunk *chunk, void *none)
{
	__u64 suspect = suspect_of(*key, 0);

	if (chunk->state == CHUNK_EMPTY) {
		state.operation.newer++;
	} else if (chunk->state == CHUNK_UNREADABLE) {
		state.operation.lost++;
	} else if (chunk->state == CHUNK_ABSENT && still_absent(*key)) {
		state.operation.absent++;
	} else if (!has_failed(suspect) && !write_bytes(*key, chunk)) {
		state.operation.copied++;
	} else {
		if (!has_failed(suspect))
			note_failed(suspect);
		state.operation.unwritten++;
	}
	return 0;
}

/* ---- comparing, for a restore from user space ---- */

/* Compares from chunk->first on: the bytes before it are not ours. */
static bool is_same(__u64 address, const struct chunk *chunk)
{
	const __u64 *saved = (const __u64 *)chunk->bytes;
	__u32 zero = 0, first = chunk->first, i;
	__u64 *words = bpf_map_lookup_elem(&scratch, &zero), any = 0;

	if (!words || bpf_probe_read_user(words, CHUNK_BYTES, (void *)address))
		return false;
	for (i = 0; i < CHUNK_BYTES / 8; i++)
		if (first <= i * 8)
			any |= words[i] ^ saved[i];
		else if (first < i * 8 + 8)
			any |= (words[i] ^ saved[i]) >> (first % 8 * 8);
	return !any;
}

static long compare_chunk(struct bpf_map *map, const __u64 *key, struct chunk *chunk, void *none)
{
	struct difference *difference;
	__u32 index;

	if (chunk->state == CHUNK_EMPTY) {
		state.operation.newer++;
	} else if (chunk->state == CHUNK_UNREADABLE) {
		state.operation.lost++;
	} else if (chunk->state == CHUNK_ABSENT && still_absent(*key)) {
		state.operation.absent++;
	} else if (chunk->state == CHUNK_PRESENT && is_same(*key, chunk)) {
		state.operation.clean++;
	} else {
		index = state.operation.differences++;
		difference = bpf_map_lookup_elem(&differences, &index);
		if (!difference)
			return 0; /* more than fit: user space sees it by their number */
		difference->address = *key;
		__builtin_memcpy(difference->bytes, chunk->bytes, CHUNK_BYTES);
	}
	return 0;
}

/* ---- reading a store ---- */

/* Writes a store as a stream of struct stream_record. Reading it is twice as fast as system calls
 * that look up many elements at once, which user space makes where the kernel forbids this. */
SEC("?iter/bpf_map_elem")
int stream(struct bpf_iter__bpf_map_elem *ctx)
{
	struct chunk *chunk = ctx->value;
	__u64 *key = ctx->key, header;

	if (!key || !chunk)
		return 0; /* the end */
	header = *key | chunk->state;
	/* When the buffer is full, the kernel takes the record back and calls again for it. */
	if (!bpf_seq_write(ctx->meta->seq, &header, sizeof(header)) &&
	    chunk->state == CHUNK_PRESENT)
		(void)bpf_seq_write(ctx->meta->seq, chunk->bytes, CHUNK_BYTES);
	return 0;
}

#endif
