/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel side (bpf/tracer.bpf.c) as an ordinary C file. Functions that count their calls play
 * the helpers of BPF. The stores have no chunk, and no memory of a target can be read. A program
 * includes it once.
 */
#ifndef UNIT_KERNEL_SIDE_H
#define UNIT_KERNEL_SIDE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* instead of libbpf's headers */
#define __BPF_HELPERS__
#define __BPF_CORE_READ_H__
#define SEC(name)
#define __noinline __attribute__((noinline))
#undef __always_inline
#define __always_inline               inline __attribute__((always_inline))
#define __uint(name, value)           int(*name)[value]
#define __type(name, value)           __typeof__(value) *name
#define __array(name, value)          __typeof__(value) *name[]
#define bpf_core_field_exists(field)  1
#define CORE_READ_1(pointer, a)       ((pointer)->a)
#define CORE_READ_2(pointer, a, b)    ((pointer)->a->b)
#define CORE_READ_3(pointer, a, b, c) ((pointer)->a->b->c)
#define CORE_READ(a, b, c, read, ...) read
#define BPF_CORE_READ(pointer, ...)                                                                \
	CORE_READ(__VA_ARGS__, CORE_READ_3, CORE_READ_2, CORE_READ_1, )(pointer, __VA_ARGS__)

#pragma GCC diagnostic ignored "-Wattributes"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernel.h"
#include <linux/bpf.h>

static struct kernel_side {
	struct pt_regs registers;
	struct signal_struct signal;
	struct mm_struct mm;
	struct cred cred;
	struct fdtable fdt;
	struct files_struct files;
	struct task_struct task;
	char storage[64];         /* of the task */
	char event[64];           /* the one sent last */
	const char *text;         /* what user memory holds, at any address */
	uint64_t *element;        /* what is found in any map; NULL: nothing */
	void (*user_space)(void); /* plays what runs on another processor */
	void (*thread)(void);     /* likewise, once: another thread of the target */
	uint32_t announced;       /* the thread that asked, as the last event found it */
	uint64_t now_ns;
	uint32_t tgid, tid;    /* tid 0: the first thread */
	unsigned int steps;    /* of bpf_loop() */
	unsigned int paths;    /* that were read */
	unsigned int events;   /* that were sent */
	unsigned int storages; /* of a task, that were asked for */
} kernel_side;

static uint64_t bpf_get_current_pid_tgid(void)
{
	return (uint64_t)kernel_side.tgid << 32 | kernel_side.tgid;
}

static struct task_struct *bpf_get_current_task_btf(void)
{
	kernel_side.task.cred = &kernel_side.cred;
	kernel_side.task.mm = &kernel_side.mm;
	kernel_side.files.fdt = &kernel_side.fdt;
	kernel_side.task.files = &kernel_side.files;
	kernel_side.task.signal = &kernel_side.signal;
	return &kernel_side.task;
}

static long bpf_task_pt_regs(struct task_struct *task)
{
	return (long)&kernel_side.registers;
}

static long bpf_get_ns_current_pid_tgid(uint64_t device, uint64_t inode, struct bpf_pidns_info *ids,
					uint32_t size)
{
	void (*thread)(void) = kernel_side.thread;

	ids->pid = ids->tgid = kernel_side.tid ? kernel_side.tid : kernel_side.tgid;
	kernel_side.thread = NULL;
	if (thread)
		thread();
	return 0;
}

static void *bpf_task_storage_get(void *map, struct task_struct *task, void *value, uint64_t flags)
{
	kernel_side.storages++;
	return kernel_side.storage;
}

/* A microsecond later each time: time enough for user space to do something. */
static uint64_t bpf_ktime_get_ns(void)
{
	if (kernel_side.user_space)
		kernel_side.user_space();
	return kernel_side.now_ns += 1000;
}

static long bpf_loop(uint32_t number, void *step, void *context, uint64_t flags)
{
	long (*call)(uint32_t, void *) = step;
	uint32_t i = 0;

	while (i < number && !call(i++, context))
		;
	kernel_side.steps += i;
	return i;
}

static void *bpf_ringbuf_reserve(void *map, uint64_t size, uint64_t flags)
{
	return kernel_side.event;
}

static uint32_t asking_thread(void);

static void bpf_ringbuf_submit(void *event, uint64_t flags)
{
	kernel_side.events++;
	kernel_side.announced = asking_thread();
}

static long bpf_probe_read_user_str(void *to, uint32_t size, const void *from)
{
	kernel_side.paths++;
	if (!kernel_side.text)
		return -EFAULT;
	return snprintf(to, size, "%s", kernel_side.text) + 1;
}

static void *bpf_map_lookup_elem(void *map, const void *key)
{
	return kernel_side.element;
}

static int bpf_strncmp(const char *a, uint32_t size, const char *b)
{
	return strncmp(a, b, size);
}

#define bpf_map_update_elem(map, key, value, flags)      ((void)(map), (void)(key), -1L)
#define bpf_map_delete_elem(map, key)                    ((void)(map), (void)(key), -1L)
#define bpf_for_each_map_elem(map, step, context, flags) ((void)(map), (void)(step), 0L)
#define bpf_ringbuf_query(map, what)                     0ULL
#define bpf_tail_call(context, map, index)               ((void)(context))
#define bpf_probe_read_user(to, size, from)              ((void)(to), (void)(from), -EFAULT)
#define bpf_probe_read_kernel(to, size, from)            ((void)(to), (void)(from), -EFAULT)
#define bpf_probe_read_kernel_str(to, size, from)        ((void)(to), (void)(from), -EFAULT)
#define bpf_probe_write_user(to, from, size)             ((void)(to), (void)(from), -EFAULT)
#define bpf_seq_write(file, data, size)                  ((void)(file), (void)(data), 0L)

#include "tracer.bpf.c"

static uint32_t asking_thread(void)
{
	return state.operation.tid;
}

#endif
