/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_whole.h. The unit of time is the copy of a page that is in a cache, about 80 ns. The
 * other constants were measured in this unit.
 */
#include "rollback/restore_whole.h"

#include <sys/mman.h>

#include "pages/write_protect.h"
#include "rollback/bytes.h"
#include "rollback/zones.h"
#include "rollback/restore_pages.h"

enum {
	SEARCH = 14,       /* one question for written pages, ... */
	SEARCH_PAGES = 64, /* ... and one unit more for so many pages */
	HOT_PAGES = 8,     /* so many hot pages take one unit more than their copies */
	COLD = 16,         /* once if there are cold pages, which are armed by few calls, ... */
	COLD_PAGE = 16,    /* ... and for each one: a fault, a copy, and a part of a call */
	FAR_PAGES = 4096,  /* so large a zone is in no cache, where a copy takes longer, ... */
	FAR_COLD_PAGE = 6, /* ... and a cold page no longer than so many copies */

	DEAR_ROUNDS = 6,     /* a zone is whole after so many more dear rounds than others */
	FIRST_ROUNDS = 1024, /* it is tracked again after so many: not in one round of 100, ... */
	MOST_DOUBLINGS = 2,  /* ... and twice as many each time that it soon was whole again */
};

/* A copy over all of it must be right, and must not fail. */
static bool may_be_whole(const struct rollback *r, const struct zone *z)
{
	const int access = PROT_READ | PROT_WRITE;

	return (r->flags & ROLLBACK_FIXED_MAPPINGS) &&
	       r->files->tracking.way == WRITE_TRACKING_PROTECT && !z->file &&
	       z->stored == zone__page_count(z) && (z->protection & access) == access && z->armed &&
	       !z->changed && !z->lost;
}

/* Did this round take more time than to copy all pages? Several zones share a search. */
static bool was_dear(const struct rollback *r, const struct zone *z)
{
	const bool alone = r->zone_count == 1 || zone__is_dense(r, z);
	uint64_t time = z->hot + z->hot / HOT_PAGES;

	time += z->faults * (z->stored > FAR_PAGES ? FAR_COLD_PAGE : COLD_PAGE);
	time += z->faults ? COLD : 0;
	if (!z->listed)
		time += (alone ? SEARCH : 0) + z->stored / SEARCH_PAGES;
	return time > z->stored;
}

static void make_whole(const struct rollback *r, struct zone *z)
{
	if (write_protect__release(r->files->tracking.uffd, z->start, z->end))
		return;
	if (z->rounds > FIRST_ROUNDS)
		z->doublings = 0;
	else if (z->doublings < MOST_DOUBLINGS)
		z->doublings++;
	z->whole = true;
	z->rounds = 0;
}

void restore_whole__judge(struct rollback *r, struct zone *z)
{
	z->rounds++;
	if (was_dear(r, z))
		z->dear++;
	else if (z->dear > 0)
		z->dear--;
	if (z->dear < DEAR_ROUNDS)
		return;
	z->dear = 0;
	if (may_be_whole(r, z))
		make_whole(r, z);
}

static void track_again(struct rollback *r, struct zone *z)
{
	for (uint64_t i = 0; i < zone__page_count(z); i++)
		z->pages[i].heat = 0;
	r->stats.hot_pages -= z->hot;
	z->hot = 0;
	z->whole = false;
	z->changed = true;
	z->rounds = 0;
}

bool restore_whole__restore(struct rollback *r, struct zone *z)
{
	if (z->changed || ++z->rounds > (uint64_t)FIRST_ROUNDS << z->doublings) {
		track_again(r, z);
		return false;
	}
	if (!z->has_excluded) {
		bytes__copy(z->start, z->store, z->end - z->start);
		r->stats.last_copied_pages += z->stored;
		return true;
	}
	for (uint64_t at = z->start; at < z->end; at += PAGE_BYTES)
		restore_pages__copy(r, z, zone__page(z, at), at, zone__copy(z, at));
	return true;
}
