/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_settings.h. What this kernel does not know, no process has.
 */
#include "capture/capture_settings.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of kernels newer than our headers; enum image_setting_option sets them. */
enum {
	GET_IO_FLUSHER = 58,
	GET_WRITE_XOR_EXECUTE = 66,
	GET_MEMORY_MERGE = 68,
};

static const struct {
	int get, argument;
} of_thread[CAPTURE_SETTINGS] = {
	{PR_GET_KEEPCAPS, 0},         {PR_MCE_KILL_GET, 0},         {GET_IO_FLUSHER, 0},
	{PR_GET_SPECULATION_CTRL, 0}, {PR_GET_SPECULATION_CTRL, 1}, {PR_GET_SPECULATION_CTRL, 2},
	{PR_GET_SECUREBITS, 0},
};

static int ask(int option, int argument)
{
	return (int)syscall(SYS_prctl, option, argument, 0, 0, 0);
}

void capture_settings__describe(struct thread_settings *settings)
{
	struct image_policy *policy = &settings->policy;
	int mode = MPOL_DEFAULT;

	memset(settings, 0, sizeof(*settings));
	if (syscall(SYS_get_mempolicy, &mode, policy->nodes, IMAGE_NODES_MAX, NULL, 0) == 0)
		policy->mode = (uint32_t)mode;
	for (size_t i = 0; i < CAPTURE_SETTINGS; i++)
		settings->told[i] = ask(of_thread[i].get, of_thread[i].argument);
}

/* ---- settings ---- */

/* How kind i of a thread is set again. Returns false if it is the default. */
static bool find_setting(size_t i, int told, struct image_setting *ret)
{
	enum { SPECULATION_CAN_BE_SET = 1, SPECULATION_IS_ALLOWED = 2 };

	if (told < 0)
		return false;
	switch (of_thread[i].get) {
	case PR_GET_KEEPCAPS:
		*ret = (struct image_setting){.option = IMAGE_SET_KEEPCAPS, .values = {1}};
		return told == 1;
	case PR_GET_SECUREBITS: /* what PR_SET_KEEPCAPS sets is one of them */
		*ret = (struct image_setting){.option = IMAGE_SET_SECUREBITS,
					      .values = {(uint64_t)told}};
		return (told & ~SECBIT_KEEP_CAPS) != 0;
	case PR_MCE_KILL_GET:
		*ret = (struct image_setting){.option = IMAGE_SET_MCE_KILL,
					      .values = {PR_MCE_KILL_SET, (uint64_t)told}};
		return told != PR_MCE_KILL_DEFAULT;
	case GET_IO_FLUSHER:
		*ret = (struct image_setting){.option = IMAGE_SET_IO_FLUSHER, .values = {1}};
		return told == 1;
	default:
		*ret = (struct image_setting){
			.option = IMAGE_SET_SPECULATION,
			.values = {(uint64_t)of_thread[i].argument,
				   (uint64_t)told & ~(uint64_t)SPECULATION_CAN_BE_SET},
		};
		return (told & SPECULATION_CAN_BE_SET) && !(told & SPECULATION_IS_ALLOWED);
	}
}

/* Those of the process: what is set once and for all comes last. */
static void add_of_process(struct image *image)
{
	const int merges = ask(GET_MEMORY_MERGE, 0), forbids = ask(GET_WRITE_XOR_EXECUTE, 0);

	if (merges == 1)
		image->settings[image->setting_count++] =
			(struct image_setting){.option = IMAGE_SET_MEMORY_MERGE, .values = {1}};
	if (forbids > 0)
		image->settings[image->setting_count++] = (struct image_setting){
			.option = IMAGE_SET_WRITE_XOR_EXECUTE, .values = {(uint64_t)forbids}};
}

static int add_settings(struct capture *c, const struct stopped_thread *threads, size_t count)
{
	struct image *image = c->image;

	image->settings =
		arena__take(c->arena, (count * CAPTURE_SETTINGS + 2) * sizeof(*image->settings));
	if (!image->settings)
		return -ENOMEM;
	for (const struct stopped_thread *t = threads; t; t = t->next) {
		for (size_t i = 0; i < CAPTURE_SETTINGS; i++) {
			struct image_setting *setting = &image->settings[image->setting_count];

			if (!find_setting(i, t->settings.told[i], setting))
				continue;
			setting->tid = t->thread.tid;
			image->setting_count++;
		}
	}
	add_of_process(image);
	return 0;
}

/* ---- policies ---- */

/* Lists the policies of mappings. Returns how many there are; policies: room for them, or NULL. */
static size_t list_policies(const struct image *image, struct image_policy *policies)
{
	const uint32_t kernels = IMAGE_VDSO | IMAGE_VVAR | IMAGE_VSYSCALL | IMAGE_ARENA;
	size_t count = 0;

	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];
		struct image_policy policy = {.start = m->start, .end = m->end};
		int mode = MPOL_DEFAULT;

		if (m->flags & kernels)
			continue;
		if (syscall(SYS_get_mempolicy, &mode, policy.nodes, IMAGE_NODES_MAX, m->start,
			    MPOL_F_ADDR) < 0) {
			if (errno == ENOSYS || errno == EPERM)
				return 0;
			continue;
		}
		if (mode == MPOL_DEFAULT)
			continue;
		policy.mode = (uint32_t)mode;
		if (policies)
			policies[count] = policy;
		count++;
	}
	return count;
}

static int add_policies(struct capture *c, const struct stopped_thread *threads, size_t count)
{
	struct image *image = c->image;
	const size_t of_mappings = list_policies(image, NULL);

	image->policies =
		arena__take(c->arena, (of_mappings + count + 1) * sizeof(*image->policies));
	if (!image->policies)
		return -ENOMEM;
	image->policy_count = of_mappings ? list_policies(image, image->policies) : 0;
	for (const struct stopped_thread *t = threads; t; t = t->next) {
		if (t->settings.policy.mode == MPOL_DEFAULT)
			continue;
		image->policies[image->policy_count] = t->settings.policy;
		image->policies[image->policy_count++].tid = t->thread.tid;
	}
	return 0;
}

int capture_settings__add(struct capture *c, const struct stopped_thread *threads)
{
	size_t count = 0;
	int err;

	for (const struct stopped_thread *t = threads; t; t = t->next)
		count++;
	err = add_settings(c, threads, count);
	return err ? err : add_policies(c, threads, count);
}
