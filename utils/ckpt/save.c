/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See save.h. All memory for it is a workspace, which is mapped for the time of one image.
 */
#include "ckpt/save.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { WORKSPACE_BYTES = 96 << 20 };

static int fill_info(struct saving *s)
{
	struct image_info *info = &s->image->info;
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	info->version = IMAGE_VERSION;
	info->page_bytes = IMAGE_PAGE;
	info->time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	s->step = "cannot get a random number";
	if (getrandom(&info->id, sizeof(info->id), GRND_NONBLOCK) != (ssize_t)sizeof(info->id))
		return -EAGAIN;
	info->id |= 1; /* not 0 */
	return 0;
}

static void fill_parent(struct saving *s)
{
	struct image_info *info = &s->image->info;

	info->writer = capture__keep(s->image, "libckpt " TRACER_VERSION);
	if (!s->order->parent)
		return;
	info->flags |= IMAGE_INCREMENT;
	info->parent_id = s->order->parent_id;
	info->depth = s->order->depth;
	info->parent = capture__keep(s->image, s->order->parent);
}

/* In address order, as capture__process wants them. */
static size_t list_own(const struct saving *s, struct image_run own[3])
{
	size_t count = s->order->dirty ? dirty__own(s->order->dirty, own) : 0;

	own[count++] = (struct image_run){(uintptr_t)s->workspace.base,
					  (uintptr_t)s->workspace.base + s->workspace.bytes};
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
	const struct dirty *dirty = s->order->dirty;
	const int hidden[] = {s->content.mem_fd, s->content.pagemap->fd,
			      dirty && dirty->uffd >= 0 ? dirty->uffd : -1, -1};
	struct image_run own[3];
	size_t own_count = list_own(s, own);
	int err = fill_info(s);

	if (!err)
		err = capture__process(s->image, &s->workspace, s->order->visitors, own, own_count,
				       hidden, &s->step);
	if (err)
		return err;
	s->image->process.pid = getpid();
	s->image->process.restart = (uintptr_t)s->order->restart;
	fill_parent(s);
	return 0;
}

static int plan(struct saving *s)
{
	struct dirty *dirty = s->order->dirty;
	int err = 0;

	s->step = "cannot find the pages of this process";
	if (dirty)
		err = dirty__begin(dirty, s->image);
	if (err)
		return err;
	if (s->order->parent)
		return dirty__plan(dirty, &s->content, s->image);
	err = content__plan_full(&s->content, s->image);
	if (!err && dirty)
		err = dirty__note(dirty, &s->content, s->image);
	return err;
}

int save__plan(struct saving *s, const struct save_order *order)
{
	enum pagemap_tracking tracking = order->dirty ? order->dirty->tracking : PAGEMAP_NONE;
	int err;

	memset(s, 0, sizeof(*s));
	s->order = order;
	s->content.mem_fd = -1;
	s->step = "no memory";
	err = workspace__open(&s->workspace, WORKSPACE_BYTES);
	if (err)
		return err;
	s->image = workspace__take(&s->workspace, sizeof(*s->image));
	s->writer = workspace__take(&s->workspace, sizeof(*s->writer));
	if (!s->image || !s->writer)
		return -ENOMEM;
	s->step = "cannot open files of /proc/self";
	err = content__open(&s->content, &s->workspace, order->moving, order->moving_count,
			    tracking);
	if (!err)
		err = describe(s);
	return err ? err : plan(s);
}

int save__write(struct saving *s, int forked)
{
	struct image_writer *writer = s->writer;
	int err = 0;

	s->step = "cannot open files of /proc/self";
	if (forked)
		err = content__reopen(&s->content);
	if (err)
		return err;
	err = image_writer__open(writer, s->order->path);
	if (!err)
		err = image_writer__begin(writer, s->image);
	if (!err)
		err = content__write(&s->content, writer, s->image);
	if (!err)
		err = image_writer__commit(writer);
	s->step = writer->step;
	s->step_names_path = 1;
	image_writer__abort(writer);
	return err;
}

void save__close(struct saving *s)
{
	content__close(&s->content);
	workspace__close(&s->workspace);
}
