/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Open, configure, load, attach: the life of the BPF object on the user side.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/procfs.h"
#include "kernel/detach.h"
#include "kernel/hooks.h"
#include <tracer.skel.h>

struct hooks {
	struct tracer_bpf *object;
	uint64_t *suspects;
	uint64_t *slab_list;
	struct difference *differences; /* NULL with nothing else than the list of faults */
	bool attached;                  /* at least one hook may be */
};

/* What libbpf has said last, for the message if the load fails. */
static char diagnostics[2048];

/* Keeps the end: there a verifier log says what is wrong. */
static int keep_diagnostics(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(diagnostics), length, kept;
	char *text;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, arguments) < 0)
		return 0;
	length = strlen(text);
	if (length >= sizeof(diagnostics) - used) {
		kept = length < sizeof(diagnostics) / 2 ? sizeof(diagnostics) / 2 : 0;
		if (used > kept) {
			memmove(diagnostics, diagnostics + used - kept, kept + 1);
			used = kept;
		}
	}
	kept = sizeof(diagnostics) - used - 1;
	snprintf(diagnostics + used, kept + 1, "%s", length > kept ? text + length - kept : text);
	free(text);
	return 0;
}

static void set_path(const volatile char *variable, const char *path)
{
	snprintf((char *)variable, PATH_BYTES, "%s", path);
}

static void set_constants(struct tracer_bpf *object, const struct hook_settings *settings,
			  const struct kernel_facts *facts)
{
	object->rodata->namespace_device = facts->namespace_device;
	object->rodata->namespace_inode = facts->namespace_inode;
	object->rodata->folder_inode = settings->folder_inode;
	object->rodata->folder_device = settings->folder_device;
	object->rodata->track_mmap = settings->track_mmap;
	object->rodata->restore_in_bpf = settings->restore_in_bpf;
	object->rodata->restore_all = settings->restore_all;
	object->rodata->verify = settings->verify;
	object->rodata->maps_on_read = settings->list_faults && kernel_check__maps_on_read();
	object->bss->state.slab_threshold = settings->slab_threshold;
	object->bss->state.pages_per_poll = settings->pages_per_poll;
	if (settings->wait_name) {
		object->rodata->wait_length = (uint32_t)strlen(settings->wait_name);
		snprintf((char *)object->rodata->wait_name, NAME_BYTES, "%s", settings->wait_name);
	}
	if (settings->nothing_else)
		return;
	set_path(object->rodata->checkpoint_request, settings->request_paths[OPERATION_CHECKPOINT]);
	set_path(object->rodata->checkpoint_completion,
		 settings->completion_paths[OPERATION_CHECKPOINT]);
	set_path(object->rodata->restore_request, settings->request_paths[OPERATION_RESTORE]);
	set_path(object->rodata->restore_completion, settings->completion_paths[OPERATION_RESTORE]);
	set_path(object->rodata->rollback_request, settings->request_paths[OPERATION_ROLLBACK]);
	set_path(object->rodata->rollback_completion,
		 settings->completion_paths[OPERATION_ROLLBACK]);
}

/* All programs, and all maps but those that fault_list.h needs. */
static void leave_out_all(const struct tracer_bpf *object)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object->obj)(void)
		bpf_program__set_autoload(program, false);
	bpf_object__for_each_map(map, object->obj)
		if (!bpf_map__is_internal(map) && map != object->maps.fault_pages &&
		    map != object->maps.fault_threads)
			(void)bpf_map__set_autocreate(map, false);
}

/* Leaves out what the settings and the kernel do not need. Each hook costs all processes of the
 * machine about 80 ns a call, and its tracepoint takes 70 ms to be freed. */
static int choose_programs(const struct tracer_bpf *object, const struct hook_settings *settings,
			   const struct kernel_facts *facts)
{
	const bool by_calls = !settings->nothing_else && !facts->counts_mapping_changes;
	const struct {
		struct bpf_program *program;
		bool needed;
		bool hook; /* attached here; else it is called, or attached by its user */
	} choices[] = {
		{object->progs.poll, !settings->nothing_else, false},
		{object->progs.stream, !settings->nothing_else && facts->iterates_maps, false},
		{object->progs.restore, settings->restore_in_bpf, false},
		{object->progs.pages_moved, settings->pages_per_poll > 0, false},
		{object->progs.on_user_fault, settings->list_faults, false},
		{object->progs.on_kernel_fault, settings->list_faults, false},
		{object->progs.on_unlock, settings->list_faults, false},
		{object->progs.on_new_task, settings->list_faults, false},
		{object->progs.watch, settings->list_faults, false},
		{object->progs.tell_thread, settings->list_faults, false},
		{object->progs.on_sigaltstack, settings->list_faults, false},
		{object->progs.on_set_tid_address, settings->list_faults, false},
		{object->progs.on_set_robust_list, settings->list_faults, false},
		{object->progs.on_rseq, settings->list_faults, false},
		{object->progs.on_madvise, settings->list_faults, true},
		{object->progs.on_process_madvise, settings->list_faults, true},
		{object->progs.on_brk_enter, settings->track_heap, true},
		{object->progs.on_brk_exit, settings->track_heap, true},
		{object->progs.on_mprotect_exit, by_calls, true},
		{object->progs.on_shmat_exit, by_calls, true},
	};

	if (settings->nothing_else)
		leave_out_all(object);
	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		int err = bpf_program__set_autoload(choices[i].program, choices[i].needed);

		if (err)
			return err;
		bpf_program__set_autoattach(choices[i].program, choices[i].hook);
	}
	return 0;
}

/* Maps that are not needed stay small. */
static int set_sizes(struct tracer_bpf *object, const struct hook_settings *settings)
{
	int err;

	if (settings->nothing_else)
		err = bpf_map__set_max_entries(object->maps.differences, 1);
	else
		err = bpf_map__set_max_entries(object->maps.chunks, settings->ready_chunks);
	if (err || !settings->list_faults)
		return err;
	err = bpf_map__set_max_entries(object->maps.fault_pages, FAULT_PAGES);
	return err ? err : bpf_map__set_max_entries(object->maps.fault_threads, FAULT_THREADS);
}

static int configure(struct tracer_bpf *object, const struct hook_settings *settings,
		     const struct kernel_facts *facts)
{
	int err;

	set_constants(object, settings, facts);
	err = set_sizes(object, settings);
	return err ? err : choose_programs(object, settings, facts);
}

/* Puts a program where the others call it. */
static int install(const struct tracer_bpf *object, const struct bpf_program *program,
		   enum continuation place)
{
	int fd = bpf_program__fd(program);

	return bpf_map__update_elem(object->maps.continuations, &place, sizeof(place), &fd,
				    sizeof(fd), BPF_ANY);
}

/* Maps the values of a mappable array. */
static int map_array(const struct bpf_map *map, size_t bytes, int protection, void **ret_values)
{
	void *values = mmap(NULL, bytes, protection, MAP_SHARED, bpf_map__fd(map), 0);

	if (values == MAP_FAILED)
		return -errno;
	*ret_values = values;
	return 0;
}

/* Puts the programs where they call each other, and maps the arrays that both sides share. */
static int set_up(struct hooks *hooks, const struct hook_settings *settings, const char **step)
{
	const struct tracer_bpf *object = hooks->object;
	int err = install(object, object->progs.poll, CONTINUE_POLL);

	if (err)
		return err;
	if (settings->restore_in_bpf) {
		err = install(object, object->progs.restore, CONTINUE_RESTORE);
		if (err)
			return err;
	}
	*step = "map the arrays of";
	err = map_array(object->maps.suspects, SUSPECT_PAGES * sizeof(*hooks->suspects),
			PROT_READ | PROT_WRITE, (void **)&hooks->suspects);
	if (err)
		return err;
	err = map_array(object->maps.slab_list, SLABS_LISTED * sizeof(*hooks->slab_list),
			PROT_READ | PROT_WRITE, (void **)&hooks->slab_list);
	if (err)
		return err;
	return map_array(object->maps.differences, DIFFERENCES * sizeof(*hooks->differences),
			 PROT_READ, (void **)&hooks->differences);
}

/* What the user can do about it. */
static const char *advice(int err)
{
	switch (err) {
	case -ENOMEM:
	case -E2BIG:
		return "; less memory is needed with a smaller --max-chunks";
	case -EPERM:
		return "; the kernel forbids a helper or map that it needs (lockdown, a security "
		       "module, or the memory limit RLIMIT_MEMLOCK)";
	default:
		return "";
	}
}

int hooks__attach(const struct hook_settings *settings, const struct kernel_facts *facts,
		  struct hooks **ret_hooks)
{
	struct hooks *hooks = calloc(1, sizeof(*hooks));
	const char *step = "open";
	struct tracer_bpf *object;
	int err;

	if (!hooks)
		return -ENOMEM;
	diagnostics[0] = '\0';
	libbpf_set_print(keep_diagnostics);
	hooks->object = object = tracer_bpf__open();
	if (!object) {
		err = -errno;
		goto out;
	}
	step = "configure";
	err = configure(object, settings, facts);
	if (err)
		goto out;
	step = "load";
	err = tracer_bpf__load(object);
	if (err)
		goto out;
	err = settings->nothing_else ? 0 : set_up(hooks, settings, &step);
	if (err)
		goto out;
	step = "attach";
	hooks->attached = true;
	err = tracer_bpf__attach(object);
out:
	if (err) {
		(settings->nothing_else ? log__debug
					: log__error)("cannot %s the BPF object: %s%s\n%s", step,
						      strerror(-err), advice(err), diagnostics);
		hooks__free(hooks);
		return err;
	}
	*ret_hooks = hooks;
	return 0;
}

int hooks__attach_fault_list(struct hooks **ret_hooks)
{
	const struct hook_settings settings = {.list_faults = true, .nothing_else = true};
	struct kernel_facts facts = {0};
	struct stat status;
	int err = kernel_check__privileges();

	if (err)
		return err;
	err = kernel_check__tracefs();
	if (err)
		return err;
	if (stat("/proc/self/ns/pid", &status))
		return -errno;
	facts.namespace_device = status.st_dev;
	facts.namespace_inode = status.st_ino;
	return hooks__attach(&settings, &facts, ret_hooks);
}

struct tracer_bpf *hooks__object(const struct hooks *hooks)
{
	return hooks->object;
}

struct state *hooks__state(const struct hooks *hooks)
{
	return &hooks->object->bss->state;
}

uint64_t *hooks__suspects(const struct hooks *hooks)
{
	return hooks->suspects;
}

uint64_t *hooks__slab_list(const struct hooks *hooks)
{
	return hooks->slab_list;
}

const struct difference *hooks__differences(const struct hooks *hooks)
{
	return hooks->differences;
}

int hooks__events_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.events);
}

int hooks__chunks_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.chunks);
}

int hooks__chunk_stores_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.chunk_stores);
}

int hooks__extents_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.extents);
}

int hooks__slab_tables_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.slab_tables);
}

int hooks__continuations_fd(const struct hooks *hooks)
{
	return bpf_map__fd(hooks->object->maps.continuations);
}

int hooks__pages_moved_fd(const struct hooks *hooks)
{
	return bpf_program__fd(hooks->object->progs.pages_moved);
}

int hooks__stream_fd(const struct hooks *hooks)
{
	return bpf_program__fd(hooks->object->progs.stream);
}

void hooks__for_each_map(const struct hooks *hooks, map_visitor *each, void *argument)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, hooks->object->obj)
		if (map != hooks->object->maps.chunks)
			each(bpf_map__name(map), bpf_map__max_entries(map),
			     procfs__map_memory(bpf_map__fd(map)), argument);
}

/* In reverse order. A tracer that starts meanwhile attaches in the other order. The kernel need not
 * wait for a tracepoint that has a second perf event by then. */
static void detach_all(struct tracer_bpf *object)
{
	struct bpf_object_skeleton *skeleton = object->skeleton;

	for (int i = skeleton->prog_cnt; i-- > 0;) {
		struct bpf_link **link = skeleton->progs[i].link;

		(void)bpf_link__destroy(*link);
		*link = NULL;
	}
}

void hooks__free(struct hooks *hooks)
{
	struct detach detach;
	bool attached, is_helper = false;

	if (!hooks)
		return;
	attached = hooks->attached;
	if (attached) {
		hooks__state(hooks)->target = NO_TARGET;
		is_helper = detach__begin(&detach);
		detach_all(hooks->object);
	}
	if (hooks->suspects)
		munmap(hooks->suspects, SUSPECT_PAGES * sizeof(*hooks->suspects));
	if (hooks->slab_list)
		munmap(hooks->slab_list, SLABS_LISTED * sizeof(*hooks->slab_list));
	if (hooks->differences)
		munmap(hooks->differences, DIFFERENCES * sizeof(*hooks->differences));
	tracer_bpf__destroy(hooks->object);
	free(hooks);
	if (is_helper)
		detach__exit();
	if (attached)
		detach__end(&detach);
}
