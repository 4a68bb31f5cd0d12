/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BCC's compiler, as far as it is used here: C text into loaded BPF programs and their maps. The
 * library includes LLVM, some 100 MiB, so it is opened only when it is needed. Building needs
 * neither it nor its headers.
 */
#ifndef TRACER_KERNEL_BCC_H
#define TRACER_KERNEL_BCC_H

#define BCC_LIBRARY "libbcc.so.0" /* of the package libbpfcc */

struct bcc;

/*
 * Compiles text; flags[count] are compiler flags. BCC looks for kernel headers in the folder that
 * the environment variable BCC_KERNEL_SOURCE names. Unless the user has set that, these are the few
 * that the tracer brings along (bpf/bcc). Returns 0 and *ret_bcc (bcc__free); or -errno after
 * saying why on stderr, where the compiler has written its diagnostics: -ENOENT without the library
 * or headers, -EINVAL if it does not compile.
 */
int bcc__compile(const char *text, const char *const *flags, int count, struct bcc **ret_bcc);

/* Loads a function of the text as a program of tracepoints, under a GPL-compatible license. A file
 * descriptor, the caller's; or -errno after saying on stderr what the kernel has against it. */
int bcc__load(const struct bcc *bcc, const char *function);

/* The map of that name. A file descriptor, the caller's; or -errno after saying why on stderr. */
int bcc__map(const struct bcc *bcc, const char *name);

/* Frees what was compiled; programs and maps stay as long as their file descriptors.
 * bcc__free(NULL) is harmless. */
void bcc__free(struct bcc *bcc);

#endif
