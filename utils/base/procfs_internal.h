/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of procfs.h share.
 */
#ifndef BASE_PROCFS_INTERNAL_H
#define BASE_PROCFS_INTERNAL_H

#include <stdint.h>

/* The whole of a file as a NUL-terminated string, owned by the caller. Returns 0 or -errno. */
int procfs__read_text(int fd, char **ret_text);

/* Moves *p over a number in base 10 or 16. Returns 0, or -PROCFS_MALFORMED if there is none or it
 * is above max. */
int procfs__take_number(const char **p, unsigned int base, uint64_t max, uint64_t *ret_value);

#endif
