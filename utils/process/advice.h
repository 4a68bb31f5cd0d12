/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What madvise(2) and mmap(2) were told of a mapping, in the words of /proc/PID/smaps. Usable
 * inside a signal handler.
 */
#ifndef PROCESS_ADVICE_H
#define PROCESS_ADVICE_H

#include <stdint.h>

/* IMAGE_ADVICE_... of a line "VmFlags: rd wr mr mw me ac". */
uint32_t advice__take(const char *line);

#endif
