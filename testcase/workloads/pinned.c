/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pages that the kernel holds on to: it writes to them without a page fault, and without a trace in
 * the page tables if they were held before they were armed. Also pages that it writes when a thread
 * ends.
 */
#include "writers.h"

static void register_memory(void)
{
	struct iovec buffer = {.iov_base = memory, .iov_len = BYTES};

	make_ring();
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1),
	     "IORING_REGISTER_BUFFERS");
}

static void register_and_let_go(void)
{
	register_memory();
	must(!syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0),
	     "IORING_UNREGISTER_BUFFERS");
}

/* ---- cases ---- */

CASE(play_ring, read_plain, make_ring)
CASE(play_registered, read_registered, register_memory)
CASE(play_let_go, store, register_and_let_go)
CASE(play_aio, read_by_aio, make_context)
CASE(play_in_pipe, store_in_pipe, NULL)
CASE(play_pipe, read_pipe, NULL)
CASE(play_robust_list, robust_list, NULL)

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"ring", play_ring},
		{"registered", play_registered},
		{"let-go", play_let_go},
		{"aio", play_aio},
		{"in-pipe", play_in_pipe},
		{"pipe", play_pipe},
		{"robust-list", play_robust_list},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
