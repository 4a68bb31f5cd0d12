/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_engine.h. Which pages may hold data is read from pagemap before each copy.
 */
#include "engine/paged_engine.h"

#include <errno.h>
#include <string.h>
#include "target/reason.h"

int paged_engine__open(struct paged_engine *paged, const struct engine_ops *engine_ops,
		       const struct paged_ops *ops, struct state *state, int slots_fd,
		       int tables_fd)
{
	paged->engine = (struct engine){.ops = engine_ops, .state = state};
	paged->ops = ops;
	return extents__open(&paged->extents, slots_fd, tables_fd);
}

/* ---- the table ---- */

static int append(struct paged_engine *paged, uint64_t address, enum slab_state slab_state)
{
	struct state *state = paged->engine.state;
	uint32_t index = state->slabs;
	int err;

	if (index >= EXTENTS * EXTENT_SLABS)
		return -REASON_SLAB_LIMIT;
	err = extents__need_slab(&paged->extents, index);
	if (err)
		return err;
	*paged_engine__slab(paged, index) =
		(struct slab){.address = address, .state = (uint8_t)slab_state};
	state->slabs = index + 1;
	return 0;
}

static int append_all(struct paged_engine *paged, const struct intervals *pages,
		      enum slab_state slab_state)
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES)
			err = append(paged, page, slab_state);
	return err;
}

static void clear(struct paged_engine *paged)
{
	struct state *state = paged->engine.state;

	state->slabs = state->slots = state->visits = 0;
	paged->sorted = 0;
	intervals__clear(&paged->saved);
	intervals__clear(&paged->known);
}

/* The first of the sorted entries at or above address. */
static uint32_t first_at(const struct paged_engine *paged, uint64_t address)
{
	uint32_t low = 0, high = paged->sorted;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (paged_engine__slab(paged, middle)->address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int find_pages(struct memory *memory, const struct intervals *ranges,
		      struct intervals *pages)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = memory__data_pages(memory, ranges->items[i].start, ranges->items[i].end,
					 pages);
	return err;
}

/* ---- ranges ---- */

/* [start, end) is unmapped: what was saved of it is gone. */
static int drop_saved(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	int err;

	if (!paged->saved.count)
		return 0;
	for (uint32_t i = first_at(paged, start); i < paged->sorted; i++) {
		if (paged_engine__slab(paged, i)->address >= end)
			break;
		paged_engine__slab(paged, i)->state = SLAB_GONE;
	}
	for (uint32_t i = paged->sorted; i < paged->engine.state->slabs; i++) {
		struct slab *slab = paged_engine__slab(paged, i);

		if (slab->address >= start && slab->address < end)
			slab->state = SLAB_GONE;
	}
	err = intervals__remove(&paged->saved, start, end);
	if (err)
		return err;
	err = intervals__remove(&paged->known, start, end);
	if (err)
		return err;
	return paged->ops->drop ? paged->ops->drop(paged, start, end) : 0;
}

static int drop(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	int err = drop_saved(paged, start, end);

	if (err)
		return err;
	err = intervals__remove(&paged->engine.reserved, start, end);
	if (err)
		return err;
	return intervals__remove(&paged->engine.ranges, start, end);
}

int paged_engine__reset(struct engine *engine)
{
	clear(paged_engine__of(engine));
	return 0;
}

int paged_engine__note(struct engine *engine, const struct event *event)
{
	switch (event->kind) {
	case EVENT_EXEC:
		clear(paged_engine__of(engine));
		intervals__clear(&engine->ranges);
		intervals__clear(&engine->reserved);
		engine->state->has_slabs = 0;
		return 0;
	case EVENT_DROPPED:
	case EVENT_DOOMED:
		return drop(paged_engine__of(engine), event->start, event->end);
	default:
		return 0;
	}
}

int paged_engine__place(struct engine *engine, const struct intervals *wanted,
			const struct intervals *reserved)
{
	struct intervals ranges = {0}, rest = {0};
	int err = intervals__copy(wanted, &ranges);

	if (err)
		return err;
	err = intervals__copy(reserved, &rest);
	if (err) {
		intervals__clear(&ranges);
		return err;
	}
	intervals__clear(&engine->ranges);
	intervals__clear(&engine->reserved);
	engine->ranges = ranges;
	engine->reserved = rest;
	engine->state->has_slabs = ranges.count || rest.count;
	return 0;
}

int paged_engine__prune(struct engine *engine, const struct intervals *wanted,
			const struct intervals *reserved)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct intervals mapped = {0}, gone = {0};
	int err = intervals__copy(wanted, &mapped);

	if (err)
		goto out;
	err = intervals__unite(&mapped, reserved);
	if (err)
		goto out;
	err = intervals__subtract(&paged->saved, &mapped, &gone);
	for (size_t i = 0; i < gone.count && !err; i++)
		err = drop(paged, gone.items[i].start, gone.items[i].end);
out:
	intervals__clear(&mapped);
	intervals__clear(&gone);
	return err;
}

/* ---- before a copy ---- */

static int begin_checkpoint(struct paged_engine *paged, struct memory *memory)
{
	int err;

	clear(paged);
	err = intervals__copy(&paged->engine.ranges, &paged->saved);
	if (err)
		goto out;
	err = intervals__unite(&paged->saved, &paged->engine.reserved);
	if (err)
		goto out;
	err = find_pages(memory, &paged->saved, &paged->known);
	if (err)
		goto out;
	err = -REASON_SLAB_LIMIT;
	if (intervals__bytes(&paged->known) > (uint64_t)EXTENTS * EXTENT_SLABS * SLAB_BYTES)
		goto out;
	err = paged->ops->reserve(paged);
	if (err)
		goto out;
	err = extents__fit_slabs(&paged->extents, intervals__bytes(&paged->known) / SLAB_BYTES);
	if (err)
		goto out;
	err = append_all(paged, &paged->known, SLAB_DUE);
out:
	if (err)
		clear(paged);
	paged->sorted = paged->engine.state->slabs;
	return err;
}

/* Pages that hold data now and did not at the checkpoint are to read as zeros. */
static int begin_restore(struct paged_engine *paged, struct memory *memory)
{
	struct intervals now = {0}, since = {0};
	int err = find_pages(memory, &paged->saved, &now);

	if (err)
		goto out;
	err = intervals__subtract(&now, &paged->known, &since);
	if (err)
		goto out;
	err = append_all(paged, &since, SLAB_ZERO);
	if (err)
		goto out;
	err = intervals__unite(&paged->known, &since);
out:
	intervals__clear(&now);
	intervals__clear(&since);
	return err;
}

int paged_engine__begin(struct engine *engine, struct target *target, enum operation_kind kind)
{
	struct paged_engine *paged = paged_engine__of(engine);
	int err;

	if (!engine->state->has_slabs && !engine->state->slabs)
		return 0;
	err = target__look_again(target);
	if (err)
		goto out;
	if (kind == OPERATION_CHECKPOINT)
		err = begin_checkpoint(paged, target->memory);
	else
		err = begin_restore(paged, target->memory);
	if (err)
		goto out;
	err = paged->ops->lay_out(paged, kind);
out:
	if (err && kind == OPERATION_CHECKPOINT)
		clear(paged);
	return err;
}

/* ---- after a copy ---- */

static bool is_due(const struct slab *slab, struct memory *memory)
{
	return slab->flags & SLAB_DIRTY ||
	       (slab->flags & SLAB_FAILED && memory__holds_data(memory, slab->address));
}

/* Pages without data a checkpoint saves as zeros: for that the target may run. */
bool paged_engine__is_left(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (!engine->state->operation.slab_flags)
		return false;
	for (uint32_t i = 0; i < engine->state->slabs; i++)
		if (is_due(paged_engine__slab(paged, i), target->memory))
			return true;
	return false;
}

static bool is_zero(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, SLAB_BYTES - 1);
}

static int read_page(struct paged_engine *paged, struct memory *memory, struct slab *slab,
		     struct engine_result *result)
{
	uint8_t *bytes;
	int err;

	if (!memory__holds_data(memory, slab->address)) {
		slab->state = SLAB_ZERO;
		return 0;
	}
	err = paged->ops->next(paged, &bytes);
	if (err)
		return err;
	err = memory__read(memory, slab->address, bytes, SLAB_BYTES);
	if (err == -ESRCH)
		return err;
	if (err) {
		result->failed += SLAB_CHUNKS;
		return 0;
	}
	result->moved += SLAB_CHUNKS;
	result->forced += SLAB_CHUNKS;
	if (is_zero(bytes)) {
		slab->state = SLAB_ZERO;
		return 0;
	}
	err = paged->ops->keep(paged, slab, bytes);
	if (err)
		return err;
	slab->checksum = paged->verify ? slab_checksum((const __u64 *)bytes) : 0;
	slab->state = SLAB_PRESENT;
	return 0;
}

static int repair_checkpoint(struct paged_engine *paged, struct memory *memory,
			     struct engine_result *result)
{
	int err = 0;

	for (uint32_t i = 0; i < paged->engine.state->slabs && !err; i++) {
		struct slab *slab = paged_engine__slab(paged, i);

		if (slab->flags & SLAB_FAILED)
			err = read_page(paged, memory, slab, result);
	}
	return err;
}

static int write_batch(struct paged_engine *paged, struct memory *memory,
		       struct engine_result *result)
{
	uint64_t bytes, forced, failed;
	int err = write_batch__write(&paged->batch, memory, &bytes, &forced, &failed);

	result->moved += (bytes - failed) / CHUNK_BYTES;
	result->forced += forced / CHUNK_BYTES;
	result->failed += failed / CHUNK_BYTES;
	return err == -EFAULT ? 0 : err;
}

/* The bytes that a page had at the checkpoint. */
static int saved_bytes(struct paged_engine *paged, const struct slab *slab, uint32_t place,
		       uint8_t **ret_bytes)
{
	static uint8_t zeros[SLAB_BYTES]; /* never written to */

	if (slab->state == SLAB_PRESENT)
		return paged->ops->fetch(paged, slab, place, ret_bytes);
	*ret_bytes = zeros;
	return 0;
}

static int repair_restore(struct paged_engine *paged, struct memory *memory,
			  struct engine_result *result)
{
	uint32_t fetched = 0;
	int err;

	write_batch__forget(&paged->batch); /* of a restore that has failed */
	for (uint32_t i = 0; i < paged->engine.state->slabs; i++) {
		const struct slab *slab = paged_engine__slab(paged, i);
		uint8_t *bytes;

		if (!is_due(slab, memory))
			continue;
		if (paged->places && fetched == paged->places) {
			err = write_batch(paged, memory, result);
			if (err)
				return err;
			fetched = 0;
		}
		err = saved_bytes(paged, slab, fetched++, &bytes);
		if (err)
			return err;
		err = write_batch__add(&paged->batch, bytes, slab->address, SLAB_BYTES);
		if (err)
			return err;
	}
	return write_batch(paged, memory, result);
}

int paged_engine__repair(struct engine *engine, struct target *target, struct engine_result *result)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (!engine->state->operation.slab_flags)
		return 0;
	if (engine->state->operation.kind == OPERATION_CHECKPOINT)
		return repair_checkpoint(paged, target->memory, result);
	return repair_restore(paged, target->memory, result);
}

/* ---- what is saved ---- */

int paged_engine__visit(struct engine *engine, block_visitor *each, void *argument)
{
	static const enum block_state states[] = {[SLAB_DUE] = BLOCK_EMPTY,
						  [SLAB_PRESENT] = BLOCK_PRESENT,
						  [SLAB_ZERO] = BLOCK_ZERO,
						  [SLAB_UNREADABLE] = BLOCK_UNREADABLE};
	struct paged_engine *paged = paged_engine__of(engine);

	for (uint32_t i = 0; i < engine->state->slabs; i++) {
		const struct slab *slab = paged_engine__slab(paged, i);
		struct block block = {.engine = engine,
				      .address = slab->address,
				      .length = SLAB_BYTES,
				      .state = states[slab->state]};
		uint8_t *bytes;
		int err;

		if (slab->state == SLAB_GONE)
			continue;
		if (slab->state == SLAB_PRESENT) {
			err = paged->ops->fetch(paged, slab, 0, &bytes);
			if (err)
				return err;
			block.bytes = bytes;
		}
		each(&block, argument);
	}
	return 0;
}

int paged_engine__read(struct engine *engine, uint64_t address, const uint8_t **ret_bytes)
{
	struct paged_engine *paged = paged_engine__of(engine);
	uint32_t index = first_at(paged, address);
	uint8_t *bytes;
	int err;

	if (index == paged->sorted || paged_engine__slab(paged, index)->address != address)
		return -ENOENT;
	err = saved_bytes(paged, paged_engine__slab(paged, index), 0, &bytes);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t paged_engine__added(const struct engine *engine)
{
	const struct paged_engine *paged = paged_engine__of(engine);
	uint64_t count = 0;

	for (uint32_t i = paged->sorted; i < engine->state->slabs; i++)
		count += paged_engine__slab(paged, i)->state != SLAB_GONE;
	return count * SLAB_CHUNKS;
}

struct slab *paged_engine__first_present(const struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->engine.state->slabs; i++)
		if (paged_engine__slab(paged, i)->state == SLAB_PRESENT)
			return paged_engine__slab(paged, i);
	return NULL;
}

void paged_engine__close(struct paged_engine *paged)
{
	extents__close(&paged->extents);
	intervals__clear(&paged->engine.ranges);
	intervals__clear(&paged->engine.reserved);
	intervals__clear(&paged->saved);
	intervals__clear(&paged->known);
	write_batch__clear(&paged->batch);
}
