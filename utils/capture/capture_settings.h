/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What prctl(2), set_mempolicy(2) and mbind(2) were told: settings and memory policies of an image.
 * Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_SETTINGS_H
#define CAPTURE_CAPTURE_SETTINGS_H

#include "capture/capture_strings.h"
#include "capture/stopped_thread.h"

/* Of the calling thread. */
void capture_settings__describe(struct thread_settings *ret_settings);

/* Fills in settings and policies of the image, whose mappings are there. threads: all of them.
 * Returns 0 or -ENOMEM. */
int capture_settings__add(struct capture *capture, const struct stopped_thread *threads);

#endif
