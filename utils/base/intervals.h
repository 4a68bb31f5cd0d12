/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A set of addresses, kept as sorted, disjoint, non-touching intervals [start, end):
 *
 *	items:  [0x1000,0x3000)  [0x5000,0x6000)  [0x7f00,0x8000)
 *
 * Invariant: items[i].start < items[i].end < items[i + 1].start. It holds after every call,
 * failed ones included. Knows nothing of processes or BPF.
 */
#ifndef BASE_INTERVALS_H
#define BASE_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
	uint64_t start, end; /* bytes */
};

struct intervals {              /* zero-initialised: the empty set */
	struct interval *items; /* owned by the set; freed by intervals__clear */
	size_t count, capacity;
};

/* Adds [start, end); an empty or reversed interval adds nothing. 0 or -ENOMEM (set unchanged). */
int intervals__add(struct intervals *set, uint64_t start, uint64_t end);

/* Takes [start, end) out and splits intervals that cross its edges. 0 or -ENOMEM (set
 * unchanged). */
int intervals__remove(struct intervals *set, uint64_t start, uint64_t end);

/* Adds all of other, which may be the same set. 0 or -ENOMEM (set unchanged). */
int intervals__unite(struct intervals *set, const struct intervals *other);

/* Make *ret a copy of a, the difference a - b, or the intersection of a and b. *ret must be another
 * set than a and b; its old content is dropped. Return 0 or -ENOMEM (*ret is then empty). */
int intervals__copy(const struct intervals *a, struct intervals *ret);
int intervals__subtract(const struct intervals *a, const struct intervals *b,
			struct intervals *ret);
int intervals__intersect(const struct intervals *a, const struct intervals *b,
			 struct intervals *ret);

/* The interval that holds address, or NULL. Valid until the set is next changed. */
const struct interval *intervals__find(const struct intervals *set, uint64_t address);

/* The number of addresses in the set. */
uint64_t intervals__bytes(const struct intervals *set);

/* Empties the set and frees its memory; harmless on an empty set and twice. */
void intervals__clear(struct intervals *set);

#endif
