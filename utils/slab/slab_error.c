/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the errors of a cache mean, for people.
 */
#include <string.h>
#include "slab/slab.h"

#define ERROR(error, text) [(error)-SLAB_NO_OBJECT] = {#error, text}

static const struct {
	const char *name, *text;
} errors[] = {
	ERROR(SLAB_NO_OBJECT, "this is not the start of an object of this cache"),
	ERROR(SLAB_FREE_ALREADY, "this object is free already"),
	ERROR(SLAB_WRITTEN_BEHIND, "bytes behind this object were written to"),
	ERROR(SLAB_WRITTEN_BEFORE, "bytes before this object were written to"),
	ERROR(SLAB_WRITTEN_FREE, "this object was written to while it was free"),
	ERROR(SLAB_BROKEN, "the cache's own data is damaged"),
	ERROR(SLAB_INTERRUPTED, "a call for this cache was interrupted and must go on first"),
};
_Static_assert(sizeof(errors) / sizeof(*errors) == SLAB_ERRORS_END - SLAB_NO_OBJECT,
	       "a text for each error");

static bool is_own(int err)
{
	return -err >= SLAB_NO_OBJECT && -err < SLAB_ERRORS_END;
}

const char *slab_error__text(int err)
{
	const char *text;

	if (is_own(err))
		return errors[-err - SLAB_NO_OBJECT].text;
	text = strerrordesc_np(-err);
	return text ? text : "this is no error of a slab cache";
}

const char *slab_error__name(int err)
{
	const char *name;

	if (is_own(err))
		return errors[-err - SLAB_NO_OBJECT].name;
	name = strerrorname_np(-err);
	return name ? name : "?";
}
