/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The names of variables of a process, from the symbol tables of the ELF files that it has mapped.
 * A file is read when an address in it is first asked for.
 */
#ifndef TRACER_DIFF_SYMBOLS_H
#define TRACER_DIFF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include "attach/file_sources.h"

struct symbols;

/* mappings, sources: borrowed until symbols__free(). NULL: there is no memory. */
struct symbols *symbols__create(pid_t pid, const struct mappings *mappings,
				struct file_sources *sources);

/* Writes the first variable that has a byte of [first, last]: "counter", or "counter+8" if start
 * lies 8 bytes inside it. start: at most first. "" if there is none, as in most of a stripped file.
 * Variables of a thread are not known. */
void symbols__name(struct symbols *symbols, uint64_t start, uint64_t first, uint64_t last,
		   char *text, size_t size);

/* symbols__free(NULL) is harmless. */
void symbols__free(struct symbols *symbols);

#endif
