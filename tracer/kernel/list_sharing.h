/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A list of page faults for a process that asks for it (utils/pages/shared_list.h): a BPF object of
 * its own (bpf/shared_list.bpf.c). The process reads it, and nobody else does. While it is shared,
 * its programs cost others a comparison in each page fault and in each system call.
 */
#ifndef TRACER_KERNEL_LIST_SHARING_H
#define TRACER_KERNEL_LIST_SHARING_H

#include <sys/types.h>

struct list_sharing;

/*
 * Begins to list the faults of the memory that the process has now. It takes some milliseconds.
 * Returns 0 and *ret_sharing; -EPERM without root's capabilities; -ESRCH if there is no such
 * process; or another -errno. On failure nothing stays attached.
 */
int list_sharing__open(pid_t pid, struct list_sharing **ret_sharing);

/* A new descriptor of the list, to be mapped for reading. Nobody can write to it. The caller owns
 * it. Returns it or -errno. */
int list_sharing__fd(const struct list_sharing *sharing);

/* The reader learns that the list is over, and then it ends. list_sharing__close(NULL) is
 * harmless. */
void list_sharing__close(struct list_sharing *sharing);

#endif
