/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The reader of the list. BPF never waits for it: entries are overwritten after FAULT_PAGES others.
 * The lap in an entry tells a later one from the one that is wanted. A mark is all that a round
 * remembers, so nothing is ever reset.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/procfs.h"
#include "kernel/fault_list.h"
#include "kernel/task_iterator.h"
#include <tracer.skel.h>

enum {
	PROGRAMS = 4,   /* on raw tracepoints */
	LOOKS = 100000, /* at an entry that is about to be written: some milliseconds */
	TRIALS = 3,     /* one fails if somebody looks at our memory meanwhile */
};

struct fault_list {
	struct tracer_bpf *object;
	const uint64_t *entries;
	struct bpf_link *links[PROGRAMS];
};

/* ---- the process ---- */

bool fault_list__is_watching(const struct fault_list *list)
{
	return __atomic_load_n(&list->object->bss->watched_memory, __ATOMIC_ACQUIRE);
}

static int watch_process(struct fault_list *list, pid_t pid)
{
	int err;

	if (!procfs__is_there(pid))
		return -ESRCH;
	err = task_iterator__run(list->object->progs.watch, pid);
	if (err)
		return err;
	return fault_list__is_watching(list) ? 0 : -ESRCH;
}

/* ---- the programs ---- */

int fault_list__attach(struct fault_list *list, pid_t pid)
{
	const struct {
		struct bpf_program *program;
		const char *tracepoint;
	} programs[PROGRAMS] = {
		{list->object->progs.on_user_fault, "page_fault_user"},
		{list->object->progs.on_kernel_fault, "page_fault_kernel"},
		{list->object->progs.on_unlock, "mmap_lock_released"},
		{list->object->progs.on_new_task, "task_newtask"},
	};
	int err;

	fault_list__detach(list);
	err = watch_process(list, pid);
	for (size_t i = 0; !err && i < PROGRAMS; i++) {
		list->links[i] = bpf_program__attach_raw_tracepoint(programs[i].program,
								    programs[i].tracepoint);
		if (!list->links[i])
			err = -errno;
	}
	if (err)
		fault_list__detach(list);
	return err;
}

void fault_list__detach(struct fault_list *list)
{
	__atomic_store_n(&list->object->bss->watched_memory, NULL, __ATOMIC_RELEASE);
	for (size_t i = 0; i < PROGRAMS; i++) {
		(void)bpf_link__destroy(list->links[i]);
		list->links[i] = NULL;
	}
}

/* ---- the list ---- */

void fault_list__mark(const struct fault_list *list, struct fault_mark *ret_mark)
{
	const struct fault_mark *end = &list->object->bss->state.faults;

	ret_mark->writes = __atomic_load_n(&end->writes, __ATOMIC_ACQUIRE);
	ret_mark->signs = __atomic_load_n(&end->signs, __ATOMIC_ACQUIRE);
}

bool fault_list__has_all(const struct fault_list *list, const struct fault_mark *since)
{
	return fault_list__is_watching(list) &&
	       __atomic_load_n(&list->object->bss->state.faults.signs, __ATOMIC_ACQUIRE) ==
		       since->signs;
}

/* Waits for an entry that another processor is about to write. */
static int read_entry(const struct fault_list *list, uint64_t number, uint64_t *ret_page)
{
	const uint64_t lap = FAULT_LAP(number), before = (lap - 1) & (SLAB_BYTES - 1);
	uint64_t entry, found;

	for (int looks = 0; looks < LOOKS; looks++) {
		entry = __atomic_load_n(&list->entries[number % FAULT_PAGES], __ATOMIC_ACQUIRE);
		found = entry & (SLAB_BYTES - 1);
		if (found == lap) {
			*ret_page = entry - found;
			return 0;
		}
		if (found != before)
			break;
		__builtin_ia32_pause();
	}
	return -EOVERFLOW;
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t page = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (page > other) - (page < other);
}

/* In ascending order, each once. Returns how many are left. */
static size_t sort_pages(uint64_t *pages, size_t count)
{
	size_t left = 0;

	qsort(pages, count, sizeof(*pages), compare_pages);
	for (size_t i = 0; i < count; i++)
		if (!left || pages[left - 1] != pages[i])
			pages[left++] = pages[i];
	return left;
}

int fault_list__pages(const struct fault_list *list, const struct fault_mark *since,
		      uint64_t *pages, size_t *ret_count, struct fault_mark *ret_end)
{
	struct fault_mark end;
	size_t count = 0;
	int err = 0;

	fault_list__mark(list, &end);
	if (!fault_list__is_watching(list) || end.signs != since->signs)
		return -ESTALE;
	if (end.writes - since->writes > FAULT_PAGES)
		return -EOVERFLOW;
	for (uint64_t number = since->writes; !err && number != end.writes; number++)
		err = read_entry(list, number, &pages[count++]);
	if (err)
		return err;
	*ret_count = sort_pages(pages, count);
	*ret_end = end;
	return 0;
}

/* ---- the trial ---- */

/* Is there an entry after the kernel has written for us? */
static int try_read(const struct fault_list *list, void *page)
{
	struct fault_mark before, after;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	if (fd < 0)
		return -errno;
	fault_list__mark(list, &before);
	bytes = read(fd, page, 1);
	fault_list__mark(list, &after);
	close(fd);
	return bytes == 1 && after.writes != before.writes ? 0 : -EOPNOTSUPP;
}

static int try_signs(const struct fault_list *list, char *page)
{
	struct iovec from = {page, 1}, to = {page + SLAB_BYTES, 1};
	struct fault_mark before, after;

	fault_list__mark(list, &before);
	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != 1)
		return -errno;
	fault_list__mark(list, &after);
	if (after.signs == before.signs)
		return -EOPNOTSUPP;
	before = after;
	if (madvise(page, SLAB_BYTES, MADV_DONTNEED))
		return -errno;
	fault_list__mark(list, &after);
	return after.signs != before.signs ? 0 : -EOPNOTSUPP;
}

/* Writes to the first of the pages, and looks whether it is listed. The mapping is new. */
static int try_write(const struct fault_list *list, volatile char *page)
{
	struct fault_mark mark, end;
	uint64_t *pages = malloc(FAULT_PAGES * sizeof(*pages));
	bool found = false;
	size_t count = 0;
	int err;

	if (!pages)
		return -ENOMEM;
	fault_list__mark(list, &mark);
	*page = 1;
	err = fault_list__pages(list, &mark, pages, &count, &end);
	for (size_t i = 0; i < count; i++)
		found |= pages[i] == (uintptr_t)page;
	free(pages);
	return !err && found ? 0 : -EOPNOTSUPP;
}

/* Four pages: one that is written, one that is read into, one that is written from, and to. */
static int try(struct fault_list *list)
{
	const size_t bytes = 4UL * SLAB_BYTES;
	char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (pages == MAP_FAILED)
		return -errno;
	err = fault_list__attach(list, getpid());
	if (err)
		goto out;
	err = try_write(list, pages);
	if (err)
		goto out;
	err = try_read(list, pages + SLAB_BYTES);
	if (err)
		goto out;
	err = try_signs(list, pages + 2UL * SLAB_BYTES);
out:
	fault_list__detach(list);
	munmap(pages, bytes);
	return err;
}

int fault_list__open(const struct hooks *hooks, struct fault_list **ret_list)
{
	struct fault_list *list = calloc(1, sizeof(*list));
	void *entries;
	int err = 0;

	if (!list)
		return -ENOMEM;
	list->object = hooks__object(hooks);
	entries = mmap(NULL, FAULT_PAGES * sizeof(*list->entries), PROT_READ, MAP_SHARED,
		       bpf_map__fd(list->object->maps.fault_pages), 0);
	if (entries == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	list->entries = entries;
	for (int i = 0; i < TRIALS; i++) {
		err = try(list);
		if (err != -EOPNOTSUPP)
			break;
	}
out:
	if (err) {
		fault_list__close(list);
		return err;
	}
	*ret_list = list;
	return 0;
}

void fault_list__close(struct fault_list *list)
{
	if (!list)
		return;
	fault_list__detach(list);
	if (list->entries)
		munmap((void *)list->entries, FAULT_PAGES * sizeof(*list->entries));
	free(list);
}
