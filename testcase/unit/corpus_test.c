/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Gives the fuzzer's target all files of testcase/fuzz/corpus, and images with changed bytes. The
 * target aborts where something is wrong. No fuzzer is needed here; `make fuzz` runs it.
 */
#include <dirent.h>

#include "../fuzz/image_fuzz.c" /* NOLINT: its target is the test */
#include "tap.h"

enum { BYTES_MAX = 1 << 16, MUTATIONS = 2300 };

/* Looks for testcase/fuzz/corpus, from the folder of this program upwards. */
static DIR *open_corpus(char *ret_path)
{
	char at[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", at, sizeof(at) - 1);

	for (at[n > 0 ? n : 0] = '\0'; strrchr(at, '/');) {
		DIR *dir;

		*strrchr(at, '/') = '\0';
		if (snprintf(ret_path, PATH_MAX, "%s/testcase/fuzz/corpus", at) >= PATH_MAX)
			return NULL;
		dir = opendir(ret_path);
		if (dir)
			return dir;
	}
	return NULL;
}

static size_t get_file(const char *from, unsigned char *bytes)
{
	int file = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? -1 : read(file, bytes, BYTES_MAX);

	if (file >= 0)
		(void)close(file);
	return n > 0 ? (size_t)n : 0;
}

static void test_corpus(void)
{
	static unsigned char bytes[BYTES_MAX];
	char where[PATH_MAX], name[PATH_MAX + 300];
	DIR *dir = open_corpus(where);
	struct dirent *entry;
	size_t count = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		size_t size;

		(void)snprintf(name, sizeof(name), "%s/%s", where, entry->d_name);
		size = get_file(name, bytes);
		if (size == 0)
			continue;                /* "." */
		printf("# %s\n", entry->d_name); /* the last one is the one that crashed */
		(void)fflush(stdout);
		(void)LLVMFuzzerTestOneInput(bytes, size);
		count++;
	}
	if (dir)
		(void)closedir(dir);
	tap__ok(count >= 5, "%zu files of the corpus", count);
}

static void test_mutations(void)
{
	static unsigned char bytes[BYTES_MAX], copy[BYTES_MAX];
	size_t size, start, end;
	uint32_t seed = 23;

	set_up();
	size = get_file(parent, bytes);
	if (!reseal__notes(bytes, size, &start, &end)) {
		tap__ok(0, "an image to start from");
		return;
	}
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(copy, bytes, size);
		for (int times = 0; times <= i % 5; times++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % end] = (unsigned char)(seed >> 4);
		}
		reseal(copy, size);
		(void)LLVMFuzzerTestOneInput(copy, size);
	}
	tap__ok(1, "%d images with changed headers and notes, seed 23", MUTATIONS);
}

int main(void)
{
	tap__plan(2);
	test_mutations();
	test_corpus();
	return tap__done();
}
