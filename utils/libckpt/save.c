/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See save.h. All memory for an image is of one arena, which is mapped for as long.
 */
#include "libckpt/save.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nocancel.h"
#include "base/page.h"
#include "libckpt/page_writer.h"
#include "own_memory/segments.h"

enum {
	ARENA_BYTES = 96 << 20,
	FRAMES_BYTES = 64 << 10, /* more stack than is used below a struct stopped_thread */
};

static void begin_step(struct saving *s, const char *step)
{
	s->failure = (struct image_failure){.step = step};
	s->failure_names_path = false;
}

static int fill_info(struct saving *s)
{
	struct image_info *info = &s->image->info;

	begin_step(s, "cannot get a random number");
	info->version = IMAGE_VERSION;
	info->page_bytes = PAGE_BYTES;
	info->time_ns = clock__read_ns(CLOCK_REALTIME);
	if (nocancel__random(&info->id, sizeof(info->id), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(info->id))
		return -EAGAIN;
	info->id |= 1; /* not 0 */
	return 0;
}

static void fill_parent(struct saving *s)
{
	struct image_info *info = &s->image->info;

	info->writer = capture_strings__add_late(s->image, "libckpt " TRACER_VERSION);
	if (!s->request->parent)
		return;
	info->flags |= IMAGE_INCREMENT;
	info->parent_id = s->request->parent_id;
	info->depth = s->request->depth;
	info->parent = capture_strings__add_late(s->image, s->request->parent);
}

/* Lists the memory that is ours, in address order. */
static size_t list_own(const struct saving *s, struct image_run own[3])
{
	size_t count = s->request->dirty ? dirty__own(s->request->dirty, own) : 0;

	own[count++] = (struct image_run){(uintptr_t)s->arena.base,
					  (uintptr_t)s->arena.base + s->arena.bytes};
	for (size_t i = 1; i < count; i++) {
		for (size_t k = i; k > 0 && own[k].start < own[k - 1].start; k--) {
			struct image_run run = own[k];

			own[k] = own[k - 1];
			own[k - 1] = run;
		}
	}
	return count;
}

static int fill_image(struct saving *s)
{
	const struct dirty *dirty = s->request->dirty;
	int hidden_fds[4] = {s->memory.mem_fd, s->memory.pagemap_fd, -1, -1};
	struct image_run own[3];
	size_t own_count = list_own(s, own);
	int err;

	if (dirty && write_tracking__has_uffd(&dirty->tracking))
		hidden_fds[2] = dirty->tracking.uffd;
	err = fill_info(s);
	if (err)
		return err;
	err = capture__process(s->image, &s->arena, s->request->threads, own, own_count, hidden_fds,
			       &s->failure.step);
	if (err)
		return err;
	s->image->info.missing |= s->request->missing;
	s->image->process.pid = getpid();
	s->image->process.restart = (uintptr_t)s->request->restart;
	fill_parent(s);
	return 0;
}

static struct image_run pages_of(uint64_t start, uint64_t end)
{
	return (struct image_run){page__start(start), page__round_up(end)};
}

/*
 * Lists what changes while an image is written, though all threads stand still: our variables, our
 * stack, the stacks of threads that are about to sleep, errno, and the area of each thread where
 * the kernel writes which processor it runs on (rseq).
 */
static int list_unstable(struct saving *s, struct image_run **ret_runs, size_t *ret_count)
{
	const struct stopped_thread *leader = s->request->threads;
	const uint64_t errno_offset = (uintptr_t)&errno - leader->thread.fs_base;
	struct image_run *runs;
	size_t count = 1;

	for (const struct stopped_thread *t = leader; t; t = t->next)
		count += 3;
	runs = arena__take(&s->arena, count * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	count = 0;
	runs[count++] = pages_of(s->request->variables.start, s->request->variables.end);
	for (const struct stopped_thread *t = leader; t; t = t->next) {
		const uint64_t frames_end = (uintptr_t)(t + 1);
		const uint64_t number = t->thread.fs_base + errno_offset;
		const uint64_t rseq = t->thread.rseq;

		runs[count++] = pages_of(frames_end - FRAMES_BYTES, frames_end);
		runs[count++] = pages_of(number, number + sizeof(errno));
		if (rseq)
			runs[count++] = pages_of(rseq, rseq + t->thread.rseq_bytes);
	}
	*ret_runs = runs;
	*ret_count = count;
	return 0;
}

int save__describe(struct saving *s, const struct save_request *request)
{
	struct image_run *unstable;
	size_t unstable_count;
	int err;

	memset(s, 0, sizeof(*s));
	s->request = request;
	s->memory.mem_fd = s->memory.pagemap_fd = -1;
	begin_step(s, "no 96 MiB of memory to work in; raise the limits (ulimit -v, -d)");
	err = arena__open(&s->arena, ARENA_BYTES);
	if (err == -EAGAIN) /* mmap(2): too much memory would be locked */
		begin_step(s, "no 96 MiB to work in, for memory to come is locked (mlockall); "
			      "raise the limit (ulimit -l)");
	if (err)
		return err;
	s->image = arena__take(&s->arena, sizeof(*s->image));
	s->writer = arena__take(&s->arena, sizeof(*s->writer));
	if (!s->image || !s->writer)
		return -ENOMEM;
	err = list_unstable(s, &unstable, &unstable_count);
	if (err)
		return err;
	begin_step(s, "cannot open files of /proc/self");
	err = own_memory__open(&s->memory, &s->arena, unstable, unstable_count);
	return err ? err : fill_image(s);
}

int save__choose_pages(struct saving *s)
{
	struct dirty *dirty = s->request->dirty;
	int err = 0;

	begin_step(s, "cannot find the pages of this process");
	if (dirty)
		err = dirty__begin(dirty, s->image);
	if (err)
		return err;
	err = s->request->parent ? dirty__choose(dirty, &s->memory, s->image, &s->arena)
				 : segments__choose_all(s->image, &s->memory, &s->arena);
	if (err || !dirty || s->request->parent)
		return err;
	return dirty__note_sums(dirty, &s->memory, s->image);
}

int save__copy_shared(struct saving *s)
{
	begin_step(s, "cannot copy shared memory");
	return shared_copy__make(&s->shared, &s->memory, s->image);
}

int save__open(struct saving *s)
{
	int err = image_writer__open(s->writer, s->request->path);

	s->failure = s->writer->failure;
	s->failure_names_path = true;
	if (!err)
		history__begin(s->request->history, s->writer->output.fd);
	return err;
}

int save__reopen(struct saving *s)
{
	begin_step(s, "cannot open files of /proc/self");
	return own_memory__reopen(&s->memory);
}

void save__release(struct saving *s)
{
	(void)nocancel__close(s->writer->output.fd);
}

void save__abort(struct saving *s)
{
	image_writer__abort(s->writer);
}

int save__write(struct saving *s)
{
	struct image_writer *writer = s->writer;
	int err;

	err = image_writer__begin(writer, s->image);
	if (err)
		goto out;
	err = page_writer__write(writer, s->image, &s->memory, &s->shared, &s->written_bytes);
	if (err)
		goto out;
	err = image_writer__commit(writer);
out:
	s->failure = writer->failure;
	s->failure_names_path = true;
	image_writer__abort(writer);
	return err;
}

void save__close(struct saving *s)
{
	own_memory__close(&s->memory);
	shared_copy__free(&s->shared);
	arena__close(&s->arena);
}
