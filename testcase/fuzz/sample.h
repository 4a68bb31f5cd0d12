/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small image with one of everything: the fuzzer starts from it, and the tests break it.
 *
 *	SAMPLE_TEXT    1 page   r-x  a file; bytes that count up
 *	SAMPLE_HEAP    3 pages  rw-  bytes that count down; zeros; could not be read
 *	SAMPLE_GUARD   2 pages  ---  nothing in the file
 *	SAMPLE_KERNEL  1 page   r--  [vvar]
 */
#ifndef FUZZ_SAMPLE_H
#define FUZZ_SAMPLE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/image.h"

enum {
	SAMPLE_TEXT = 0x400000,
	SAMPLE_HEAP = 0x2300000,
	SAMPLE_GUARD = 0x2400000,
	SAMPLE_KERNEL = 0x2500000,
	SAMPLE_XSTATE = 576,
	SAMPLE_MAPPINGS = 4,
	SAMPLE_THREADS = 2,
	SAMPLE_FILES = 3,
	SAMPLE_ID = 23,
};

struct sample {
	struct image image;
	struct image_mapping mappings[SAMPLE_MAPPINGS];
	struct image_segment segments[SAMPLE_MAPPINGS];
	struct image_thread threads[SAMPLE_THREADS];
	struct image_registers registers[SAMPLE_THREADS];
	struct image_file files[SAMPLE_FILES];
	struct image_run runs[1];
	uint64_t auxv[4];
	unsigned char xstate[SAMPLE_XSTATE];
	unsigned char text[PAGE_BYTES], heap[3 * PAGE_BYTES];
	char strings[256];
	uint32_t string_bytes;
};

static inline uint32_t sample__string(struct sample *s, const char *text)
{
	uint32_t at = s->string_bytes;

	(void)strcpy(s->strings + at, text); /* NOLINT: what is put in fits */
	s->string_bytes += (uint32_t)strlen(text) + 1;
	return at;
}

static inline void sample__add_mapping(struct sample *s, uint64_t start, uint64_t pages,
				       uint32_t flags, const char *path, int has_bytes)
{
	struct image *image = &s->image;
	uint64_t end = start + pages * PAGE_BYTES;

	s->mappings[image->mapping_count++] = (struct image_mapping){
		.start = start, .end = end, .flags = flags, .path = sample__string(s, path)};
	s->segments[image->segment_count++] =
		(struct image_segment){.start = start,
				       .end = end,
				       .bytes = has_bytes ? end - start : 0,
				       .flags = flags & 7};
}

static inline void sample__add_threads(struct sample *s)
{
	for (size_t i = 0; i < SAMPLE_THREADS; i++) {
		s->threads[i] = (struct image_thread){
			.tid = 2300 + (int)i, .rip = SAMPLE_TEXT + 23, .name = "worker"};
		s->registers[i].user.rip = SAMPLE_TEXT + 5 + i;
		s->registers[i].user.rsp = SAMPLE_HEAP + PAGE_BYTES - 64;
	}
	s->registers[0].xstate = s->xstate;
	s->registers[0].xstate_bytes = SAMPLE_XSTATE;
	s->image.threads = s->threads;
	s->image.registers = s->registers;
	s->image.thread_count = SAMPLE_THREADS;
}

static inline void sample__add_files(struct sample *s)
{
	s->files[0] = (struct image_file){.fd = 0,
					  .flags = O_RDWR,
					  .mode = S_IFCHR | 0620,
					  .path = sample__string(s, "/dev/pts/23"),
					  .same_as = -1};
	s->files[1] = s->files[0];
	s->files[1].fd = 1;
	s->files[1].same_as = 0;
	s->files[2] = (struct image_file){.fd = 23,
					  .flags = O_WRONLY | O_APPEND | O_CLOEXEC,
					  .mode = S_IFREG | 0644,
					  .offset = 2323,
					  .path = sample__string(s, "/tmp/results.txt"),
					  .same_as = -1};
	s->image.files = s->files;
	s->image.file_count = SAMPLE_FILES;
}

/* Fills in *s, which points into itself. It may be changed before it is written. */
static inline void sample__make(struct sample *s)
{
	struct image *image = &s->image;

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < PAGE_BYTES; i++) {
		s->text[i] = (unsigned char)(i * 23 >> 3);
		s->heap[i] = (unsigned char)(255 - i % 251);
	}
	(void)sample__string(s, "");
	image->mappings = s->mappings;
	image->segments = s->segments;
	sample__add_mapping(s, SAMPLE_TEXT, 1, IMAGE_READ | IMAGE_EXEC | IMAGE_FILE,
			    "/usr/bin/counting", 1);
	sample__add_mapping(s, SAMPLE_HEAP, 3, IMAGE_READ | IMAGE_WRITE | IMAGE_HEAP, "[heap]", 1);
	sample__add_mapping(s, SAMPLE_GUARD, 2, 0, "", 0);
	sample__add_mapping(s, SAMPLE_KERNEL, 1, IMAGE_READ | IMAGE_VVAR, "[vvar]", 0);
	sample__add_threads(s);
	sample__add_files(s);
	s->runs[0] = (struct image_run){SAMPLE_HEAP + 2 * PAGE_BYTES, SAMPLE_HEAP + 3 * PAGE_BYTES};
	image->missing = s->runs;
	image->missing_count = 1;
	image->auxv = s->auxv;
	image->auxv_bytes = sizeof(s->auxv);
	image->info = (struct image_info){
		.missing = IMAGE_MISSING_PAGES | IMAGE_MISSING_FILES,
		.id = SAMPLE_ID,
		.time_ns = 1700000000ULL * 1000000000,
		.version = IMAGE_VERSION,
		.page_bytes = PAGE_BYTES,
		.writer = sample__string(s, "sample 23"),
		.kernel = sample__string(s, "6.1.0"),
	};
	image->process = (struct image_process){
		.start_brk = SAMPLE_HEAP,
		.brk = SAMPLE_HEAP + 3 * PAGE_BYTES,
		.pid = 2300,
		.ppid = 1,
		.umask = 022,
		.cwd = sample__string(s, "/tmp"),
		.exe = s->mappings[0].path,
		.name = "counting",
		.arguments = "counting 23",
		.monotonic_ns = 2300ULL * 1000000000,
		.boottime_ns = 2323ULL * 1000000000,
	};
	image->signals[11] = (struct image_signal){.handler = SAMPLE_TEXT + 23, .flags = 4};
	image->strings = s->strings;
	image->string_bytes = s->string_bytes;
}

/* Makes it an increment upon the image at path: the heap's first page is new, the text is not. */
static inline void sample__add_to(struct sample *s, const char *path, uint64_t parent_id)
{
	struct image *image = &s->image;

	image->info.id++;
	image->info.flags |= IMAGE_INCREMENT;
	image->info.parent_id = parent_id;
	image->info.depth = 1;
	image->info.parent = sample__string(s, path);
	image->string_bytes = s->string_bytes;
	image->info.missing = 0;
	image->missing_count = 0;
	s->segments[0] = s->segments[1];
	s->segments[0].end = s->segments[0].start + PAGE_BYTES;
	s->segments[0].bytes = PAGE_BYTES;
	image->segment_count = 1;
	s->runs[0] = (struct image_run){SAMPLE_TEXT, SAMPLE_TEXT + PAGE_BYTES};
	image->unchanged = s->runs;
	image->unchanged_count = 1;
}

/* Writes it to path. Returns 0 or -errno. */
static inline int sample__write(struct sample *s, const char *path)
{
	struct image_writer *writer = calloc(1, sizeof(*writer));
	int err = writer ? image_writer__open(writer, path) : -ENOMEM;

	if (err)
		goto out;
	err = image_writer__begin(writer, &s->image);
	for (size_t i = 0; i < s->image.segment_count && !err; i++) {
		const struct image_segment *segment = &s->segments[i];

		if (segment->bytes)
			err = image_writer__pages(writer,
						  segment->start == SAMPLE_TEXT ? s->text : s->heap,
						  segment->bytes);
	}
	if (err)
		goto out;
	err = image_writer__commit(writer);
out:
	if (writer)
		image_writer__abort(writer);
	free(writer);
	return err;
}

#endif
