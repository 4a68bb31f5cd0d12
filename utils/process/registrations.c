/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See registrations.h. The kernel tells what was given to set_tid_address(2) and
 * set_robust_list(2). What was given to rseq(2) only the C library tells.
 */
#include "process/registrations.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since glibc 2.35; sys/rseq.h. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));  /* NOLINT: the library's name */
extern const unsigned int __rseq_size __attribute__((weak)); /* NOLINT */

enum {
	RSEQ_SIGNATURE = 0x53053053,
	RSEQ_BYTES = 32,            /* the original size, and the smallest */
	FEATURE_SIZE = 27,          /* AT_RSEQ_FEATURE_SIZE, since Linux 6.3 */
	CONTROL_BLOCK_BYTES = 2304, /* where the tid is looked for; glibc 2.36 has it at 720 */
};

const struct registrations_membarrier registrations__membarriers[REGISTRATIONS_MEMBARRIERS] = {
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ},
};

void registrations__find_tid(struct image_thread *thread)
{
	int *address = NULL;

	/* Only with CONFIG_CHECKPOINT_RESTORE, which distributions have. */
	if (prctl(PR_GET_TID_ADDRESS, &address) == 0)
		thread->clear_tid = (uintptr_t)address;
	if (address && *address == thread->tid) {
		thread->tid_address = (uintptr_t)address;
		return;
	}
	/* glibc gives the kernel the address of its own copy; other libraries have it nearby. */
	address = (int *)thread->fs_base; /* NOLINT: the thread control block */
	for (size_t i = 0; address && i < CONTROL_BLOCK_BYTES / sizeof(*address); i++) {
		if (address[i] == thread->tid) {
			thread->tid_address = (uintptr_t)&address[i];
			return;
		}
	}
}

void registrations__find_rseq(struct image_thread *thread)
{
	unsigned long bytes = getauxval(FEATURE_SIZE);

	if (!&__rseq_offset || !&__rseq_size || __rseq_size == 0)
		return;
	thread->rseq = thread->fs_base + (uint64_t)__rseq_offset;
	thread->rseq_signature = RSEQ_SIGNATURE;
	/* glibc 2.40 and newer register as much as the kernel has, and then __rseq_size is not 32.
	 * Older ones register 32 bytes. */
	thread->rseq_bytes = RSEQ_BYTES;
	if (__rseq_size != RSEQ_BYTES && bytes > RSEQ_BYTES)
		thread->rseq_bytes = (uint32_t)(bytes + 31) / 32 * 32;
}

/* No program can register an address of the kernel's, so the call fails: with EFAULT if nothing is
 * registered, and else with EINVAL for the other address. Source: kernel/rseq.c. */
bool registrations__has_rseq(void)
{
	return syscall(SYS_rseq, 1ULL << 63, RSEQ_BYTES, 0, 0) < 0 && errno == EINVAL;
}

uint64_t registrations__xcr0(void)
{
	unsigned int a, b, c = 0, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 0;
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (uint64_t)d << 32 | a;
}

void registrations__open_keys(void)
{
	unsigned int a, b, c = 0, d;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_OSPKE))
		__asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(0), "c"(0), "d"(0)); /* wrpkru */
}
