/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See elsewhere.h. The Makefile says where the two are linked to.
 */
#include "restart/elsewhere.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/page.h"

/* From the linker: restart itself. */
extern const char __executable_start[], _end[]; /* NOLINT: the linker's names */

enum { LOW_END = 2 << 20 };

uint64_t elsewhere__start(void)
{
	return page__start((uintptr_t)__executable_start);
}

uint64_t elsewhere__end(void)
{
	return page__round_up((uintptr_t)_end);
}

const struct image_mapping *elsewhere__find_overlap(const struct image *image)
{
	const uint64_t start = elsewhere__start(), end = elsewhere__end();

	for (size_t i = 0; i < image->mapping_count; i++) {
		if (image->mappings[i].start < end && start < image->mappings[i].end)
			return &image->mappings[i];
	}
	return NULL;
}

/* In the build folder, beside restart; where they are installed, in a folder for libraries. */
void elsewhere__run(const struct image *image, char **argv)
{
	static const char *const places[] = {"restart-high", "../lib/tracer/restart-high"};
	char self[PATH_MAX], other[PATH_MAX];
	ssize_t length;

	if (elsewhere__start() >= LOW_END || !elsewhere__find_overlap(image))
		return;
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return;
	self[length] = '\0';
	self[strrchr(self, '/') - self + 1] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (snprintf(other, sizeof(other), "%s%s", self, places[i]) < (int)sizeof(other))
			(void)execv(other, argv);
	}
}
