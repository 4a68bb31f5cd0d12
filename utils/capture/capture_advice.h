/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What madvise(2) and mmap(2) were told of the mappings of the calling process. It is in
 * /proc/self/smaps, which takes the kernel some 70 ms for 1 GiB. So that is only read if the
 * program has made such a call. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_ADVICE_H
#define CAPTURE_CAPTURE_ADVICE_H

#include "capture/capture_strings.h"

/* From now on capture_advice__note is called for each such call of the program. */
void capture_advice__rely(void);

/* The program has made such a call. */
void capture_advice__note(void);

/* Fills in the advice of the image, whose mappings are there. Returns 0, -ENOMEM or -errno. */
int capture_advice__add(struct capture *capture);

#endif
