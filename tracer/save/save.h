/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An attached process, or a checkpoint of it, as an image: tracer ctl PID save.
 */
#ifndef TRACER_SAVE_SAVE_H
#define TRACER_SAVE_SAVE_H

#include "attach/attach.h"

/*
 * Writes an image that restart(1), readckpt(1) and gdb take, with the registers of all threads.
 * path: where it will be, as image_writer__open() takes it. name: the checkpoint whose memory and
 * registers it has; NULL: as the process is now. All else (open files, signal actions, ...) is as
 * it is now, as after a rollback. Returns 0 and *ret_result: the pages that it has, without those
 * of files; what attach__checkpoint() and attach__rollback() return; -REASON_STATE_NOT_SAVED;
 * -REASON_NOT_WRITTEN; -IMAGE_... (image_reason.h); or -errno. On failure path is as before. The
 * process runs on in any case.
 */
int save__image(struct attach *attach, const char *path, const char *name,
		struct attach_result *ret_result);

#endif
