/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See save.h. All memory for it is a workspace, which is mapped for the time of one image.
 */
#include "ckpt/save.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ckpt/content.h"
#include "ckpt/workspace.h"

enum { WORKSPACE_BYTES = 64 << 20 };

/* All of one image. */
struct saving {
	struct workspace workspace;
	struct content content;
	struct image *image;
	struct image_writer *writer;
};

static int fill_info(struct image *image, struct save_result *result)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	image->info.version = IMAGE_VERSION;
	image->info.page_bytes = IMAGE_PAGE;
	image->info.time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	result->step = "cannot get a random number";
	if (getrandom(&image->info.id, sizeof(image->info.id), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(image->info.id))
		return -EAGAIN;
	image->info.id |= 1; /* not 0 */
	return 0;
}

static int describe(struct saving *s, const struct save_order *order, struct save_result *result)
{
	const struct image_run own = {(uintptr_t)s->workspace.base,
				      (uintptr_t)s->workspace.base + s->workspace.bytes};
	const int hidden[] = {s->content.mem_fd, s->content.pagemap->fd, s->writer->fd, -1};
	struct image *image = s->image;
	int err = fill_info(image, result);

	if (!err)
		err = capture__process(image, &s->workspace, order->visitors, &own, 1, hidden,
				       &result->step);
	image->process.pid = order->pid;
	image->process.restart = (uintptr_t)order->restart;
	result->mappings = image->mapping_count;
	result->id = image->info.id;
	if (err)
		return err;
	result->step = "cannot find the pages of this process";
	return content__plan_full(&s->content, image);
}

static int prepare(struct saving *s, const struct save_order *order, struct save_result *result)
{
	int err;

	result->step = "no memory";
	err = workspace__open(&s->workspace, WORKSPACE_BYTES);
	if (err)
		return err;
	s->image = workspace__take(&s->workspace, sizeof(*s->image));
	s->writer = workspace__take(&s->workspace, sizeof(*s->writer));
	if (!s->image || !s->writer)
		return -ENOMEM;
	s->writer->fd = -1;
	result->step = "cannot open files of /proc/self";
	return content__open(&s->content, &s->workspace, order->moving, order->moving_count,
			     PAGEMAP_NONE);
}

static int write_image(struct saving *s, const struct save_order *order, struct save_result *result)
{
	struct image_writer *writer = s->writer;
	int err = image_writer__open(writer, order->path), planned = 0;

	if (!err) {
		err = describe(s, order, result);
		planned = !err;
	}
	if (!err)
		err = image_writer__begin(writer, s->image);
	if (!err)
		err = content__write(&s->content, writer, s->image);
	if (!err)
		err = image_writer__commit(writer);
	/* What failed: the writer's step, unless it was the description between. */
	if (planned || writer->fd < 0) {
		result->step = writer->step;
		result->step_names_path = 1;
	}
	image_writer__abort(writer);
	return err;
}

int save__image(const struct save_order *order, struct save_result *result)
{
	struct saving s = {.content.mem_fd = -1};
	int err;

	*result = (struct save_result){.step = ""};
	err = prepare(&s, order, result);
	if (!err)
		err = write_image(&s, order, result);
	result->bytes = s.content.written_bytes;
	content__close(&s.content);
	workspace__close(&s.workspace);
	return err;
}
