/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the text of /proc. Usable inside a signal handler: no malloc, no stdio, no locale.
 */
#ifndef BASE_PROC_TEXT_H
#define BASE_PROC_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a whole small file of /proc into buffer, with a NUL at its end. Returns its length, -EFBIG
 * if it does not fit, or -errno. */
ssize_t proc_text__read(const char *path, char *buffer, size_t bytes);

/* Reads the number at *p, and moves *p behind it. base: at most 10, or 16 (small letters). 0 if
 * there is none. */
uint64_t proc_text__take_number(const char **p, unsigned int base);

/* The number behind the first occurrence of a word such as "flags:" and blanks; 0 if there is
 * none. */
uint64_t proc_text__find_number(const char *text, const char *word, unsigned int base);

/* The number of a namespace; 0: not known. link: "/proc/self/ns/net", say. */
uint64_t proc_text__find_namespace(const char *link);

/* Writes prefix, number and suffix to path, which has room for them. base: 10 or 16. */
void proc_text__make_path(char *path, const char *prefix, uint64_t number, unsigned int base,
			  const char *suffix);

enum { PROC_TEXT_MAP_PATH = 64 };

/* Writes the path of the link to the file of a mapping of the caller. The name of that file in
 * /proc/self/maps is not exact. */
void proc_text__map_path(char path[PROC_TEXT_MAP_PATH], uint64_t start, uint64_t end);

#endif
