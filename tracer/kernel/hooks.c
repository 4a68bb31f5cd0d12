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
#include "base/log.h"
#include "base/procfs.h"
#include "kernel/hooks.h"
#include <tracer.skel.h>

struct hooks {
	struct tracer_bpf *object;
	uint64_t *suspects;
	struct difference *differences; /* NULL where BPF restores */
};

/* libbpf's last words, kept for the case that they are needed. One load at a time. */
static char diagnostics[2048];

static int keep_diagnostics(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(diagnostics), room = sizeof(diagnostics) - used;

	if (level == LIBBPF_DEBUG)
		return 0;
	if (room < 512) { /* the end of a verifier log says what is wrong, not its beginning */
		used = sizeof(diagnostics) / 2;
		memmove(diagnostics, diagnostics + used, sizeof(diagnostics) - used);
		used = strlen(diagnostics);
		room = sizeof(diagnostics) - used;
	}
	return vsnprintf(diagnostics + used, room, format, arguments);
}

static void set_path(const volatile char *variable, const char *path)
{
	snprintf((char *)variable, PATH_BYTES, "%s", path);
}

static int configure(struct tracer_bpf *object, const struct options *options,
		     const struct kernel_facts *facts, const struct control *control,
		     bool restore_in_bpf)
{
	int err;

	object->rodata->namespace_device = facts->namespace_device;
	object->rodata->namespace_inode = facts->namespace_inode;
	object->rodata->track_mmap = !!(options->regions & REGION_MMAP);
	object->rodata->track_heap = !!(options->regions & REGION_HEAP);
	object->rodata->restore_in_bpf = restore_in_bpf;
	object->rodata->restore_all = options->restore_all;
	object->rodata->verify = options->verify;
	object->bss->state.slab_threshold = options->slab_threshold;
	object->bss->state.pages_per_poll = (uint32_t)options->pages_per_poll;
	if (options->wait_name) {
		object->rodata->wait_length = (uint32_t)strlen(options->wait_name);
		snprintf((char *)object->rodata->wait_name, NAME_BYTES, "%s", options->wait_name);
	}
	set_path(object->rodata->checkpoint_request,
		 control__request_path(control, OPERATION_CHECKPOINT));
	set_path(object->rodata->checkpoint_completion,
		 control__completion_path(control, OPERATION_CHECKPOINT));
	set_path(object->rodata->restore_request,
		 control__request_path(control, OPERATION_RESTORE));
	set_path(object->rodata->restore_completion,
		 control__completion_path(control, OPERATION_RESTORE));
	err = bpf_map__set_max_entries(object->maps.chunks, (uint32_t)options->ready_chunks);
	if (!err && !restore_in_bpf)
		err = bpf_map__set_max_entries(object->maps.differences, DIFFERENCES);
	if (!err)
		err = bpf_program__set_autoload(object->progs.restore, restore_in_bpf);
	if (!err)
		err = bpf_program__set_autoload(object->progs.pages_moved,
						options->pages_per_poll > 0);
	bpf_program__set_autoattach(object->progs.restore, false); /* it is called, not attached */
	bpf_program__set_autoattach(object->progs.pages_moved, false);
	bpf_program__set_autoattach(object->progs.stream, false); /* chunk_stores.c does, to each */
	return err;
}

/* Puts the restore program where on_poll() calls it. */
static int install_restorer(struct tracer_bpf *object)
{
	int program = bpf_program__fd(object->progs.restore);
	uint32_t place = CONTINUE_RESTORE;

	return bpf_map_update_elem(bpf_map__fd(object->maps.continuations), &place, &program,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

/* Maps the values of a mappable array, for reading. */
static int map_array(const struct bpf_map *map, size_t bytes, void **ret_values)
{
	void *values = mmap(NULL, bytes, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	if (values == MAP_FAILED)
		return -errno;
	*ret_values = values;
	return 0;
}

int hooks__attach(const struct options *options, const struct kernel_facts *facts,
		  const struct control *control, bool restore_in_bpf, struct hooks **ret_hooks)
{
	struct hooks *hooks = calloc(1, sizeof(*hooks));
	const char *step = "open";
	int err;

	if (!hooks)
		return -ENOMEM;
	diagnostics[0] = '\0';
	libbpf_set_print(keep_diagnostics);
	hooks->object = tracer_bpf__open();
	err = hooks->object ? 0 : -errno;
	if (!err)
		err = configure(hooks->object, options, facts, control, restore_in_bpf);
	if (!err) {
		step = "load";
		err = tracer_bpf__load(hooks->object);
	}
	if (!err && restore_in_bpf)
		err = install_restorer(hooks->object);
	if (!err) {
		step = "attach";
		err = tracer_bpf__attach(hooks->object);
	}
	if (!err)
		err = map_array(hooks->object->maps.suspects,
				SUSPECT_PAGES * sizeof(*hooks->suspects),
				(void **)&hooks->suspects);
	if (!err && !restore_in_bpf)
		err = map_array(hooks->object->maps.differences,
				DIFFERENCES * sizeof(*hooks->differences),
				(void **)&hooks->differences);
	if (err) {
		log__error("cannot %s the BPF object: %s%s\n%s", step, strerror(-err),
			   err == -ENOMEM || err == -E2BIG
				   ? "; less memory is needed with a smaller --max-chunks"
				   : "",
			   diagnostics);
		hooks__free(hooks);
		return err;
	}
	*ret_hooks = hooks;
	return 0;
}

struct state *hooks__state(const struct hooks *hooks)
{
	return &hooks->object->bss->state;
}

const uint64_t *hooks__suspects(const struct hooks *hooks)
{
	return hooks->suspects;
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

void hooks__for_each_map(const struct hooks *hooks,
			 void (*each)(const char *name, uint64_t places, uint64_t memory,
				      void *argument),
			 void *argument)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, hooks->object->obj)
		if (map != hooks->object->maps.chunks)
			each(bpf_map__name(map), bpf_map__max_entries(map),
			     procfs__map_memory(bpf_map__fd(map)), argument);
}

void hooks__free(struct hooks *hooks)
{
	if (!hooks)
		return;
	if (hooks->suspects)
		munmap(hooks->suspects, SUSPECT_PAGES * sizeof(*hooks->suspects));
	if (hooks->differences)
		munmap(hooks->differences, DIFFERENCES * sizeof(*hooks->differences));
	tracer_bpf__destroy(hooks->object);
	free(hooks);
}
