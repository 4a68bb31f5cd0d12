/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A list of page faults for a process that asks for it (utils/pages/shared_list.h): a BPF object of
 * its own (bpf/shared_list.bpf.c). Nobody but the process reads it. While there is a list, each
 * page fault of the machine, and each release of an mmap_lock, takes one comparison more.
 *
 *	list_sharing__open     once; loads it
 *	list_sharing__begin    a list begins, and the one before it is over
 *	list_sharing__end      it is over
 */
#ifndef TRACER_KERNEL_LIST_SHARING_H
#define TRACER_KERNEL_LIST_SHARING_H

#include <stdbool.h>
#include <sys/types.h>

struct list_sharing;

/* Takes some milliseconds. Returns 0 and *ret_sharing; -EPERM without root's capabilities; or
 * another -errno. */
int list_sharing__open(struct list_sharing **ret_sharing);

/* Has the process called exec since its first list? Then it needs another list_sharing: children of
 * the program before may have the list of this one. */
bool list_sharing__is_stale(const struct list_sharing *sharing);

/*
 * Lists the faults of the memory that the process has now. It takes about a millisecond.
 * Returns a new descriptor of the list, which the caller owns, and which can only be mapped for
 * reading; -ESRCH if there is no such process; or another -errno. On failure there is no list.
 */
int list_sharing__begin(struct list_sharing *sharing, pid_t pid);

/* Tells the reader that the list is over, then ends it. Harmless if there is none. */
void list_sharing__end(struct list_sharing *sharing);

/* Ends the list, too. list_sharing__close(NULL) is harmless. */
void list_sharing__close(struct list_sharing *sharing);

#endif
