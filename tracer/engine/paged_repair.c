/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_internal.h: what is to be done after a copy.
 */
#include "engine/paged_engine.h"

#include <errno.h>
#include <string.h>
#include "engine/paged_internal.h"
#include "target/fault_injection.h"
#include "target/reason.h"

enum { READ_PAGES = 64 }; /* that are compared with one read */

/* Restores in which most pages differ, until one compares again. */
enum { UNCOMPARED_MOST = 15 };

/* Slots that pages of zeros do not need. */
static void give_back_slots(struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->listed; i++) {
		struct slab *slab = paged_engine__slab(paged, paged->list[i]);

		if (slab->state == SLAB_ZERO && slab->slot != NO_SLOT)
			paged_engine__give_slot(slab, paged);
	}
}

/* A page of the snapshot differs from memory, though the copy is done: it is left to the repair. */
static int flag_page(struct paged_engine *paged, uint32_t index)
{
	struct operation *operation = &paged->engine.state->operation;
	struct slab *slab = paged_engine__slab(paged, index);
	bool listed = slab->flags & SLAB_LISTED;
	int err;

	if (slab->flags & (SLAB_DIRTY | SLAB_FAILED))
		return 0;
	if (paged_engine__is_restore(paged)) {
		if (paged->narrow && !listed) {
			err = paged_list__put(paged, index);
			if (err)
				return err;
			operation->clean -= SLAB_CHUNKS;
			operation->unwritten += SLAB_CHUNKS;
		}
		paged_engine__flag(paged, slab, SLAB_DIRTY);
		return 0;
	}
	if (!listed) {
		err = paged_list__make_due(paged, index);
		if (err)
			return err;
		err = paged_list__put(paged, index);
		if (err)
			return err;
	}
	*(listed ? &operation->copied : &operation->clean) -= SLAB_CHUNKS;
	operation->absent += SLAB_CHUNKS;
	paged_engine__flag(paged, slab, SLAB_FAILED);
	return 0;
}

/* Flags a page, or only remembers that it may differ. */
static int note_page(struct paged_engine *paged, uint32_t index, bool flag)
{
	uint64_t address = paged_engine__slab(paged, index)->address;

	if (flag)
		return flag_page(paged, index);
	return intervals__add(&paged->later, address, address + SLAB_BYTES);
}

static int compare_page(struct paged_engine *paged, uint64_t address, const uint8_t *bytes,
			bool flag)
{
	uint32_t index = slab_table__find(&paged->table, address);
	uint8_t *saved;
	int err;

	if (index == NO_SLAB ||
	    paged_engine__slab(paged, index)->flags & (SLAB_DIRTY | SLAB_FAILED))
		return 0;
	err = paged_engine__saved_bytes(paged, paged_engine__slab(paged, index), 0, &saved);
	if (err || !memcmp(saved, bytes, SLAB_BYTES))
		return err;
	return note_page(paged, index, flag);
}

/* Notes the pages of [start, end), at most READ_PAGES, that differ. */
static int compare_few(struct paged_engine *paged, struct memory *memory, uint64_t start,
		       uint64_t end, bool flag)
{
	static uint8_t bytes[READ_PAGES * SLAB_BYTES];
	int err = memory__read(memory, start, bytes, end - start);

	if (err == -ESRCH)
		return err;
	if (err && end - start > SLAB_BYTES) { /* one of them cannot be read */
		for (err = 0; start < end && !err; start += SLAB_BYTES)
			err = compare_few(paged, memory, start, start + SLAB_BYTES, flag);
		return err;
	}
	if (err) {
		uint32_t index = slab_table__find(&paged->table, start);

		return index == NO_SLAB ? 0 : note_page(paged, index, flag);
	}
	for (const uint8_t *page = bytes; start < end && !err;
	     start += SLAB_BYTES, page += SLAB_BYTES)
		err = compare_page(paged, start, page, flag);
	return err;
}

static int compare_pages(struct paged_engine *paged, struct memory *memory,
			 const struct intervals *pages, bool flag)
{
	const uint64_t most = (uint64_t)READ_PAGES * SLAB_BYTES;
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++) {
		const struct interval *run = &pages->items[i];

		for (uint64_t at = run->start; at < run->end && !err; at += most)
			err = compare_few(paged, memory, at,
					  run->end - at < most ? run->end : at + most, flag);
	}
	return err;
}

/* Has the target stood still since the copy compared all pages that it visits? Not if it took more
 * than one poll. */
static bool is_settled(const struct paged_engine *paged, const struct target *target)
{
	const struct state *state = paged->engine.state;

	return paged_engine__is_restore(paged) && target->held && !paged->unsure &&
	       !state->pages_per_poll && state->visits <= SLAB_BATCH;
}

/* The pages of a set that may be right or not. Those that the repair will write need not be read
 * again. */
static int find_open(struct paged_engine *paged, const struct target *target,
		     const struct intervals *pages, struct intervals *ret)
{
	bool is_sure = is_settled(paged, target);
	struct intervals seen = {0};
	int err = 0;

	for (uint32_t i = 0; i < paged->listed && !err; i++) {
		const struct slab *slab = paged_engine__slab(paged, paged->list[i]);

		if (is_sure || slab->flags & (SLAB_DIRTY | SLAB_FAILED))
			err = intervals__add(&seen, slab->address, slab->address + SLAB_BYTES);
	}
	if (err)
		goto out;
	err = intervals__subtract(pages, &seen, ret);
out:
	intervals__clear(&seen);
	return err;
}

static int flag_empty(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);

	if (index == NO_SLAB || paged_engine__slab(paged, index)->state != SLAB_PRESENT)
		return 0;
	return flag_page(paged, index);
}

/* Pages that were touched since the operation has begun, and that it does not have. */
static int flag_fresh(struct paged_engine *paged, const struct intervals *fresh)
{
	struct operation *operation = &paged->engine.state->operation;
	uint32_t before = paged->engine.state->slabs;
	int err = paged_list__add_pages(paged, fresh);

	for (uint32_t i = before; i < paged->engine.state->slabs; i++) {
		paged_engine__flag(paged, paged_engine__slab(paged, i),
				   paged_engine__is_restore(paged) ? SLAB_DIRTY : SLAB_FAILED);
		*(paged_engine__is_restore(paged) ? &operation->unwritten : &operation->absent) +=
			SLAB_CHUNKS;
	}
	return err;
}

/* The target has run since the preparation: flags the pages that are not right any more. */
static int look_again(struct paged_engine *paged, const struct target *target)
{
	struct dirty_pages *dirty = &paged->dirty;
	struct memory *memory = target->memory;
	struct intervals fresh = {0}, open = {0};
	int err = dirty_pages__ask(dirty, memory, &paged->saved, &paged->known);

	if (err)
		goto out;
	if (!paged_engine__is_still(paged, target))
		dirty_pages__doubt(dirty);
	/* a restore has armed its pages already, so the answer lacks them */
	err = paged_engine__is_restore(paged) ? intervals__unite(&dirty->written, &paged->pending)
					      : 0;
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &dirty->written);
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &dirty->missing);
	if (err)
		goto out;
	err = intervals__subtract(&dirty->written, &paged->known, &fresh);
	if (err)
		goto out;
	err = find_open(paged, target, &dirty->written, &open);
	if (err)
		goto out;
	err = compare_pages(paged, memory, &open, true);
	if (err)
		goto out;
	err = paged_list__for_each(paged, &dirty->missing, flag_empty);
	if (err)
		goto out;
	err = flag_fresh(paged, &fresh);
out:
	intervals__clear(&fresh);
	intervals__clear(&open);
	return err;
}

/* Do so many of the pages differ that to compare them was in vain? */
static void count_differences(struct paged_engine *paged)
{
	const struct operation *operation = &paged->engine.state->operation;
	uint64_t unvisited = slab_table__pages(&paged->table) - paged->engine.visited;
	uint64_t same = operation->clean / SLAB_CHUNKS - unvisited;

	paged->is_sample = false;
	paged->uncompared = same <= paged->engine.visited / 8 ? UNCOMPARED_MOST : 0;
}

/* Where the target stands still since it was asked, nothing is to be done. */
int paged_engine__collect(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);
	const struct state *state = engine->state;
	int err = 0;

	give_back_slots(paged);
	if (paged->is_sample)
		count_differences(paged);
	intervals__clear(&paged->later);
	if (paged->revisions.begun)
		err = fault_injection__pass("changed", target->pid);
	if (err)
		return err;
	if (!paged->tracked)
		return 0;
	if (paged_engine__is_restore(paged) && !target->held) {
		err = paged_engine__arm(paged, target);
		if (err)
			return err;
		if (!paged_engine__is_still(paged, target))
			dirty_pages__doubt(&paged->dirty);
		if (__atomic_load_n(&state->ran_after_copy, __ATOMIC_SEQ_CST) &&
		    !state->ran_before_copy)
			return compare_pages(paged, target->memory, &paged->pending, false);
	}
	if (!paged->narrow || !state->ran_before_copy)
		return 0;
	paged->unsure = !target->held;
	return look_again(paged, target);
}

static bool needs_repair(const struct slab *slab, struct memory *memory)
{
	return slab->flags & SLAB_DIRTY ||
	       (slab->flags & SLAB_FAILED && memory__holds_data(memory, slab->address));
}

/* A checkpoint saves pages without data as zeros: for that the target may run. */
bool paged_engine__needs_hold(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (!engine->state->operation.slab_flags)
		return false;
	for (uint32_t i = 0; i < paged_engine__visits(paged); i++)
		if (needs_repair(paged_engine__visited(paged, i), target->memory))
			return true;
	return false;
}

static bool is_zero(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, SLAB_BYTES - 1);
}

static void set_zero(struct paged_engine *paged, struct slab *slab)
{
	paged_engine__give_slot(slab, paged);
	slab->state = SLAB_ZERO;
}

static int read_page(struct paged_engine *paged, struct memory *memory, struct slab *slab,
		     struct engine_result *result)
{
	uint8_t *bytes;
	int err;

	if (!memory__holds_data(memory, slab->address)) {
		set_zero(paged, slab);
		return 0;
	}
	err = paged->ops->next(paged, slab, &bytes);
	if (err)
		return err;
	err = memory__read(memory, slab->address, bytes, SLAB_BYTES);
	if (err == -ESRCH)
		return err;
	if (err) {
		slab->state = SLAB_UNREADABLE;
		result->failed += SLAB_CHUNKS;
		return 0;
	}
	result->moved += SLAB_CHUNKS;
	result->forced += SLAB_CHUNKS;
	if (is_zero(bytes)) {
		set_zero(paged, slab);
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

	for (uint32_t i = 0; i < paged_engine__visits(paged) && !err; i++) {
		struct slab *slab = paged_engine__visited(paged, i);

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

static int repair_restore(struct paged_engine *paged, struct memory *memory,
			  struct engine_result *result)
{
	uint32_t fetched = 0;
	int err;

	write_batch__forget(&paged->batch); /* of a restore that has failed */
	for (uint32_t i = 0; i < paged_engine__visits(paged); i++) {
		const struct slab *slab = paged_engine__visited(paged, i);
		uint8_t *bytes;

		if (!needs_repair(slab, memory))
			continue;
		if (paged->fetched_most && fetched == paged->fetched_most) {
			err = write_batch(paged, memory, result);
			if (err)
				return err;
			fetched = 0;
		}
		err = paged_engine__saved_bytes(paged, slab, fetched++, &bytes);
		if (err)
			return err;
		err = write_batch__add(&paged->batch, bytes, slab->address, SLAB_BYTES);
		if (err)
			return err;
	}
	return write_batch(paged, memory, result);
}

static int repair(struct paged_engine *paged, struct target *target, struct engine_result *result)
{
	int err;

	if (!paged->engine.state->operation.slab_flags)
		return 0;
	if (paged->unsure && target->held) {
		err = look_again(paged, target);
		if (err)
			return err;
	}
	if (!paged_engine__is_restore(paged))
		return repair_checkpoint(paged, target->memory, result);
	return repair_restore(paged, target->memory, result);
}

/* If all of the restore has succeeded, memory equals the snapshot, except pages that were written
 * since. */
static int settle(struct paged_engine *paged, struct target *target,
		  const struct engine_result *result)
{
	const struct operation *operation = &paged->engine.state->operation;
	int err;

	if (!paged_engine__is_restore(paged))
		return 0;
	if (paged->tracked && target->held) {
		err = paged_engine__arm(paged, target);
		if (err)
			return err;
	}
	if (result->failed || operation->lost || operation->failed)
		return 0;
	intervals__clear(&paged->pending);
	paged->pending = paged->later;
	paged->later = (struct intervals){0};
	return 0;
}

int paged_engine__repair(struct engine *engine, struct target *target, struct engine_result *result)
{
	struct paged_engine *paged = paged_engine__of(engine);
	int err = repair(paged, target, result);

	return err ? err : settle(paged, target, result);
}
