/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See make_plan.h. What can be checked is checked, everything is gathered in a draft, and then
 * copied to one block.
 */
#include "restart/make_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/page.h"
#include "base/procfs.h"
#include "base/procfs_reason.h"
#include "image/image_internal.h"
#include "process/registrations.h"
#include "restart/draft.h"
#include "restart/elsewhere.h"
#include "restart/vdso.h"
#include "slab/slab_heap.h"

enum { ALIGNMENT = 64 };

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* ---- may it run here? ---- */

static const struct image_mapping *find_mapping(const struct image *image, uint64_t address)
{
	struct image_stretch stretch;

	image__locate(image, address, &stretch);
	return stretch.mapping;
}

static bool has_flags(const struct image *image, uint64_t address, uint64_t bytes, uint32_t flags)
{
	const struct image_mapping *m = find_mapping(image, address);

	return m && (m->flags & flags) == flags && bytes <= m->end - address;
}

static int check_threads(struct draft *d)
{
	const struct image *image = d->image;
	size_t with_pid = 0;

	for (size_t i = 0; i < image->thread_count; i++) {
		const struct image_thread *t = &image->threads[i];

		if (!has_flags(image, t->rip, 1, IMAGE_EXEC) ||
		    !has_flags(image, t->rsp, 8, IMAGE_READ | IMAGE_WRITE) ||
		    (t->tid_address && !has_flags(image, t->tid_address, 4, IMAGE_WRITE)))
			return image__fail(d->message, -EBADMSG, image->path,
					   "thread %d has no code or no stack to go on with",
					   t->tid);
		if (t->tid == image->process.pid) {
			d->plan.main = i;
			with_pid++;
		}
	}
	if (with_pid > 1)
		return image__fail(d->message, -EBADMSG, image->path,
				   "it has several threads of one number");
	if (!has_flags(image, image->process.restart, sizeof(struct image_restart), IMAGE_WRITE))
		return image__fail(d->message, -ENOEXEC, image->path,
				   "it was not written by libckpt, so nothing in it can go on");
	return 0;
}

static int check_machine(struct draft *d)
{
	const struct image *image = d->image;
	const struct image_mapping *overlap = elsewhere__find_overlap(image);
	uint64_t missing = image->process.xcr0 & ~registrations__xcr0();

	if (image->info.flags & IMAGE_NO_REGISTERS)
		return image__fail(d->message, -ENOEXEC, image->path,
				   "it holds memory without registers (of tracer --save): there is "
				   "nothing to go on with; gdb and readckpt can read it");
	if (missing)
		return image__fail(d->message, -EPROTONOSUPPORT, image->path,
				   "this processor lacks register sets that the program had "
				   "(XCR0 bits 0x%" PRIx64 ")",
				   missing);
	if (overlap)
		return image__fail(d->message, -EADDRINUSE, image->path,
				   "the program was at 0x%" PRIx64 ", where restart itself lies "
				   "(0x%" PRIx64 " to 0x%" PRIx64 "), and there is no restart-high",
				   overlap->start, d->plan.program_start, d->plan.program_end);
	return check_threads(d);
}

/* ---- the block ---- */

/* Finds the lowest gap of so many bytes, from an address on, that is free in both lists. */
static int find_hole(const struct image *image, const struct mappings *maps, uint64_t from,
		     uint64_t bytes, uint64_t *ret)
{
	size_t there = 0, here = 0;

	for (;;) {
		bool moved = false;

		while (there < image->mapping_count && image->mappings[there].end <= from)
			there++;
		while (here < maps->count && maps->items[here].end <= from)
			here++;
		if (there < image->mapping_count && image->mappings[there].start < from + bytes) {
			from = image->mappings[there].end;
			moved = true;
		}
		if (here < maps->count && maps->items[here].start < from + bytes) {
			from = maps->items[here].end;
			moved = true;
		}
		if (from + bytes >= 1ULL << 47)
			return -ENOMEM;
		if (!moved) {
			*ret = from;
			return 0;
		}
	}
}

/* Copies to the block, to *at, and moves that behind the copy. NULL: only takes the room. */
static void *place(uint64_t *at, const void *from, size_t bytes)
{
	void *to = (void *)*at; /* NOLINT: an address that we have chosen */

	if (from)
		memcpy(to, from, bytes);
	*at += round_up(bytes, ALIGNMENT);
	return to;
}

static uint64_t image_bytes(const struct image_chain *chain)
{
	uint64_t bytes = round_up(chain->count * sizeof(struct plan_image), ALIGNMENT);

	for (size_t i = 0; i < chain->count; i++)
		bytes += round_up(strlen(chain->images[i]->path) + 1, ALIGNMENT);
	return bytes;
}

static void place_images(uint64_t *at, const struct image_chain *chain, struct plan *plan)
{
	plan->image_count = chain->count;
	plan->images = place(at, NULL, chain->count * sizeof(*plan->images));
	for (size_t i = 0; i < chain->count; i++) {
		const char *path = chain->images[i]->path;
		char *copy = place(at, path, strlen(path) + 1);

		for (char *c = copy; *c; c++) {
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				*c = '?';
		}
		plan->images[i] = (struct plan_image){.path = copy, .fd = chain->images[i]->fd};
	}
}

static size_t scheduling_bytes(const struct image *image)
{
	return image->scheduling ? image->thread_count * sizeof(*image->scheduling) : 0;
}

static uint64_t block_bytes(const struct draft *d)
{
	const struct image *image = d->image;

	return round_up(sizeof(struct plan), ALIGNMENT) +
	       round_up(d->plan.mapping_count * sizeof(*d->mappings), ALIGNMENT) +
	       round_up(d->piece_count * sizeof(*d->pieces), ALIGNMENT) +
	       round_up(image->thread_count * sizeof(*image->threads), ALIGNMENT) +
	       round_up(scheduling_bytes(image), ALIGNMENT) +
	       round_up(image->setting_count * sizeof(*image->settings), ALIGNMENT) +
	       round_up(image->policy_count * sizeof(*image->policies), ALIGNMENT) +
	       round_up(image->auxv_bytes, ALIGNMENT) + image_bytes(d->chain) +
	       (image->thread_count + 1) * PLAN_STACK_BYTES;
}

static struct plan *fill_block(const struct draft *d)
{
	const struct image *image = d->image;
	uint64_t at = d->plan.start;
	struct plan *plan = place(&at, &d->plan, sizeof(*plan));

	plan->mappings = place(&at, d->mappings, plan->mapping_count * sizeof(*d->mappings));
	plan->pieces = place(&at, d->pieces, d->piece_count * sizeof(*d->pieces));
	plan->piece_count = d->piece_count;
	plan->threads = place(&at, image->threads, image->thread_count * sizeof(*image->threads));
	plan->thread_count = image->thread_count;
	if (image->scheduling)
		plan->scheduling = place(&at, image->scheduling, scheduling_bytes(image));
	plan->setting_count = image->setting_count;
	plan->settings = place(&at, image->settings, plan->setting_count * sizeof(*plan->settings));
	plan->policy_count = image->policy_count;
	plan->policies = place(&at, image->policies, plan->policy_count * sizeof(*plan->policies));
	plan->auxv = place(&at, image->auxv, image->auxv_bytes);
	plan->auxv_bytes = image->auxv_bytes;
	place_images(&at, d->chain, plan);
	plan->stacks = place(&at, NULL, (image->thread_count + 1) * PLAN_STACK_BYTES);
	memcpy(plan->signals, image->signals, sizeof(plan->signals));
	plan->process = image->process;
	return plan;
}

static int make_block(struct draft *d, struct plan **ret)
{
	uint64_t bytes = round_up(block_bytes(d), PAGE_BYTES), kernel_bytes = 0;
	struct mappings maps = {0};
	int err = procfs__mappings(0, &maps);
	void *block;

	if (err)
		return image__fail(d->message, err, d->image->path,
				   "cannot read /proc/self/maps: %s", procfs_reason__text(err));
	for (size_t i = 0; i < d->plan.move_count; i++)
		kernel_bytes += d->plan.moves[i].bytes;
	err = find_hole(d->image, &maps, d->plan.program_end, bytes + kernel_bytes, &d->plan.start);
	procfs__free_mappings(&maps);
	if (err)
		return image__fail(d->message, err, d->image->path, "no room to work in");
	d->plan.end = d->plan.start + bytes;
	d->plan.shelter = d->plan.end;
	block = mmap((void *)d->plan.start, bytes, PROT_READ | PROT_WRITE, /* NOLINT */
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (block == MAP_FAILED)
		return image__fail(d->message, -errno, d->image->path, "no room to work in: %s",
				   strerror(errno));
	*ret = fill_block(d);
	return 0;
}

int make_plan__of(const struct image_chain *chain, int first_fd, bool accept_changes,
		  struct plan **ret, char *message)
{
	struct draft d = {.chain = chain, .image = chain->images[0], .message = message};
	struct image_thread self = {0};
	int err;

	d.plan.first_fd = first_fd;
	d.accept_changes = accept_changes;
	d.plan.program_start = elsewhere__start();
	d.plan.program_end = elsewhere__end();
	self.fs_base = (uintptr_t)__builtin_thread_pointer();
	registrations__find_rseq(&self);
	d.plan.rseq = self.rseq;
	d.plan.rseq_bytes = self.rseq_bytes;
	d.plan.rseq_signature = self.rseq_signature;
	err = slab_heap__create(NULL, 0, &d.heap);
	if (err)
		return image__fail(message, err, d.image->path, "%s", strerror(-err));
	err = check_machine(&d);
	if (err)
		goto out;
	err = vdso__plan(chain, &d.plan, message);
	if (err)
		goto out;
	err = draft__add_memory(&d);
	if (err)
		goto out;
	err = make_block(&d, ret);
out:
	slab_heap__destroy(d.heap);
	return err;
}
