/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See setting_names.h.
 */
#include "image/setting_names.h"

#include <stddef.h>

#include "image/image_format.h"

const char *setting_names__of(uint32_t option)
{
	static const struct {
		uint32_t option;
		const char *name;
	} names[] = {
		{IMAGE_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
		{IMAGE_SET_SECUREBITS, "PR_SET_SECUREBITS"},
		{IMAGE_SET_MCE_KILL, "PR_MCE_KILL"},
		{IMAGE_SET_SPECULATION, "PR_SET_SPECULATION_CTRL"},
		{IMAGE_SET_IO_FLUSHER, "PR_SET_IO_FLUSHER"},
		{IMAGE_SET_WRITE_XOR_EXECUTE, "PR_SET_MDWE"},
		{IMAGE_SET_MEMORY_MERGE, "PR_SET_MEMORY_MERGE"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].option == option)
			return names[i].name;
	}
	return "a setting";
}
