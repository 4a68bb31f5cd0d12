/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of page faults that a tracer shares with its target, which asks for it over the control
 * socket (docs/socket.md). BPF writes it (bpf/shared_list.bpf.c), and the target maps it to read.
 * The target cannot write to it, and the tracer does not read it. All numbers only grow and are
 * never reset: a reader remembers how far it has come.
 *
 * The first write to a page that is armed (write_tracking.h) is in the list. The reader must look
 * at all pages if
 * - signs has grown: somebody else has held the lock of the memory, and may have written without a
 *   fault;
 * - calls has grown by more than the reader's own system calls;
 * - writes has grown by more than SHARED_LIST_PAGES;
 * - ends has grown: the list is over. A reader looks at it last, for it grows before the first BPF
 *   program goes.
 */
#ifndef PAGES_SHARED_LIST_H
#define PAGES_SHARED_LIST_H

#include <linux/types.h>

/* Entry number N is at index N modulo SHARED_LIST_PAGES: the address of a page, and in the low bits
 * the lap that it belongs to. The first lap is 1, so an entry that was never written has no lap. */
#define SHARED_LIST_PAGES       16384
#define SHARED_LIST_LAPS        4096
#define SHARED_LIST_LAP(number) (((number) / SHARED_LIST_PAGES + 1) % SHARED_LIST_LAPS)

struct shared_list {
	__u64 ends;   /* lists that were here and are over */
	__u64 writes; /* entries that were made */
	__u64 signs;  /* others, or io_uring, may have written so often without an entry */
	__u64 calls;  /* of the process itself, that may have written without an entry */
	__u64 entries[SHARED_LIST_PAGES];
};
_Static_assert(sizeof(struct shared_list) == 32 + SHARED_LIST_PAGES * 8,
	       "struct shared_list crosses the border");

#endif
