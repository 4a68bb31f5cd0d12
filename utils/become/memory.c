/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See memory.h.
 */
#include "become/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "become/die.h"
#include "become/load.h"
#include "become/move_away.h"

enum { CALL_MSEAL = 462 }; /* Linux 6.10 */

static void *at(uint64_t address)
{
	return (void *)address; /* NOLINT: an address of the image */
}

static void map(const struct plan_mapping *m)
{
	int protection = m->is_loaded ? PROT_READ | PROT_WRITE : m->protection;
	void *mapped = mmap(at(m->start), m->end - m->start, protection, m->flags | MAP_FIXED,
			    m->fd, (off_t)m->offset);

	/* The process may have used MAP_NORESERVE, which no image says. */
	if (mapped == MAP_FAILED && errno == ENOMEM)
		mapped = mmap(at(m->start), m->end - m->start, protection,
			      m->flags | MAP_FIXED | MAP_NORESERVE, m->fd, (off_t)m->offset);
	if (mapped == MAP_FAILED)
		die__of("cannot map memory of the process", -errno);
}

/* Before the pages come, so that they come from the right nodes. restart has tried it, and has said
 * what cannot be. */
static void bind_to_nodes(const struct plan *plan)
{
	for (size_t i = 0; i < plan->policy_count; i++) {
		const struct image_policy *p = &plan->policies[i];

		if (p->end)
			(void)syscall(SYS_mbind, p->start, p->end - p->start, p->mode, p->nodes,
				      IMAGE_NODES_MAX, 0);
	}
}

/* Guides the kernel as before. What this kernel does not have changes no contents. */
static void advise(const struct plan_mapping *m)
{
	static const struct {
		uint32_t advice;
		int number;
	} all[] = {
		{IMAGE_ADVICE_WIPE_ON_FORK, MADV_WIPEONFORK},
		{IMAGE_ADVICE_DONT_FORK, MADV_DONTFORK},
		{IMAGE_ADVICE_DONT_DUMP, MADV_DONTDUMP},
		{IMAGE_ADVICE_HUGE_PAGES, MADV_HUGEPAGE},
		{IMAGE_ADVICE_NO_HUGE_PAGES, MADV_NOHUGEPAGE},
		{IMAGE_ADVICE_MERGEABLE, MADV_MERGEABLE},
		{IMAGE_ADVICE_RANDOM, MADV_RANDOM},
		{IMAGE_ADVICE_SEQUENTIAL, MADV_SEQUENTIAL},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (m->advice & all[i].advice)
			(void)syscall(SYS_madvise, m->start, m->end - m->start, all[i].number);
	}
	if ((m->advice & IMAGE_ADVICE_LOCKED) &&
	    syscall(SYS_mlock2, m->start, m->end - m->start,
		    m->advice & IMAGE_ADVICE_LOCKED_ON_USE ? MLOCK_ONFAULT : 0) < 0)
		die__warn("memory that was locked (mlock) can be swapped out: the limit of locked "
			  "memory is too low");
}

__attribute__((noreturn)) static void die_of_image(const struct plan *plan,
						   const struct load_failure *failure)
{
	const char *path = "the image";

	for (size_t i = 0; i < plan->image_count; i++) {
		if (plan->images[i].fd == failure->fd)
			path = plan->images[i].path;
	}
	die__about(path, load__reason_text(failure->reason), failure->err);
}

void memory__make(const struct plan *plan)
{
	struct load_failure failure;

	for (size_t i = 0; i < plan->mapping_count; i++)
		map(&plan->mappings[i]);
	bind_to_nodes(plan);
	if (load__pieces(plan, &failure))
		die_of_image(plan, &failure);
	for (size_t i = 0; i < plan->mapping_count; i++) {
		const struct plan_mapping *m = &plan->mappings[i];

		if (m->is_loaded && m->protection != (PROT_READ | PROT_WRITE))
			die__unless(mprotect(at(m->start), m->end - m->start, m->protection),
				    "cannot protect memory of the process");
		advise(m);
		if (m->advice & IMAGE_ADVICE_SEALED)
			(void)syscall(CALL_MSEAL, m->start, m->end - m->start, 0);
	}
	move_away__give_back_vdso(plan);
}
