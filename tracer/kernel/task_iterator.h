/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a BPF program (SEC("iter/task")) over the threads of one process, bpf_iter_create() of
 * libbpf.
 */
#ifndef KERNEL_TASK_ITERATOR_H
#define KERNEL_TASK_ITERATOR_H

#include <bpf/libbpf.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The program runs once for each thread of process pid, and once at the end without a thread.
 * program: of a loaded object. Returns 0 or -errno; then it may have run for some threads.
 */
int task_iterator__run(const struct bpf_program *program, pid_t pid);

/* The same in two steps, for what the program writes. open: returns a link, which the caller
 * closes with close(2); or -errno. read: reads at most size bytes, and returns their number or
 * -errno. */
int task_iterator__open(const struct bpf_program *program, pid_t pid);
long task_iterator__read(int link, void *bytes, size_t size);

#endif
