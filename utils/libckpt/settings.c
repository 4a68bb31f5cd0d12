/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See settings.h.
 */
#include "libckpt/settings.h"

#include <string.h>

void settings__set_pid(struct settings *s, pid_t pid)
{
	const char *from = s->pattern + s->folder_bytes;
	char *to = s->path + s->folder_bytes;

	memcpy(s->path, s->pattern, s->folder_bytes);
	while (*from) {
		char digits[SETTINGS_PID_DIGITS];
		size_t i = sizeof(digits);

		if (from[0] != '%' || from[1] != 'p') {
			*to++ = *from++;
			continue;
		}
		for (pid_t rest = pid; rest > 0 && i > 0; rest /= 10)
			digits[--i] = (char)('0' + rest % 10);
		memcpy(to, digits + i, sizeof(digits) - i);
		to += sizeof(digits) - i;
		from += 2;
	}
	*to = '\0';
}
