/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rights.h. Source: capabilities(7).
 */
#include "restart/rights.h"

#include <stdint.h>
#include <unistd.h>

#include "base/proc_text.h"

/* Our own: the same as the image has. */
static struct image_rights read_own(void)
{
	struct image_rights own = {0};
	char text[4096];

	if (proc_text__read("/proc/self/status", text, sizeof(text)) <= 0)
		return own;
	return (struct image_rights){
		.permitted = proc_text__find_number(text, "CapPrm:", 16),
		.effective = proc_text__find_number(text, "CapEff:", 16),
		.inheritable = proc_text__find_number(text, "CapInh:", 16),
		.bounding = proc_text__find_number(text, "CapBnd:", 16),
		.ambient = proc_text__find_number(text, "CapAmb:", 16),
		.are_known = 1,
	};
}

bool rights__has_more(const struct image_rights *rights)
{
	const struct image_rights own = read_own();

	return rights->are_known && own.are_known &&
	       ((own.permitted & ~rights->permitted) || (own.effective & ~rights->effective) ||
		(own.bounding & ~rights->bounding));
}

void rights__add_missing(const struct image *image, struct missing *missing)
{
	const struct image_rights *rights = &image->rights;
	const struct image_rights own = read_own();

	if (!rights->are_known || !own.are_known || rights->euid != geteuid())
		return;
	/* What root misses is named where it is needed. */
	if (rights->euid != 0 && (rights->permitted & ~own.permitted))
		missing__add(missing, "capabilities that it had");
	else if ((rights->inheritable & ~own.inheritable) || (rights->ambient & ~own.ambient))
		missing__add(missing, "capabilities for programs that it executes");
}
