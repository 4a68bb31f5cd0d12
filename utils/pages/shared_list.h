/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of page faults that a tracer shares with its target, which asks for it over the control
 * socket (docs/socket.md). BPF writes it (bpf/shared_list.bpf.c), and the target maps it to read.
 * The target has no right to write to it, and the tracer reads none of it. All numbers only grow,
 * so a reader remembers how far it has come, and nothing is ever reset.
 *
 * The first write to a page that is armed (write_tracking.h) is in the list. The reader must look
 * at all pages if
 * - signs has grown: somebody else has held the lock of the memory, and may have written without a
 *   fault;
 * - calls has grown by more than the reader's own system calls;
 * - writes has grown by more than SHARED_LIST_PAGES;
 * - ends has grown, for then the list is over. It is read last: it grows before the first BPF
 *   program goes.
 */
#ifndef PAGES_SHARED_LIST_H
#define PAGES_SHARED_LIST_H

#include <linux/types.h>

/* Entry number N is at index N modulo SHARED_LIST_PAGES: the address of a page, and in the low bits
 * the lap it belongs to. The first lap is 1, so an entry that was never written is of no lap. */
#define SHARED_LIST_PAGES       16384
#define SHARED_LIST_LAPS        4096
#define SHARED_LIST_LAP(number) (((number) / SHARED_LIST_PAGES + 1) % SHARED_LIST_LAPS)

struct shared_list {
	__u64 ends;   /* lists that were here and are over: they cannot be relied on any more */
	__u64 writes; /* entries that were made */
	__u64 signs;  /* writes may be hidden: by others, or by io_uring */
	__u64 calls;  /* of the process itself, in which writes may be hidden */
	__u64 entries[SHARED_LIST_PAGES];
};
_Static_assert(sizeof(struct shared_list) == 32 + SHARED_LIST_PAGES * 8,
	       "struct shared_list crosses the border");

#endif
