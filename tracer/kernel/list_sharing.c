/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See list_sharing.h.
 */
#include "kernel/list_sharing.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "kernel/kernel_check.h"
#include "kernel/task_iterator.h"
#include "pages/shared_list.h"
#include "tracer.h"
#include <shared_list.skel.h>

enum { PROGRAMS = 3 }; /* that run for all processes: attached only while there is a list */

struct list_sharing {
	struct shared_list_bpf *object;
	struct bpf_link *links[PROGRAMS];
};

/* Tells the BPF programs which process it is. */
static int name_process(const struct shared_list_bpf *object, pid_t pid)
{
	int err = task_iterator__run(object->progs.watch, pid);

	if (err)
		return err;
	return object->bss->watched_memory ? 0 : -ESRCH;
}

static int load(struct list_sharing *sharing)
{
	struct shared_list_bpf *object = sharing->object;
	int err = bpf_map__set_max_entries(object->maps.fault_threads, FAULT_THREADS);

	if (err)
		return err;
	bpf_program__set_autoattach(object->progs.watch, false);
	bpf_program__set_autoattach(object->progs.on_user_fault, false);
	bpf_program__set_autoattach(object->progs.on_kernel_fault, false);
	bpf_program__set_autoattach(object->progs.on_unlock, false);
	err = shared_list_bpf__load(object);
	if (err)
		return err;
	err = bpf_map_freeze(bpf_map__fd(object->maps.shared_lists));
	return err ? err : shared_list_bpf__attach(object);
}

int list_sharing__open(struct list_sharing **ret_sharing)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct list_sharing *sharing = NULL;
	int err = kernel_check__privileges();

	if (err)
		goto out;
	err = kernel_check__tracefs();
	if (err)
		goto out;
	sharing = calloc(1, sizeof(*sharing));
	if (!sharing) {
		err = -ENOMEM;
		goto out;
	}
	sharing->object = shared_list_bpf__open();
	if (!sharing->object) {
		err = -errno;
		goto out;
	}
	sharing->object->rodata->maps_on_read = kernel_check__maps_on_read();
	err = load(sharing);
	if (err)
		goto out;
	*ret_sharing = sharing;
	sharing = NULL;
out:
	list_sharing__close(sharing);
	(void)libbpf_set_print(print);
	return err;
}

static int attach(struct list_sharing *sharing)
{
	struct bpf_program *const programs[PROGRAMS] = {
		sharing->object->progs.on_user_fault,
		sharing->object->progs.on_kernel_fault,
		sharing->object->progs.on_unlock,
	};

	for (int i = 0; i < PROGRAMS; i++) {
		sharing->links[i] = bpf_program__attach(programs[i]);
		if (!sharing->links[i])
			return -errno;
	}
	return 0;
}

bool list_sharing__is_stale(const struct list_sharing *sharing)
{
	return __atomic_load_n(&sharing->object->bss->has_execed, __ATOMIC_ACQUIRE);
}

int list_sharing__begin(struct list_sharing *sharing, pid_t pid)
{
	int fd = -1, err;

	list_sharing__end(sharing);
	if (sharing->links[0])
		return -EBUSY;
	err = attach(sharing);
	if (err)
		goto out;
	err = name_process(sharing->object, pid);
	if (err)
		goto out;
	fd = fcntl(bpf_map__fd(sharing->object->maps.shared_lists), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		err = -errno;
out:
	if (err)
		list_sharing__end(sharing);
	return err ? err : fd;
}

/* Tells the reader that the list is over before the first program goes: a reader never relies on
 * some of them alone. If it cannot be told, all programs stay attached. */
void list_sharing__end(struct list_sharing *sharing)
{
	struct bpf_test_run_opts options = {.sz = sizeof(options)};

	if (!sharing->links[0] ||
	    bpf_prog_test_run_opts(bpf_program__fd(sharing->object->progs.stop), &options))
		return;
	for (int i = 0; i < PROGRAMS; i++) {
		(void)bpf_link__destroy(sharing->links[i]);
		sharing->links[i] = NULL;
	}
}

/* Programs that had to stay go when the tracer exits, which also ends the list. */
void list_sharing__close(struct list_sharing *sharing)
{
	if (!sharing)
		return;
	list_sharing__end(sharing);
	if (!sharing->links[0])
		shared_list_bpf__destroy(sharing->object);
	free(sharing);
}
