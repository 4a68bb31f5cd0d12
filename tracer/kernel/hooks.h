/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The BPF object (bpf/tracer.bpf.c). The kernel side works from hooks__attach() until
 * hooks__free(), which takes every hook away.
 */
#ifndef TRACER_KERNEL_HOOKS_H
#define TRACER_KERNEL_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "kernel/kernel_check.h"

struct hooks;
struct tracer_bpf;

struct hook_settings {         /* strings are copied */
	const char *wait_name; /* the program to wait for; NULL: state.child says who it is */
	const char *request_paths[OPERATION_KINDS]; /* absolute, shorter than PATH_BYTES */
	const char *completion_paths[OPERATION_KINDS];
	uint64_t folder_inode;   /* of the control folder */
	uint32_t folder_device;  /* as the kernel numbers them */
	uint64_t slab_threshold; /* bytes; ranges from there on are kept in slabs */
	uint32_t ready_chunks;   /* places of the first chunk store */
	uint32_t pages_per_poll; /* with the page engine, else 0 */
	bool track_mmap, track_heap;
	bool restore_in_bpf; /* load the restore program */
	bool restore_all;    /* write everything back, not only what differs */
	bool verify;         /* keep checksums of slabs */
	bool list_faults;    /* load the programs of fault_list.h and thread_reader.h */
	bool nothing_else;   /* than these */
};

/*
 * Loads the BPF object and attaches the hooks that the settings and the kernel need.
 * Returns 0 and *ret_hooks, or -errno after saying on stderr what failed, with the end of libbpf's
 * own diagnostics.
 */
int hooks__attach(const struct hook_settings *settings, const struct kernel_facts *facts,
		  struct hooks **ret_hooks);

/*
 * Loads what fault_list.h and thread_reader.h need and nothing else, for a process that makes no
 * requests by files.
 * Returns 0 and *ret_hooks; -EPERM without root's capabilities; or another -errno. Says nothing on
 * stderr, for its caller can do without.
 */
int hooks__attach_fault_list(struct hooks **ret_hooks);

/* The memory shared with the kernel side; lives as long as hooks. */
struct state *hooks__state(const struct hooks *hooks);
/* The suspects map as an array of SUSPECT_PAGES, which user space may put in order. */
uint64_t *hooks__suspects(const struct hooks *hooks);
/* The differences map as an array of DIFFERENCES. */
const struct difference *hooks__differences(const struct hooks *hooks);
/* The map slab_list as an array of SLABS_LISTED. */
uint64_t *hooks__slab_list(const struct hooks *hooks);
/* File descriptors of maps, borrowed. */
int hooks__events_fd(const struct hooks *hooks);
int hooks__chunks_fd(const struct hooks *hooks);
int hooks__chunk_stores_fd(const struct hooks *hooks);
int hooks__extents_fd(const struct hooks *hooks);
int hooks__slab_tables_fd(const struct hooks *hooks);
int hooks__continuations_fd(const struct hooks *hooks);
/* File descriptors of programs, borrowed. pages_moved is only there with the page engine, stream
 * where the kernel allows it; otherwise they are negative. */
int hooks__stream_fd(const struct hooks *hooks);
int hooks__pages_moved_fd(const struct hooks *hooks);

/* The object itself, for the other files of this folder. */
struct tracer_bpf *hooks__object(const struct hooks *hooks);

/* memory: of the kernel, in bytes. */
typedef void map_visitor(const char *name, uint64_t places, uint64_t memory, void *argument);

/* Calls each for every map but the chunk stores. */
void hooks__for_each_map(const struct hooks *hooks, map_visitor *each, void *argument);

/* The hooks do nothing any more, and are soon gone (detach.h). hooks__free(NULL) is harmless. */
void hooks__free(struct hooks *hooks);

#endif
