/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All ways to write to a few pages of a mapping: by the program, by the kernel for it, by other
 * processes, with pages that come and go (writers.h). Memory that the kernel pins is in pinned.c.
 */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "writers.h"

/* ---- the ways ---- */

/* The same pages each time: after some rounds they are hot, and not armed any more. */
static void store_same(unsigned char *page, uint64_t with)
{
	(void)page;
	for (uint64_t i = 0; i < FEW; i++)
		store(memory + i * 23 * PAGE, with + i);
}

/* With a userfaultfd of the program's own, which stays open. */
static void register_memory(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register all = {.range = {(uintptr_t)memory, BYTES},
				      .mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &all))
		finish(WORKLOAD_SKIP, "no userfaultfd: %s", strerror(errno));
}

/* ---- cases ---- */

CASE(play_store, store, NULL)
CASE(play_same, store_same, NULL)
CASE(play_read, read_into, NULL)
CASE(play_direct, read_direct, NULL)
CASE(play_vm_writev, vm_writev, NULL)
CASE(play_proc_mem, proc_mem, NULL)
CASE(play_debugger, debugger, NULL)
CASE(play_beside_child, beside_child, NULL)
CASE(play_discard, discard, NULL)
CASE(play_free, free_lazily, NULL)
CASE(play_protect, protect, NULL)
CASE(play_signal, signal_frame, NULL)
CASE(play_registered, store, register_memory)

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"store", play_store},
		{"same", play_same},
		{"read", play_read},
		{"read-direct", play_direct},
		{"process-vm-writev", play_vm_writev},
		{"proc-mem", play_proc_mem},
		{"debugger", play_debugger},
		{"beside-child", play_beside_child},
		{"discard", play_discard},
		{"free", play_free},
		{"protect", play_protect},
		{"signal-frame", play_signal},
		{"registered", play_registered},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
