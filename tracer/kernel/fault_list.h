/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of faults: which pages of a process were written since a mark, without a look at its
 * memory. BPF programs (bpf/faults.bpf.h) note the address of each write that traps, in memory that
 * both sides share. Reading the list takes no system call, and the same time for any memory.
 *
 *	fault_list__open       once; tries it
 *	fault_list__attach     before memory is armed
 *	fault_list__mark       when memory is armed; a round begins
 *	fault_list__pages      what was written since, and the mark for the next round
 *	fault_list__detach     when nothing is armed any more: then nobody pays for it
 *
 * The first write to an armed page is listed, whoever shares the memory and writes: a thread, the
 * kernel for it (read(2), signal frames, rseq), a child of vfork(2). First writes to other pages
 * are listed, too. The list may have too many pages. It never has too few, if this holds:
 * - All pages of interest that hold data are armed. One fault may fill a whole huge page, so a
 *   listed page stands for all pages of its FAULT_LIST_REACH, which is aligned, that held none.
 * - When the list is read and when pages are armed again, the threads stand still, or the only
 *   thread is in a poll. A fault is listed just before its page becomes writable.
 * - A mapping that was made or changed since the mark counts as written as a whole.
 *
 * Of writes without a trap there is only a sign. fault_list__pages then fails with -ESTALE, and the
 * caller scans. A sign is counted at madvise(2), at an exec, when another process comes to share
 * the memory (CLONE_VM), and when somebody releases its lock (mmap_lock), unless that ends a fault
 * or is done by the tracer. So these are seen: process_vm_writev, ptrace and /proc/PID/mem of any
 * process, a 32-bit one too; O_DIRECT reads, io_submit, io_uring, vmsplice, futexes in shared
 * memory, mlock, KVM; discarded pages. Harmless calls are signs as well: mmap, mprotect, fork, a
 * look into /proc/PID/smaps, khugepaged. What the tracer itself writes with process_vm_writev is
 * neither listed nor a sign.
 *
 * Some writes leave no sign, and the scan does not see them either. A caller that must be sure
 * compares:
 * - a write to a page that was pinned before it was armed, and still is: buffers registered with
 *   io_uring, asynchronous reads under way, devices;
 * - a write to shared memory, or to a file, whose private mapping shows it;
 * - what the process puts there with a userfaultfd of its own.
 */
#ifndef TRACER_KERNEL_FAULT_LIST_H
#define TRACER_KERNEL_FAULT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "kernel/hooks.h"

#define FAULT_LIST_REACH (2UL << 20)

struct fault_list;

/*
 * Prepares the list, and tries it on the calling process. A page that is written must be in it, and
 * writes that do not trap must be signs. hooks: attached with list_faults; borrowed, and to be
 * freed later than the list. Returns 0 and *ret_list; -EOPNOTSUPP if this machine or this kernel
 * cannot do it; or another -errno. Nothing stays attached.
 */
int fault_list__open(const struct hooks *hooks, struct fault_list **ret_list);

/*
 * Watches the memory that the process has now, and no other. It takes about a millisecond. After an
 * exec, nothing is watched; to watch another memory, attach again.
 * Returns 0; -ESRCH if there is no such process, or it has no memory any more; or another -errno.
 * On failure nothing is watched.
 */
int fault_list__attach(struct fault_list *list, pid_t pid);

/* Is a process watched? Not any more after its exec. */
bool fault_list__is_watching(const struct fault_list *list);

/* Where the list ends now. */
void fault_list__mark(const struct fault_list *list, struct fault_mark *ret_mark);

/* Is there no sign since a mark of this attachment? Then the list has all writes since, and the
 * process has not called exec. */
bool fault_list__has_all(const struct fault_list *list, const struct fault_mark *since);

/*
 * The pages that were written since a mark of this attachment.
 * pages: room for FAULT_PAGES addresses. They are in ascending order, each once.
 * Returns 0 with their number in *ret_count, and the end of the list in *ret_end; -ESTALE if pages
 * may have been written that are not listed, or nothing is watched; -EOVERFLOW if there were more
 * faults than the list holds, or an entry is not written yet. After a failure a new round begins
 * with fault_list__mark, and then with the scan, in this order.
 */
int fault_list__pages(const struct fault_list *list, const struct fault_mark *since,
		      uint64_t *pages, size_t *ret_count, struct fault_mark *ret_end);

/* Nothing is watched any more, and no program attached. Harmless if none was. */
void fault_list__detach(struct fault_list *list);

/* Detaches. fault_list__close(NULL) is harmless. */
void fault_list__close(struct fault_list *list);

#endif
