/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See missing.h.
 */
#include "reopen/missing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

int missing__open(struct missing *m)
{
	*m = (struct missing){0};
	m->out = open_memstream(&m->text, &m->bytes);
	if (m->out)
		return 0;
	log__error("%s", strerror(ENOMEM));
	return -ENOMEM;
}

void missing__add(struct missing *m, const char *format, ...)
{
	va_list args;

	if (ftell(m->out) > 0)
		(void)fputs(", ", m->out);
	va_start(args, format);
	(void)vfprintf(m->out, format, args);
	va_end(args);
}

void missing__say(struct missing *m, const struct image *image)
{
	if (fflush(m->out) == 0 && m->bytes)
		log__info("%s comes back without: %s", image->process.name, m->text);
}

void missing__close(struct missing *m)
{
	if (m->out)
		(void)fclose(m->out);
	free(m->text);
	*m = (struct missing){0};
}
