/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See save.h. All memory for it is a arena, which is mapped for the time of one image.
 */
#include "libckpt/save.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/nocancel.h"

enum {
	ARENA_BYTES = 96 << 20,
	FRAMES_BYTES = 64 << 10, /* more than anything takes of a stack below a thread */
};

static int fill_info(struct saving *s)
{
	struct image_info *info = &s->image->info;
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	info->version = IMAGE_VERSION;
	info->page_bytes = PAGE_BYTES;
	info->time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	s->step = "cannot get a random number";
	if (nocancel__random(&info->id, sizeof(info->id), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(info->id))
		return -EAGAIN;
	info->id |= 1; /* not 0 */
	return 0;
}

static void fill_parent(struct saving *s)
{
	struct image_info *info = &s->image->info;

	info->writer = capture__keep(s->image, "libckpt " TRACER_VERSION);
	if (!s->request->parent)
		return;
	info->flags |= IMAGE_INCREMENT;
	info->parent_id = s->request->parent_id;
	info->depth = s->request->depth;
	info->parent = capture__keep(s->image, s->request->parent);
}

/* In address order, as capture__process wants them. */
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

static int describe(struct saving *s)
{
	const struct dirty *dirty = s->request->dirty;
	const int hidden[] = {s->pages.mem_fd, s->pages.pagemap->fd,
			      dirty && dirty->uffd >= 0 ? dirty->uffd : -1, -1};
	struct image_run own[3];
	size_t own_count = list_own(s, own);
	int err = fill_info(s);

	if (!err)
		err = capture__process(s->image, &s->arena, s->request->threads, own, own_count,
				       hidden, &s->step);
	if (err)
		return err;
	s->image->info.missing |= s->request->missing;
	s->image->process.pid = getpid();
	s->image->process.restart = (uintptr_t)s->request->restart;
	fill_parent(s);
	return 0;
}

int save__plan(struct saving *s)
{
	struct dirty *dirty = s->request->dirty;
	int err = 0;

	s->step = "cannot find the pages of this process";
	if (dirty)
		err = dirty__begin(dirty, s->image);
	if (err)
		return err;
	if (s->request->parent)
		return dirty__plan(dirty, &s->pages, s->image);
	err = page_writer__plan_full(&s->pages, s->image);
	if (!err && dirty)
		err = dirty__note(dirty, &s->pages, s->image);
	return err;
}

/* The pages of [start, end). */
static struct image_run pages_of(uint64_t start, uint64_t end)
{
	return (struct image_run){page__start(start), page__round_up(end)};
}

/*
 * What changes while an image is written, though all threads stand still: our variables, our stack,
 * the stacks of threads that are about to sleep, errno, and the area of each thread where the
 * kernel writes which processor it runs on (rseq).
 */
static int list_moving(struct saving *s, struct image_run **ret_runs, size_t *ret_count)
{
	const struct stopped_thread *leader = s->request->threads;
	const uint64_t errno_offset = (uintptr_t)&errno - leader->thread.fs_base;
	struct image_run *runs;
	size_t count = 1;

	for (const struct stopped_thread *v = leader; v; v = v->next)
		count += 3;
	runs = arena__take(&s->arena, count * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	count = 0;
	runs[count++] = pages_of(s->request->variables.start, s->request->variables.end);
	for (const struct stopped_thread *v = leader; v; v = v->next) {
		const uint64_t end = (uintptr_t)(v + 1);
		const uint64_t number = v->thread.fs_base + errno_offset;
		const struct image_thread *t = &v->thread;

		runs[count++] = pages_of(end - FRAMES_BYTES, end);
		runs[count++] = pages_of(number, number + sizeof(errno));
		if (t->rseq)
			runs[count++] = pages_of(t->rseq, t->rseq + t->rseq_bytes);
	}
	*ret_runs = runs;
	*ret_count = count;
	return 0;
}

int save__describe(struct saving *s, const struct save_request *request)
{
	enum pagemap_tracking tracking = request->dirty ? request->dirty->tracking : PAGEMAP_NONE;
	struct image_run *moving;
	size_t moving_count;
	int err;

	memset(s, 0, sizeof(*s));
	s->request = request;
	s->pages.mem_fd = -1;
	s->step = "no memory";
	err = arena__open(&s->arena, ARENA_BYTES);
	if (err)
		return err;
	s->image = arena__take(&s->arena, sizeof(*s->image));
	s->writer = arena__take(&s->arena, sizeof(*s->writer));
	if (!s->image || !s->writer)
		return -ENOMEM;
	err = list_moving(s, &moving, &moving_count);
	if (err)
		return err;
	s->step = "cannot open files of /proc/self";
	err = page_writer__open(&s->pages, &s->arena, moving, moving_count, tracking);
	return err ? err : describe(s);
}

int save__open(struct saving *s)
{
	int err = image_writer__open(s->writer, s->request->path);

	s->step = s->writer->step;
	s->step_names_path = 1;
	if (!err)
		history__begin(s->request->history, s->writer->output.fd);
	return err;
}

int save__reopen(struct saving *s)
{
	s->step = "cannot open files of /proc/self";
	s->step_names_path = 0;
	return page_writer__reopen(&s->pages);
}

void save__leave(struct saving *s)
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
	int err = image_writer__begin(writer, s->image);

	if (!err)
		err = page_writer__write(&s->pages, writer, s->image);
	if (!err)
		err = image_writer__commit(writer);
	s->step = writer->step;
	s->step_names_path = 1;
	image_writer__abort(writer);
	return err;
}

void save__close(struct saving *s)
{
	page_writer__close(&s->pages);
	arena__close(&s->arena);
}
