/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vdso.h. mremap(2) may move vvar and vdso as any other mapping, and their contents are the
 * kernel's wherever they are. Source: arch/x86/entry/vdso/vma.c.
 */
#include "restart/vdso.h"

#include <errno.h>
#include <string.h>

#include "base/procfs.h"
#include "base/procfs_reason.h"
#include "image/image_internal.h"
#include "image/image_reason.h"
#include "slab/slab_heap.h"

/* One of them, in this process or in the image. */
struct part {
	uint64_t start, bytes;
	bool is_code;
};

struct parts {
	struct part items[PLAN_KERNEL_PARTS];
	size_t count;
};

static void add_part(struct parts *parts, uint64_t start, uint64_t end, bool is_code)
{
	if (parts->count < PLAN_KERNEL_PARTS)
		parts->items[parts->count++] = (struct part){start, end - start, is_code};
}

static int find_here(struct parts *parts)
{
	struct mappings maps = {0};
	int err = procfs__mappings(0, &maps);

	for (size_t i = 0; i < maps.count; i++) {
		const struct mapping *m = &maps.items[i];
		bool is_code = strcmp(m->path, "[vdso]") == 0;

		if (is_code || strncmp(m->path, "[vvar", 5) == 0)
			add_part(parts, m->start, m->end, is_code);
	}
	procfs__free_mappings(&maps);
	return err;
}

static void find_in_image(const struct image *image, struct parts *parts)
{
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (m->flags & (IMAGE_VDSO | IMAGE_VVAR))
			add_part(parts, m->start, m->end, (m->flags & IMAGE_VDSO) != 0);
	}
}

/* Returns 0 and whether the code is the same, or -errno. */
static int compare_code(const struct image_chain *chain, const struct part *then,
			const struct part *now, bool *ret_same)
{
	struct slab_heap *heap = chain->images[0]->heap;
	void *bytes = slab_heap__alloc(heap, then->bytes);
	int err = bytes ? image_chain__read(chain, then->start, bytes, then->bytes) : -ENOMEM;

	if (!err)
		*ret_same = memcmp(bytes, (const void *)now->start, then->bytes) == 0; /* NOLINT */
	(void)slab_heap__free(heap, bytes);
	return err;
}

/* The same parts, at the same distance from each other? */
static bool is_same_shape(const struct parts *then, const struct parts *now)
{
	if (then->count != now->count)
		return false;
	for (size_t i = 0; i < then->count; i++) {
		const struct part *a = &then->items[i], *b = &now->items[i];

		if (a->bytes != b->bytes || a->is_code != b->is_code ||
		    a->start - then->items[0].start != b->start - now->items[0].start)
			return false;
	}
	return true;
}

int vdso__plan(const struct image_chain *chain, struct plan *plan, char *message)
{
	const struct image *image = chain->images[0];
	struct parts then = {.count = 0}, now = {.count = 0};
	int err = find_here(&now);
	bool same;

	if (err)
		return image__fail(message, err, image->path, "cannot read /proc/self/maps: %s",
				   procfs_reason__text(err));
	find_in_image(image, &then);
	if (then.count == 0)
		return 0;
	same = is_same_shape(&then, &now);
	for (size_t i = 0; i < then.count && same && !err; i++) {
		if (then.items[i].is_code)
			err = compare_code(chain, &then.items[i], &now.items[i], &same);
		plan->moves[i] = (struct plan_move){now.items[i].start, then.items[i].start,
						    then.items[i].bytes};
	}
	if (err)
		return image__fail(message, err, image->path, "cannot read the vdso: %s",
				   image_reason__text(err));
	if (!same)
		return image__fail(message, -EPROTONOSUPPORT, image->path,
				   "this kernel's vdso is not that of the kernel it was made on "
				   "(%s): it can be brought back there only",
				   image__string(image, image->info.kernel));
	plan->move_count = then.count;
	return 0;
}
