/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ways to find the pages that may differ from the snapshot (dirty_pages.h): their names.
 */
#ifndef TRACER_ENGINE_DIRTY_WAY_H
#define TRACER_ENGINE_DIRTY_WAY_H

enum dirty_way {
	DIRTY_AUTO,    /* the first of the others that works; only as a wish */
	DIRTY_FAULTS,  /* armed as with the next, and the list of faults (kernel/fault_list.h) */
	DIRTY_SCAN,    /* userfaultfd(2) write protection, and PAGEMAP_SCAN */
	DIRTY_SOFT,    /* soft-dirty bits */
	DIRTY_COMPARE, /* nothing is armed: every page may differ */
	DIRTY_WAYS,
};

/* "scan", "compare", ...; of DIRTY_AUTO "auto". */
const char *dirty_way__name(enum dirty_way way);

#endif
