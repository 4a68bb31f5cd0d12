/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See registrations.h.
 */
#include "attach/registrations.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/page.h"
#include "target/inject.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31) /* linux/signal.h, which signal.h excludes */
#endif

/* May the thread make calls? Nothing changes. */
static int try_calls(const struct attach *attach, pid_t tid)
{
	struct inject *inject = NULL;
	int err = inject__open_held(attach->pid, tid, &inject);

	return err ? err : inject__close(inject);
}

/* The pages of an area of rseq(2), if there is one. */
static int count_as_changed(struct changes *changes, const struct registered *registered)
{
	const uint64_t start = page__start(registered->rseq);
	const uint64_t end = page__round_up(registered->rseq + registered->rseq_bytes);
	int err;

	if (!registered->rseq)
		return 0;
	err = intervals__add(&changes->written, start, end);
	return err ? err : intervals__add(&changes->data, start, end);
}

static int add(struct attach *attach, struct registrations *r, pid_t tid,
	       const struct registered *now, const struct registered *then)
{
	struct registration *items;
	int err = try_calls(attach, tid);

	if (err)
		return err;
	items = reallocarray(r->items, r->count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	r->items = items;
	items[r->count++] = (struct registration){.tid = tid, .now = *now, .then = then};
	err = count_as_changed(&attach->changes, now);
	return err ? err : count_as_changed(&attach->changes, then);
}

static void add_rest(const struct thread_record *record, struct registered *registered)
{
	registered->knows_rest = true;
	registered->signal_stack = record->signal_stack;
	registered->signal_stack_bytes = record->signal_stack_bytes;
	registered->signal_stack_flags = record->signal_stack_flags;
	registered->tid_address = record->tid_address;
}

/* Reads what the threads of the list have registered. ret: an array, of each. */
static void read_all(struct attach *attach, const struct threads *threads, struct registered *ret)
{
	const bool knows_rest = attach->reader && !thread_reader__read(attach->reader);

	for (size_t i = 0; i < threads->count; i++) {
		const struct thread_record *record =
			knows_rest ? thread_reader__find(attach->reader, threads->items[i].tid)
				   : NULL;

		registered__read(threads->items[i].tid, &ret[i]);
		if (record)
			add_rest(record, &ret[i]);
	}
}

/* How many calls have registered something; 0: they are not counted. */
static uint64_t count_calls(const struct attach *attach)
{
	return attach->reader && attach->faults && fault_list__is_watching(attach->faults)
		       ? thread_reader__registrations(attach->reader)
		       : 0;
}

/* A signal changes such a stack without a call. Inside its handler it looks like none. */
static bool has_stack_that_changes(const struct checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->threads.count; i++)
		if (checkpoint->registered[i].signal_stack_flags & SS_AUTODISARM)
			return true;
	return false;
}

/* Has nothing been registered since base, by the same threads? */
static bool is_known(const struct checkpoint *base, const struct checkpoint *checkpoint)
{
	if (!base || !checkpoint->registrations ||
	    base->registrations != checkpoint->registrations ||
	    base->threads.count != checkpoint->threads.count)
		return false;
	for (size_t i = 0; i < checkpoint->threads.count; i++)
		if (base->threads.items[i].tid != checkpoint->threads.items[i].tid ||
		    base->threads.items[i].start != checkpoint->threads.items[i].start)
			return false;
	return true;
}

void registrations__read(struct attach *attach, struct checkpoint *checkpoint)
{
	checkpoint->registrations = count_calls(attach);
	if (is_known(attach->base, checkpoint)) {
		memcpy(checkpoint->registered, attach->base->registered,
		       checkpoint->threads.count * sizeof(*checkpoint->registered));
		return;
	}
	read_all(attach, &checkpoint->threads, checkpoint->registered);
	if (has_stack_that_changes(checkpoint))
		checkpoint->registrations = 0;
}

void registrations__are_those_of(const struct attach *attach, struct checkpoint *checkpoint)
{
	if (checkpoint->registrations)
		checkpoint->registrations = count_calls(attach);
}

int registrations__find(struct attach *attach, const struct checkpoint *to,
			struct registrations *ret)
{
	struct registered *now;
	int err = 0;

	if (to->registrations && to->registrations == count_calls(attach))
		return 0;
	now = calloc(to->threads.count, sizeof(*now));
	if (!now)
		return -ENOMEM;
	read_all(attach, &to->threads, now);
	for (size_t i = 0; i < to->threads.count && !err; i++)
		if (!registered__is_same(&now[i], &to->registered[i]))
			err = add(attach, ret, to->threads.items[i].tid, &now[i],
				  &to->registered[i]);
	free(now);
	return err;
}

static int take_step(const struct registrations *registrations, struct attach *attach,
		     bool takes_away)
{
	int err = 0, closing;

	for (size_t i = 0; i < registrations->count && !err; i++) {
		const struct registration *item = &registrations->items[i];
		struct inject *inject = NULL;

		err = inject__open_held(attach->pid, item->tid, &inject);
		if (err)
			return err;
		err = takes_away ? registered__take_away(inject, &item->now, item->then)
				 : registered__put_back(inject, attach->memory, &item->now,
							item->then);
		closing = inject__close(inject);
		if (!err)
			err = closing;
	}
	return err;
}

int registrations__take_away(const struct registrations *registrations, struct attach *attach)
{
	return take_step(registrations, attach, true);
}

int registrations__put_back(const struct registrations *registrations, struct attach *attach)
{
	return take_step(registrations, attach, false);
}

void registrations__clear(struct registrations *registrations)
{
	free(registrations->items);
	*registrations = (struct registrations){0};
}
