/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between make_plan.c and its parts draft_memory.c and vdso.c: what is gathered before it is known
 * how large the block of a plan must be. Nobody else needs it.
 */
#ifndef RESTART_DRAFT_H
#define RESTART_DRAFT_H

#include "become/plan.h"
#include "image/image.h"

struct slab_heap;

struct draft {
	const struct image_chain *chain;
	const struct image *image; /* the first of the chain */
	struct plan plan;
	struct slab_heap *heap; /* of mappings and pieces */
	struct plan_mapping *mappings;
	struct plan_piece *pieces;
	size_t piece_count, piece_room;
	/* A memfd for each shared memory that is mapped more than once. */
	struct shared_object {
		uint64_t inode;
		uint32_t dev_major, dev_minor;
		int fd;
	} * objects;
	size_t object_count;
	bool verify_later;   /* may checksums be verified while loading? */
	bool accept_changes; /* of files that are mapped shared and were replaced */
	char *message;
};

/*
 * Adds all mappings, with plan.mapping_count, and all pieces. What loading cannot verify is
 * verified. Returns 0; or -errno with a message.
 */
int draft__add_memory(struct draft *draft);

#endif
