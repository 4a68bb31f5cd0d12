/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The command line, read once and constant from then on.
 */
#ifndef TRACER_OPTIONS_H
#define TRACER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "engine/dirty_way.h"
#include "restore_path.h"
#include "target/regions.h"

struct options {
	const char *wait_name;   /* NULL: not given */
	const char *control_dir; /* "/tmp" unless told */
	const char *output;      /* the CSV; NULL: default name */
	const char *map_log;     /* NULL: none */
	const char *save;        /* the image; NULL: none */
	const char *user;        /* name or number; NULL: not given */
	const char *engine;      /* "chunk", "slab", "page" or "auto" */
	const char *socket_path; /* of the control socket; NULL: the default */
	const char *run_option;  /* the last one given that does not go with -p; NULL: none */
	char **program;          /* argv of the program, NULL-terminated; NULL: none */
	uint64_t max_chunks;     /* limit of the chunk store */
	uint64_t ready_chunks;   /* chunks allocated at the start, at most max_chunks */
	uint64_t slab_threshold; /* bytes; ranges of at least this size are kept in slabs */
	uint64_t pages_per_poll; /* with the page engine, else 0 */
	uint32_t regions;        /* mask of enum region */
	pid_t pid;               /* to attach to; 0: run or wait for a program */
	enum restore_path restore_path;
	enum dirty_way dirty_way;
	bool page_engine;
	bool restore_all; /* write everything back, not only what differs */
	bool verify;      /* keep checksums of slabs */
	bool stats;       /* the long summary */
	int verbosity;    /* enum log_level */
};

/*
 * Reads argv. A mistake is told on stderr and ends the process with status 125; --help, --usage and
 * --version end it with 0. Strings of *ret point into argv or are literals.
 */
void options__parse(int argc, char **argv, struct options *ret);

/* The base name of the program, or of what is waited for. */
const char *options__name(const struct options *options);

/* Writes the mask as users do ("mmap,heap,bss") to buffer, of at least 32 bytes. Returns buffer. */
char *options__regions_name(uint32_t regions, char *buffer);

#endif
