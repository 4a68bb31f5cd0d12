/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot as an image (docs/image-format.md), for --save. It has memory alone, because a
 * snapshot has no registers. So restart refuses it; readckpt, gdb and readelf read it.
 */
#ifndef TRACER_REPORT_SNAPSHOT_IMAGE_H
#define TRACER_REPORT_SNAPSHOT_IMAGE_H

#include "engine/snapshot.h"
#include "image/image_output.h"

struct snapshot_image; /* what is known of the process at its last checkpoint */

/* 0 and *ret (snapshot_image__free), or -ENOMEM. */
int snapshot_image__create(struct snapshot_image **ret);

/*
 * Called at a checkpoint, while the target stands still or polls. Keeps its mappings with
 * permissions and names, its tracked ranges and its auxiliary vector. If a bss begins inside a
 * page, the bytes of .data before it are kept, too. What was kept at the checkpoint before is
 * dropped.
 * Returns 0; -ESRCH; -ENOMEM; -errno. On failure nothing is kept.
 */
int snapshot_image__remember(struct snapshot_image *image, const struct target *target,
			     const struct snapshot *snapshot);

/*
 * Writes the snapshot to path, safely (image_writer in image/image.h); gzip if it ends in ".gz".
 * Memory that the target has unmapped since is not in it.
 * Returns 0; -ENODATA if there is no snapshot; -IMAGE_MANY_SEGMENTS; -ENOMEM; or as
 * image_writer__open and the others do. On failure path is as it was. *ret_failure is always set.
 */
int snapshot_image__write(struct snapshot_image *image, const char *path, struct snapshot *snapshot,
			  const struct state *state, struct image_failure *ret_failure);

/* snapshot_image__free(NULL) is harmless. */
void snapshot_image__free(struct snapshot_image *image);

#endif
