/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See setting_names.h.
 */
#include "image/setting_names.h"

#include <stddef.h>

const char *setting_names__of(uint32_t option)
{
	static const struct {
		uint32_t option;
		const char *name;
	} names[] = {
		{33, "PR_MCE_KILL"}, {53, "PR_SET_SPECULATION_CTRL"}, {57, "PR_SET_IO_FLUSHER"},
		{65, "PR_SET_MDWE"}, {67, "PR_SET_MEMORY_MERGE"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].option == option)
			return names[i].name;
	}
	return "a setting";
}
