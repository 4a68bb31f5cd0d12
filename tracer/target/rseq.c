/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rseq.h. The area's place is asked for with PTRACE_GET_RSEQ_CONFIGURATION, ptrace(2), Linux
 * 5.13.
 */
#include "target/rseq.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <linux/types.h>
#include "tracer.h"

struct rseq_area {
	uint64_t address;
	uint32_t length;
	uint8_t bytes[RSEQ_BYTES];
};

enum { FIRST_ROOM = 4 };

static int grow(struct rseq_areas *areas)
{
	size_t room = areas->room ? 2 * areas->room : FIRST_ROOM;
	struct rseq_area *larger = reallocarray(areas->items, room, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	areas->items = larger;
	areas->room = room;
	return 0;
}

int rseq__keep(struct rseq_areas *areas, struct memory *memory, pid_t tid)
{
	struct __ptrace_rseq_configuration configuration = {0};
	struct rseq_area *area;

	if (areas->count == areas->room && grow(areas))
		return -ENOMEM;
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(configuration),
		   &configuration) < 0 ||
	    !configuration.rseq_abi_pointer)
		return 0;
	area = &areas->items[areas->count];
	area->address = configuration.rseq_abi_pointer;
	area->length = configuration.rseq_abi_size;
	if (area->length > RSEQ_BYTES)
		area->length = RSEQ_BYTES;
	if (!memory__read(memory, area->address, area->bytes, area->length))
		areas->count++;
	return 0;
}

void rseq__put(struct rseq_areas *areas, struct memory *memory)
{
	for (size_t i = 0; i < areas->count; i++) {
		const struct rseq_area *area = &areas->items[i];

		(void)memory__write(memory, area->address, area->bytes,
				    area->length); /* gone: fine */
	}
	rseq__forget(areas);
}

void rseq__forget(struct rseq_areas *areas)
{
	areas->count = 0;
}

void rseq__clear(struct rseq_areas *areas)
{
	free(areas->items);
	*areas = (struct rseq_areas){0};
}
