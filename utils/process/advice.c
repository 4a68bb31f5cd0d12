/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See advice.h. Source: proc(5), VmFlags of smaps.
 */
#include "process/advice.h"

#include <stddef.h>
#include <string.h>

#include "image/image.h"

uint32_t advice__take(const char *line)
{
	static const struct {
		char name[3];
		uint32_t advice;
	} names[] = {
		{"gd", IMAGE_ADVICE_GROWS_DOWN},    {"wf", IMAGE_ADVICE_WIPE_ON_FORK},
		{"dc", IMAGE_ADVICE_DONT_FORK},     {"dd", IMAGE_ADVICE_DONT_DUMP},
		{"hg", IMAGE_ADVICE_HUGE_PAGES},    {"nh", IMAGE_ADVICE_NO_HUGE_PAGES},
		{"mg", IMAGE_ADVICE_MERGEABLE},     {"rr", IMAGE_ADVICE_RANDOM},
		{"sr", IMAGE_ADVICE_SEQUENTIAL},    {"lo", IMAGE_ADVICE_LOCKED},
		{"lf", IMAGE_ADVICE_LOCKED_ON_USE}, {"sl", IMAGE_ADVICE_SEALED},
	};
	uint32_t advice = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *at = strstr(line, names[i].name);

		if (at && at[-1] == ' ')
			advice |= names[i].advice;
	}
	return advice;
}
