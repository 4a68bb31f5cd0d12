/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fuzzer's target (libFuzzer): reading any file as an image ends, without damage. The mutator
 * knows the parts of an image and repairs its checksums, because no fuzzer finds a CRC by chance.
 * `make fuzz` runs it; `make test` runs it over the corpus alone.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "readckpt/dump.h"
#include "readckpt/json.h"
#include "readckpt/squash.h"
#include "readckpt/table.h"
#include "reseal.h"
#include "sample.h"

enum { READ_BYTES = 3 * PAGE_BYTES / 2, PIECES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* In memory. The image that increments of the corpus add to is beside what is being read. */
static char folder[] = "/dev/shm/image-fuzz.XXXXXX";
static char path[64], parent[64], squashed[64];
static FILE *nowhere;
static int fd = -1;

static void clean_up(void)
{
	(void)unlink(path);
	(void)unlink(parent);
	(void)unlink(squashed);
	(void)rmdir(folder);
}

static void set_up(void)
{
	struct sample s;
	int err;

	sample__make(&s);
	if (!mkdtemp(folder)) {
		perror(folder);
		exit(1);
	}
	(void)snprintf(path, sizeof(path), "%s/image", folder);
	(void)snprintf(parent, sizeof(parent), "%s/full", folder);
	(void)snprintf(squashed, sizeof(squashed), "%s/squashed", folder);
	err = atexit(clean_up) || sample__write(&s, parent);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	nowhere = fopen("/dev/null", "we");
	if (err || fd < 0 || !nowhere) {
		perror(folder);
		exit(1);
	}
}

/* From one end of the addresses to the other, as far as PIECES_MAX goes. */
static void walk(const struct image_chain *chain)
{
	static unsigned char buffer[READ_BYTES];
	const struct image *image;
	struct image_stretch stretch = {.end = 0};

	for (int i = 0; i < PIECES_MAX && stretch.end != UINT64_MAX; i++) {
		uint64_t at = stretch.end;

		image_chain__locate(chain, at, &stretch, &image);
		if (stretch.start != at || stretch.end <= at || stretch.kind == IMAGE_UNCHANGED)
			abort();
		(void)image_chain__read(chain, at, buffer, sizeof(buffer));
		(void)image__read(chain->images[0], at + PAGE_BYTES / 2, buffer, PAGE_BYTES);
	}
}

/* All that readckpt does with an image. */
static void show(const struct image_chain *chain, int alone, uint8_t choice, char *message)
{
	const struct image *image = chain->images[0];
	struct survey survey;

	if (survey__make(chain, alone ? message : NULL, &survey))
		return;
	if (survey.total.all !=
	    survey.total.resident + survey.total.zero + survey.total.parent + survey.total.missing)
		abort();
	table__write(nowhere, chain, &survey, choice & 1);
	json__write(nowhere, chain, &survey);
	survey__free(&survey);
	if (alone)
		return;
	for (size_t i = 0; i < image->mapping_count && i < 23; i++)
		(void)dump__write(nowhere, chain, image->mappings[i].start - choice, 2323, message);
	/* Addresses can be far apart, and what is squashed is written. */
	if (choice % 16 == 0 && squash__write(chain, squashed, message) == 0)
		(void)unlink(squashed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char message[IMAGE_MESSAGE_BYTES];
	struct image_chain chain;
	int err;

	if (fd < 0)
		set_up();
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	message[0] = '\0';
	err = image_chain__open(path, &chain, message);
	if (err && (message[0] != '/' || !strstr(message, ": ")))
		abort(); /* it must name the file, or the parent */
	if (!err) {
		walk(&chain);
	} else {
		chain.count = 1;
		if (image__open(path, &chain.images[0], message))
			return 0;
	}
	show(&chain, err != 0, data[size - 1], message);
	image_chain__free(&chain);
	return 0;
}

#ifdef FUZZER

/* Mutates bytes [start, end) in place; a shorter result leaves the rest as it was. */
static void mutate_range(uint8_t *data, size_t start, size_t end)
{
	static uint8_t copy[1 << 16];

	if (end - start > sizeof(copy))
		end = start + sizeof(copy);
	if (start == end)
		return;
	memcpy(copy, data + start, end - start);
	end = start + LLVMFuzzerMutate(copy, end - start, end - start);
	memcpy(data + start, copy, end - start);
}

/* The note at an offset: its bytes, with padding; 0 if it does not end before end. */
static size_t note_bytes(const uint8_t *data, size_t at, size_t end)
{
	Elf64_Nhdr head;
	size_t bytes;

	if (end - at < sizeof(head))
		return 0;
	memcpy(&head, data + at, sizeof(head));
	bytes = sizeof(head) + ((size_t)head.n_namesz + 3) / 4 * 4 +
		((size_t)head.n_descsz + 3) / 4 * 4;
	return bytes <= end - at ? bytes : 0;
}

/* Any one of the notes in [start, end). */
static size_t choose_note(const uint8_t *data, size_t start, size_t end, unsigned int seed,
			  size_t *ret_bytes)
{
	size_t count = 0, at;

	for (at = start; note_bytes(data, at, end); at += note_bytes(data, at, end))
		count++;
	count = count ? seed % count : 0;
	for (at = start; count-- > 0;)
		at += note_bytes(data, at, end);
	*ret_bytes = note_bytes(data, at, end);
	return at;
}

/* Makes room for, or takes away, bytes at an offset of the notes; they stay in the same pages. */
static void resize_notes(uint8_t *data, size_t at, size_t end, size_t bytes, int add)
{
	size_t limit = page__round_up(end);
	Elf64_Phdr notes;

	memcpy(&notes, data + sizeof(Elf64_Ehdr), sizeof(notes));
	if (add && bytes <= limit - end) {
		memmove(data + at + bytes, data + at, end - at);
		notes.p_filesz += bytes;
	} else if (!add) {
		memmove(data + at, data + at + bytes, end - at - bytes);
		memset(data + end - bytes, 0, bytes);
		notes.p_filesz -= bytes;
	}
	memcpy(data + sizeof(Elf64_Ehdr), &notes, sizeof(notes));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t start, end, note, bytes;

	if (seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	if (!reseal__notes(data, size, &start, &end) || end > page__start(size))
		return LLVMFuzzerMutate(data, size, max_size);
	note = choose_note(data, start, end, seed / 16, &bytes);
	switch (seed % 16) {
	case 1:
		size = LLVMFuzzerMutate(data, size, max_size);
		break;
	case 2:
	case 3:
		mutate_range(data, 0, start);
		break;
	case 4:
		mutate_range(data, page__start(size), size);
		break;
	case 5: /* the same note twice; or longer, or shorter, by four bytes somewhere */
		resize_notes(data, note, end, bytes, 1);
		break;
	case 6:
		resize_notes(data, note, end, bytes, 0);
		break;
	case 7:
		resize_notes(data, note + bytes, end, 48, 1);
		break;
	default:
		mutate_range(data, note, note + bytes);
	}
	reseal(data, size);
	return size;
}

#endif
