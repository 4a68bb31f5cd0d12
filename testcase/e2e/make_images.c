/* SPDX-License-Identifier: BSD-2-Clause
 *
 * make_images FOLDER: small images of several kinds, for the tests of readckpt, and for the fuzzer
 * to start from. The parent of `increment` is `full`.
 */
#include <stdio.h>

#include "../fuzz/sample.h"

static int put(struct sample *s, const char *folder, const char *name)
{
	char path[PATH_MAX];
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	err = sample__write(s, path);
	if (err)
		(void)fprintf(stderr, "cannot write %s: %s\n", path, strerror(-err));
	return err;
}

int main(int argc, char **argv)
{
	struct sample s;
	int err;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: make_images FOLDER\n");
		return 2;
	}
	sample__make(&s);
	err = put(&s, argv[1], "full");
	if (err)
		goto out;
	err = put(&s, argv[1], "full.gz");
	if (err)
		goto out;
	s.image.segment_count = s.image.mapping_count = 1;
	s.image.missing_count = s.image.file_count = 0;
	err = put(&s, argv[1], "one-page");
	if (err)
		goto out;
	s.image.thread_count = s.image.segment_count = s.image.mapping_count = 0;
	s.image.info.flags = IMAGE_NO_REGISTERS;
	err = put(&s, argv[1], "nothing");
	if (err)
		goto out;
	sample__make(&s);
	sample__add_to(&s, "/nowhere/full", SAMPLE_ID);
	err = put(&s, argv[1], "increment");
out:
	return err != 0;
}
