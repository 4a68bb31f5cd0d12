/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See move_away.h.
 */
#include "become/move_away.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/page.h"
#include "become/die.h"

static void *at(uint64_t address)
{
	return (void *)address; /* NOLINT: an address of the image */
}

/* vvar and vdso go to a place where nothing of the image will be, or from there to theirs. */
static void move_kernel_parts(const struct plan *plan, bool to_shelter)
{
	uint64_t shelter = plan->shelter;

	for (size_t i = 0; i < plan->move_count; i++) {
		const struct plan_move *move = &plan->moves[i];
		uint64_t from = to_shelter ? move->from : shelter;
		uint64_t to = to_shelter ? shelter : move->to;

		if (mremap(at(from), move->bytes, move->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   at(to)) == MAP_FAILED)
			die__of("the kernel does not let the vdso be moved", -errno);
		shelter += move->bytes;
	}
}

static uint64_t shelter_end(const struct plan *plan)
{
	uint64_t end = plan->shelter;

	for (size_t i = 0; i < plan->move_count; i++)
		end += plan->moves[i].bytes;
	return end;
}

static void unmap(uint64_t start, uint64_t end)
{
	if (start < end)
		die__unless(munmap(at(start), end - start), "cannot leave the old memory");
}

void move_away__unmap_restart(const struct plan *plan)
{
	const uint64_t top = (1ULL << 47) - PAGE_BYTES;

	move_kernel_parts(plan, true);
	unmap(0, plan->program_start);
	unmap(plan->program_end, plan->start);
	unmap(shelter_end(plan), top);
}

void move_away__give_back_vdso(const struct plan *plan)
{
	move_kernel_parts(plan, false);
}
