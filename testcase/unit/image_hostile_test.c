/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Images that an enemy has made: bytes changed, the end cut off at many lengths, impossible headers
 * and notes with right checksums, chains without an end, and gzip that unpacks to very much. Before
 * the memory each byte and each length is tried; in it, and in gzip, one of some.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../fuzz/reseal.h"
#include "../fuzz/sample.h"
#include "image/image_unpack.h"
#include "folder.h"
#include "slab/slab_heap.h"
#include "tap.h"

enum { BYTES_MAX = 1 << 16, BOMB_BYTES = 64 << 20, MEMORY_STEP = 13, PACKED_STEP = 3 };

static char message[IMAGE_MESSAGE_BYTES];
static unsigned char original[BYTES_MAX];
static size_t original_bytes;

static void put_file(const char *name, const void *bytes, size_t count)
{
	int fd = open(folder__path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd < 0 || write(fd, bytes, count) != (ssize_t)count);
	(void)close(fd);
}

static size_t get_file(const char *name, unsigned char *bytes)
{
	int fd = open(folder__path(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, BYTES_MAX);

	must(n <= 0 || n == BYTES_MAX);
	(void)close(fd);
	return (size_t)n;
}

/* 0 if the image opens and all its checksums are right. */
static int open_and_check(const char *name)
{
	struct image *image = NULL;
	int err;

	message[0] = '\0';
	err = image__open(folder__path(name), &image, message);
	if (!err)
		err = image__check(image, message);
	image__free(image);
	return err;
}

/* ---- accidents ---- */

/* Where the notes of the original end, the last of what describes its memory. */
static size_t find_memory(void)
{
	const Elf64_Ehdr *file = (const void *)original;
	const Elf64_Phdr *notes = (const void *)(original + file->e_phoff);

	must(notes->p_type != PT_NOTE || notes->p_offset + notes->p_filesz > original_bytes);
	return notes->p_offset + notes->p_filesz;
}

static void test_flips(void)
{
	int fd = open(folder__path("full"), O_RDWR | O_CLOEXEC);
	const size_t memory = find_memory();
	unsigned int seed = 23;
	size_t tried = 0, found = 0;

	must(fd < 0);
	for (size_t at = 0; at < original_bytes; at += at < memory ? 1 : MEMORY_STEP, tried++) {
		unsigned char byte = original[at];

		seed = seed * 1103515245 + 12345;
		byte ^= (unsigned char)(1u << (seed >> 16) % 8);
		must(pwrite(fd, &byte, 1, (off_t)at) != 1);
		if (open_and_check("full") && strstr(message, "/full: "))
			found++;
		else
			tap__note("the byte at %zu does not matter", at);
		must(pwrite(fd, &original[at], 1, (off_t)at) != 1);
	}
	tap__ok(tried > memory && found == tried,
		"one bit of a byte flipped, in %zu bytes of %zu: found, and the file named", tried,
		original_bytes);
	tap__equal(open_and_check("full"), 0, "and without it all is well");
	(void)close(fd);
}

/* densely: at each length below that; above, at one of step lengths. */
static void test_cuts(const char *name, size_t densely, size_t step)
{
	static unsigned char bytes[BYTES_MAX];
	size_t count = get_file(name, bytes), tried = 0, found = 0;

	for (size_t size = count - 1;; size -= size > densely + step ? step : 1, tried++) {
		must(truncate(folder__path(name), (off_t)size));
		found += open_and_check(name) != 0;
		if (size == 0)
			break;
	}
	tap__equal(found, tried + 1, "%s: cut off at %zu lengths", name, tried + 1);
	put_file(name, bytes, count);
	bytes[count] = 0;
	put_file("longer", bytes, count + 1);
	tap__equal(open_and_check("longer"), -EBADMSG, "%s: a byte more", name);
}

/* Some bits of gzip mean nothing, as in its header, or where zeros repeat zeros. Then the image
 * must be right. */
static void test_packed_flips(void)
{
	static unsigned char bytes[BYTES_MAX];
	size_t count = get_file("full.gz", bytes), tried = 0, found = 0, harmless = 0;

	for (size_t at = 0; at < count; at += PACKED_STEP, tried++) {
		bytes[at] ^= (unsigned char)(1u << at % 8);
		put_file("flipped.gz", bytes, count);
		bytes[at] ^= (unsigned char)(1u << at % 8);
		if (open_and_check("flipped.gz"))
			found++;
		else
			harmless++;
	}
	tap__ok(found + harmless == tried && found > harmless,
		"gzip: one bit of a byte flipped: %zu found, with %zu the image is as it was",
		found, harmless);
}

/* ---- headers ---- */

/* Changes a number of the ELF header or of program header N. */
struct header_case {
	const char *what, *wanted; /* part of the message */
	int err;
	size_t offset, bytes;
	uint64_t value;
};

#define ELF(field) offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field)
#define PROGRAM(n, field)                                                                          \
	sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field),               \
		sizeof(((Elf64_Phdr *)0)->field)

static const struct header_case header_cases[] = {
	{"not for this machine", "another kind of machine", -EPROTONOSUPPORT, ELF(e_machine), 40},
	{"a program, no core file", "no core file", -ENOEXEC, ELF(e_type), ET_EXEC},
	{"no program headers", "not written by", -ENOEXEC, ELF(e_phnum), 0},
	{"one program header", "not written by", -ENOEXEC, ELF(e_phnum), 1},
	{"65535 program headers", "cut off", -EBADMSG, ELF(e_phnum), 65535},
	{"program headers elsewhere", "not written by", -ENOEXEC, ELF(e_phoff), 1ULL << 63},
	{"notes of 2^64 - 1 bytes", "notes are not inside", -EBADMSG, PROGRAM(0, p_filesz),
	 UINT64_MAX},
	{"notes in the middle of nowhere", "notes are not inside", -EBADMSG, PROGRAM(0, p_offset),
	 1ULL << 40},
	{"no notes at all", "not an image", -ENOEXEC, PROGRAM(0, p_filesz), 0},
	{"a segment that is something else", "of type", -EBADMSG, PROGRAM(1, p_type), PT_DYNAMIC},
	{"a segment inside a page", "impossible addresses", -EBADMSG, PROGRAM(1, p_vaddr),
	 SAMPLE_TEXT + 23},
	{"a segment without memory", "impossible addresses", -EBADMSG, PROGRAM(1, p_memsz), 0},
	{"a segment beyond 2^64", "impossible addresses", -EBADMSG, PROGRAM(1, p_vaddr),
	 UINT64_MAX - 4095},
	{"a segment of 2^64 bytes less a page", "impossible addresses", -EBADMSG,
	 PROGRAM(1, p_memsz), UINT64_MAX - 4095},
	{"segments that overlap", "impossible addresses", -EBADMSG, PROGRAM(2, p_vaddr),
	 SAMPLE_TEXT},
	{"a segment in the file in part", "in part", -EBADMSG, PROGRAM(2, p_filesz), 4096},
	{"a segment of another mapping", "in no mapping", -EBADMSG, PROGRAM(1, p_vaddr),
	 SAMPLE_TEXT + 0x1000},
	{"a segment of the kernel's", "beyond the addresses", -EBADMSG, PROGRAM(1, p_vaddr),
	 1ULL << 63},
	{"a segment beyond the file", "not inside the file", -EBADMSG, PROGRAM(1, p_offset),
	 1ULL << 62},
	{"segments on each other in the file", "not inside the file", -EBADMSG,
	 PROGRAM(2, p_offset), 0x2000},
	{"a segment on the notes", "not inside the file", -EBADMSG, PROGRAM(1, p_offset), 0x1000},
	{"a segment inside a page of the file", "not inside the file", -EBADMSG,
	 PROGRAM(1, p_offset), 0x2001},
	{"checksums elsewhere", "too early or too late", -EBADMSG, PROGRAM(5, p_offset), 0x2000},
	{"checksums of 2^64 - 1 bytes", "too early or too late", -EBADMSG, PROGRAM(5, p_filesz),
	 UINT64_MAX},
	{"checksums that are no note", "not written by", -ENOEXEC, PROGRAM(5, p_type), PT_LOAD},
};

static void test_broken(unsigned char *bytes, const char *what, int err, const char *wanted)
{
	int got;

	reseal(bytes, original_bytes);
	put_file("broken", bytes, original_bytes);
	got = open_and_check("broken");
	if (!tap__ok(got == err && strstr(message, "/broken: ") && strstr(message, wanted), "%s",
		     what))
		tap__note("got %d, wanted %d: %s", got, err, message);
}

static void test_headers(void)
{
	static unsigned char bytes[BYTES_MAX];

	for (size_t i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]); i++) {
		const struct header_case *c = &header_cases[i];

		memcpy(bytes, original, original_bytes);
		memcpy(bytes + c->offset, &c->value, c->bytes);
		test_broken(bytes, c->what, c->err, c->wanted);
	}
}

/* ---- notes ---- */

/* Changes a number in the descriptor, or head, of a note. */
struct note_case {
	const char *what, *wanted;
	int err;
	uint32_t type;
	size_t at, bytes;
	uint64_t value;
};

enum { HEAD = 1 << 20 }; /* an offset into the head of the note */

#define IN(record, index, field)                                                                   \
	(index) * sizeof(struct record) + offsetof(struct record, field),                          \
		sizeof(((struct record *)0)->field)

static const struct note_case note_cases[] = {
	{"a note with a name of 4 GiB", "does not end", -EBADMSG, IMAGE_NOTE_INFO, HEAD, 4,
	 UINT32_MAX},
	{"a note with a name of nothing", "does not end", -EBADMSG, IMAGE_NOTE_INFO, HEAD, 4, 0},
	{"a note of 4 GiB", "does not end", -EBADMSG, IMAGE_NOTE_FILES, HEAD + 4, 4, UINT32_MAX},
	{"half a record", "half a record", -EBADMSG, IMAGE_NOTE_FILES, HEAD + 4, 4, 143},
	{"attributes of another size", "ATTRIBUTES", -EBADMSG, IMAGE_NOTE_ATTRIBUTES, HEAD + 4, 4,
	 sizeof(struct image_attributes) - 1},
	{"a place of another size", "PLACE", -EBADMSG, IMAGE_NOTE_PLACE, HEAD + 4, 4,
	 sizeof(struct image_place) - 1},
	{"surroundings of another size", "SURROUNDINGS", -EBADMSG, IMAGE_NOTE_SURROUNDINGS,
	 HEAD + 4, 4, sizeof(struct image_surroundings) - 1},
	{"half an object", "half a record", -EBADMSG, IMAGE_NOTE_OBJECTS, HEAD + 4, 4, 47},
	{"an object of an unknown kind", "without a name", -EBADMSG, IMAGE_NOTE_OBJECTS,
	 IN(image_object, 0, kind), IMAGE_OBJECT_KINDS},
	{"an object of no file", "without a name", -EBADMSG, IMAGE_NOTE_OBJECTS,
	 IN(image_object, 0, fd), 2300},
	{"contents of an object beyond their end", "without a name", -EBADMSG, IMAGE_NOTE_OBJECTS,
	 IN(image_object, 0, bytes), 23},
	{"a pair of sockets of no type", "a pair of sockets", -EBADMSG, IMAGE_NOTE_OBJECTS,
	 IN(image_object, 0, kind), IMAGE_PAIR},
	{"the type of the checksums among the notes", "not where it must be", -EBADMSG,
	 IMAGE_NOTE_ATTRIBUTES, HEAD + 8, 4, IMAGE_NOTE_CHECKSUMS},
	{"a note twice", "there twice", -EBADMSG, IMAGE_NOTE_FILES, HEAD + 8, 4,
	 IMAGE_NOTE_MAPPINGS},
	{"a note that is not there", "notes are missing", -EBADMSG, IMAGE_NOTE_FILES, HEAD + 8, 4,
	 0x54520023},
	{"INFO is not the first", "not the first", -EBADMSG, IMAGE_NOTE_INFO, HEAD + 8, 4,
	 IMAGE_NOTE_PROCESS},
	{"version 0", "version 0", -EPROTONOSUPPORT, IMAGE_NOTE_INFO, IN(image_info, 0, version),
	 0},
	{"pages of another size", "INFO", -EBADMSG, IMAGE_NOTE_INFO, IN(image_info, 0, page_bytes),
	 1 << 21},
	{"no id", "INFO", -EBADMSG, IMAGE_NOTE_INFO, IN(image_info, 0, id), 0},
	{"a flag that is not known", "INFO", -EBADMSG, IMAGE_NOTE_INFO, IN(image_info, 0, flags),
	 1u << 31},
	{"missing what is not known", "INFO", -EBADMSG, IMAGE_NOTE_INFO, IN(image_info, 0, missing),
	 1ULL << 63},
	{"half an increment", "half an increment", -EBADMSG, IMAGE_NOTE_INFO,
	 IN(image_info, 0, flags), IMAGE_INCREMENT},
	{"no registers, but threads", "no threads, or", -EBADMSG, IMAGE_NOTE_INFO,
	 IN(image_info, 0, flags), IMAGE_NO_REGISTERS},
	{"a name outside of the strings", "outside of the strings", -EBADMSG, IMAGE_NOTE_INFO,
	 IN(image_info, 0, writer), UINT32_MAX},
	{"a folder outside of the strings", "outside of the strings", -EBADMSG, IMAGE_NOTE_PROCESS,
	 IN(image_process, 0, cwd), 1 << 20},
	{"strings that do not end", "holds no strings", -EBADMSG, IMAGE_NOTE_STRINGS, HEAD + 4, 4,
	 5},
	{"a mapping that ends before it starts", "mapping 1 cannot be", -EBADMSG,
	 IMAGE_NOTE_MAPPINGS, IN(image_mapping, 1, end), 4096},
	{"mappings that overlap", "mapping 1 cannot be", -EBADMSG, IMAGE_NOTE_MAPPINGS,
	 IN(image_mapping, 1, start), SAMPLE_TEXT},
	{"a mapping beyond all programs", "mapping 3 cannot be", -EBADMSG, IMAGE_NOTE_MAPPINGS,
	 IN(image_mapping, 3, end), UINT64_MAX - 4095},
	{"a mapping of no kind", "mapping 2 cannot be", -EBADMSG, IMAGE_NOTE_MAPPINGS,
	 IN(image_mapping, 2, flags), 1u << 31},
	{"a mapping with a path outside", "mapping 0 cannot be", -EBADMSG, IMAGE_NOTE_MAPPINGS,
	 IN(image_mapping, 0, path), 4096},
	{"a thread without a number", "without a number", -EBADMSG, IMAGE_NOTE_THREADS,
	 IN(image_thread, 1, tid), 0},
	{"registers of another size", "NT_PRSTATUS has another size", -EBADMSG, NT_PRPSINFO,
	 HEAD + 8, 4, NT_PRSTATUS},
	{"a file with a negative number", "open file that cannot be", -EBADMSG, IMAGE_NOTE_FILES,
	 IN(image_file, 0, fd), UINT32_MAX},
	{"files out of order", "open file that cannot be", -EBADMSG, IMAGE_NOTE_FILES,
	 IN(image_file, 2, fd), 1},
	{"a file that is the same as itself", "open file that cannot be", -EBADMSG,
	 IMAGE_NOTE_FILES, IN(image_file, 2, same_as), 23},
	{"a file at 2^64 - 1", "open file that cannot be", -EBADMSG, IMAGE_NOTE_FILES,
	 IN(image_file, 2, offset), UINT64_MAX},
	{"missing pages that are nowhere", "run of pages cannot be", -EBADMSG, IMAGE_NOTE_MISSING,
	 IN(image_run, 0, end), 1ULL << 46},
	{"missing pages that end before they start", "run of pages cannot be", -EBADMSG,
	 IMAGE_NOTE_MISSING, IN(image_run, 0, end), SAMPLE_HEAP},
	{"pages in a parent that there is not", "pages are in a parent", -EBADMSG,
	 IMAGE_NOTE_MISSING, HEAD + 8, 4, IMAGE_NOTE_UNCHANGED},
	{"extended state that is too short", "NT_X86_XSTATE", -EBADMSG, NT_X86_XSTATE, HEAD + 4, 4,
	 23},
};

/* Finds the first note of that type in the copy of the image. */
static unsigned char *find_note(unsigned char *bytes, uint32_t type)
{
	size_t at, end;

	must(!reseal__notes(bytes, original_bytes, &at, &end));
	while (at < end) {
		Elf64_Nhdr head;

		memcpy(&head, bytes + at, sizeof(head));
		if (head.n_type == type)
			return bytes + at;
		at += sizeof(head) + ((size_t)head.n_namesz + 3) / 4 * 4 +
		      ((size_t)head.n_descsz + 3) / 4 * 4;
	}
	errno = ENOENT;
	must(1);
	return NULL;
}

static void test_notes(void)
{
	static unsigned char bytes[BYTES_MAX];

	for (size_t i = 0; i < sizeof(note_cases) / sizeof(note_cases[0]); i++) {
		const struct note_case *c = &note_cases[i];
		unsigned char *note;
		size_t at = c->at & ~(size_t)HEAD;

		memcpy(bytes, original, original_bytes);
		note = find_note(bytes, c->type);
		if (!(c->at & HEAD))
			at += sizeof(Elf64_Nhdr) + 8;
		memcpy(note + at, &c->value, c->bytes);
		/* INFO is there, but behind another note */
		if (c->type == IMAGE_NOTE_INFO && c->value == IMAGE_NOTE_PROCESS)
			memcpy(find_note(bytes, IMAGE_NOTE_SIGNALS) + 8,
			       &(uint32_t){IMAGE_NOTE_INFO}, 4);
		if (c->value == IMAGE_NOTE_UNCHANGED)
			memcpy(find_note(bytes, IMAGE_NOTE_UNCHANGED) + 8,
			       &(uint32_t){IMAGE_NOTE_MISSING}, 4);
		test_broken(bytes, c->what, c->err, c->wanted);
	}
}

/* ---- chains ---- */

static void make_increment(const char *name, uint64_t id, const char *parent, uint64_t parent_id,
			   uint32_t depth)
{
	struct sample s;

	sample__make(&s);
	sample__add_to(&s, folder__path(parent), parent_id);
	s.image.info.id = id;
	s.image.info.depth = depth;
	must(sample__write(&s, folder__path(name)));
}

static void test_chain(const char *name, int wanted, const char *text, const char *what)
{
	struct image_chain chain = {.count = 0};
	int err;

	message[0] = '\0';
	err = image_chain__open(folder__path(name), &chain, message);
	if (!tap__ok(err == wanted && strstr(message, text), "%s", what))
		tap__note("got %d: %s", err, message);
	image_chain__free(&chain);
}

static void test_chains(void)
{
	make_increment("self", 5, "self", 5, 7);
	test_chain("self", -EBADMSG, "depth 7", "an image that adds to itself");
	make_increment("one", 6, "two", 7, 2);
	make_increment("two", 7, "one", 6, 1);
	test_chain("one", -EBADMSG, "two: it is an increment of depth 1",
		   "two that add to each other");
	make_increment("three", 8, "full", SAMPLE_ID + 1, 1);
	test_chain("three", -EBADMSG, "not the image that it adds to", "another parent");
	make_increment("three", 8, "full", SAMPLE_ID, 5);
	test_chain("three", 0, "", "one that adds to what was squashed");
	make_increment("orphan", 8, "nothing\033[31m", SAMPLE_ID, 1);
	test_chain("orphan", -ENOENT, "/nothing?[31m",
		   "no parent, and its name does not steer the terminal");
	make_increment("strange", 8, "../../../../../../../dev/null", SAMPLE_ID, 1);
	test_chain("strange", -ENOEXEC, "no plain file", "a parent that is a device");
}

static void test_long_chain(void)
{
	char name[16], parent[16] = "full";

	for (unsigned int i = 1; i <= IMAGE_CHAIN_MAX; i++) {
		(void)snprintf(name, sizeof(name), "link%u", i);
		make_increment(name, SAMPLE_ID + i, parent, SAMPLE_ID + i - 1, i);
		memcpy(parent, name, sizeof(parent));
	}
	test_chain("link255", 0, "", "256 images are a chain");
	test_chain("link256", -EFBIG, "more than 256", "257 are too many");
	for (unsigned int i = 1; i <= IMAGE_CHAIN_MAX; i++) {
		(void)snprintf(name, sizeof(name), "link%u", i);
		must(unlink(folder__path(name)));
	}
}

/* ---- gzip ---- */

/* Writes head, and then one byte many times, which packs well. */
static void make_bomb(const unsigned char *head, size_t count, int byte)
{
	static unsigned char block[1 << 20];
	gzFile file = gzopen(folder__path("bomb"), "wb1");

	must(!file || gzwrite(file, head, (unsigned int)count) != (int)count);
	memset(block, byte, sizeof(block));
	for (size_t at = 0; at < BOMB_BYTES; at += sizeof(block))
		must(gzwrite(file, block, sizeof(block)) != sizeof(block));
	must(gzclose(file) != Z_OK);
}

static void test_bombs(void)
{
	static unsigned char bytes[BYTES_MAX];
	struct image image = {.path = folder};
	Elf64_Phdr last;
	size_t at = sizeof(Elf64_Ehdr) + 5 * sizeof(last);

	make_bomb(original, 0, 23);
	tap__ok(open_and_check("bomb") == -ENOEXEC && strstr(message, "no ELF file"),
		"gzip of something else");
	make_bomb(original, 0, 0);
	tap__ok(open_and_check("bomb") == -ENOEXEC && strstr(message, "no ELF file"),
		"gzip of zeros");
	make_bomb(original, sizeof(Elf64_Ehdr), 0);
	tap__ok(open_and_check("bomb") == -EBADMSG && strstr(message, "more than its headers say"),
		"gzip of an ELF header and zeros");
	make_bomb(original, original_bytes, 0);
	tap__ok(open_and_check("bomb") == -EBADMSG && strstr(message, "more than its headers say"),
		"gzip of an image and 64 MiB of zeros");
	memcpy(bytes, original, original_bytes);
	memcpy(&last, bytes + at, sizeof(last));
	last.p_offset = 1ULL << 41;
	memcpy(bytes + at, &last, sizeof(last));
	make_bomb(bytes, original_bytes, 0);
	tap__ok(open_and_check("bomb") == -EFBIG && strstr(message, "larger than 1 TiB"),
		"gzip of an image that says it has 2 TiB");
	last.p_offset = BOMB_BYTES;
	memcpy(bytes + at, &last, sizeof(last));
	make_bomb(bytes, original_bytes, 23);
	image.fd = open(folder__path("bomb"), O_RDONLY | O_CLOEXEC);
	must(image.fd < 0);
	must(slab_heap__create(NULL, 0, &image.heap));
	tap__ok(image_unpack__replace(&image, BOMB_BYTES / 4, message) == -EFBIG &&
			strstr(message, "16 MiB of memory") && image.compressed == 0,
		"gzip of more than there is memory");
	(void)close(image.fd);
	slab_heap__destroy(image.heap);
}

/* ---- finding memory ---- */

/* Segments without bytes lie between others. Pieces go to the next segment that has bytes. */
static void test_locate(void)
{
	struct image_stretch stretch;
	struct image *image = NULL;
	struct sample s;

	sample__make(&s);
	s.segments[1] = (struct image_segment){.start = SAMPLE_HEAP, .end = SAMPLE_HEAP + 4096};
	s.segments[2] = (struct image_segment){
		.start = SAMPLE_HEAP + 4096, .end = SAMPLE_HEAP + 8192, .bytes = 4096};
	s.image.segment_count = 3;
	must(sample__write(&s, folder__path("parts")));
	must(image__open(folder__path("parts"), &image, message));
	if (image) {
		image__locate(image, SAMPLE_HEAP + 23, &stretch);
		tap__ok(stretch.kind == IMAGE_ZERO && stretch.end == SAMPLE_HEAP + 4096,
			"zeros up to the next segment with bytes");
		image__locate(image, SAMPLE_HEAP + 8192, &stretch);
		tap__ok(stretch.kind == IMAGE_ZERO && stretch.end == SAMPLE_HEAP + 3 * 4096,
			"and after the last, to the end of the mapping");
	}
	image__free(image);
}

static void remove_all(void)
{
	static const char *const names[] = {"full", "full.gz", "longer", "flipped.gz", "broken",
					    "self", "one",     "two",    "three",      "orphan",
					    "bomb", "strange", "parts"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		must(unlink(folder__path(names[i])));
	must(rmdir(folder));
}

int main(void)
{
	struct image_object object = {.fd = 23, .kind = IMAGE_EVENTFD};
	struct sample s;

	tap__plan(23 + sizeof(header_cases) / sizeof(header_cases[0]) +
		  sizeof(note_cases) / sizeof(note_cases[0]));
	folder__enter("image_hostile_test");
	sample__make(&s);
	s.image.objects = &object;
	s.image.object_count = 1;
	must(sample__write(&s, folder__path("full")) || sample__write(&s, folder__path("full.gz")));
	original_bytes = get_file("full", original);
	test_flips();
	test_cuts("full", find_memory(), MEMORY_STEP);
	test_cuts("full.gz", 0, PACKED_STEP);
	test_packed_flips();
	test_headers();
	test_notes();
	put_file("full", original, original_bytes);
	test_chains();
	test_long_chain();
	test_bombs();
	test_locate();
	remove_all();
	return tap__done();
}
