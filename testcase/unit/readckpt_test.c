/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of readckpt: text that cannot steer a terminal, counted pages, JSON, hexadecimal lines, and
 * a chain that becomes one image.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fuzz/sample.h"
#include "readckpt/dump.h"
#include "readckpt/json.h"
#include "readckpt/squash.h"
#include "readckpt/table.h"
#include "readckpt/text.h"
#include "folder.h"
#include "tap.h"

static char message[IMAGE_MESSAGE_BYTES];
static char *text; /* what was written last */
static size_t text_bytes;

static FILE *begin_text(void)
{
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &text_bytes);
	must(!out);
	return out;
}

static void open_chain(const char *name, struct image_chain *chain)
{
	if (image_chain__open(folder__path(name), chain, message)) {
		printf("Bail out! %s\n", message);
		exit(1);
	}
}

/* ---- text ---- */

static void test_text(const char *from, const char *plain, const char *json, const char *what)
{
	FILE *out = begin_text();

	text__put(out, from);
	(void)fclose(out);
	tap__equal_string(text, plain, "%s: for a terminal", what);
	out = begin_text();
	text__put_json(out, from);
	(void)fclose(out);
	tap__equal_string(text, json, "%s: for JSON", what);
}

static void test_texts(void)
{
	char buffer[TEXT_FLAGS_BYTES];

	test_text("/tmp/\"23\"\\", "/tmp/\"23\"\\", "/tmp/\\\"23\\\"\\\\", "quotes");
	test_text("\033[31m\n", "?[31m?", "\\u001b[31m\\u000a", "control characters");
	test_text("gr\303\266\303\237e \360\237\230\200", "gr\303\266\303\237e \360\237\230\200",
		  "gr\303\266\303\237e \360\237\230\200", "UTF-8");
	test_text("\302\233[", "?[", "\\u009b[", "a control character of UTF-8");
	test_text("\300\257 \355\240\200 \377", "?? ??? ?",
		  "\\ufffd\\ufffd "
		  "\\ufffd\\ufffd\\ufffd \\ufffd",
		  "what is no UTF-8");
	test_text("\303", "?", "\\ufffd", "half a character");
	tap__equal_string(text__open_flags(O_WRONLY | O_SYNC | O_CLOEXEC, buffer),
			  "O_WRONLY|O_SYNC|O_CLOEXEC", "flags of open");
	tap__equal_string(text__open_flags(UINT32_MAX, buffer) ? "ended" : "", "ended",
			  "all flags there can be");
	tap__equal_string(text__size(1023, buffer), "1023 B", "a size");
	tap__equal_string(text__size(23ULL << 30, buffer), "23.0 GiB", "a large one");
	tap__equal_string(text__signal(12, buffer), "USR2", "a signal");
	tap__ok(!text__signal(32, buffer), "one without a name");
}

/* ---- the survey ---- */

static void test_survey(void)
{
	struct image_chain chain;
	struct survey survey;
	FILE *out;

	open_chain("full", &chain);
	must(survey__make(&chain, NULL, &survey) != 0);
	tap__ok(survey.total.all == 7 && survey.total.resident == 2 && survey.total.zero == 4 &&
			survey.total.missing == 1 && survey.total.parent == 0 &&
			survey.fault_count == 0,
		"pages of an image");
	out = begin_text();
	table__write(out, &chain, &survey, 0);
	(void)fclose(out);
	tap__ok(strstr(text, "000002300000 000002303000 rw-p") && strstr(text, "all right") &&
			strstr(text, "rip    0000000000400005") && !strchr(text, '\033'),
		"as a table, without colours");
	out = begin_text();
	table__write(out, &chain, &survey, 1);
	(void)fclose(out);
	tap__ok(strchr(text, '\033') != NULL, "and with them");
	survey__free(&survey);
	image_chain__free(&chain);
	open_chain("increment", &chain);
	must(survey__make(&chain, NULL, &survey) != 0);
	tap__ok(survey.total.resident == 1 && survey.total.parent == 1 && survey.total.zero == 5,
		"pages of an increment");
	survey__free(&survey);
	must(survey__make(&chain, "file: broken \"chain\"", &survey) != 0);
	out = begin_text();
	json__write(out, &chain, &survey);
	(void)fclose(out);
	tap__ok(strstr(text, "\"intact\": false") && strstr(text, "broken \\\"chain\\\"") &&
			strstr(text, "\"images_before\": 1"),
		"as JSON, with a fault");
	survey__free(&survey);
	image_chain__free(&chain);
}

/* The checksum of a segment finds the byte, and the survey says which segment it was. */
static void test_damage(void)
{
	struct image_chain chain;
	struct survey survey;
	int fd = open(folder__path("full"), O_RDWR | O_CLOEXEC);
	FILE *out;

	open_chain("full", &chain);
	must(fd < 0 ||
	     pwrite(fd, "\027", 1, (off_t)chain.images[0]->segments[1].offset + 4096) != 1);
	must(survey__make(&chain, NULL, &survey) != 0);
	tap__ok(survey.fault_count == 1 && survey.segment_ok[0] && !survey.segment_ok[1] &&
			survey.segment_ok[2] && strstr(survey.faults[0], "segment 1"),
		"damage in the memory");
	survey__free(&survey);
	out = begin_text();
	tap__equal(dump__write(out, &chain, SAMPLE_HEAP + 4096, 1, message), -EBADMSG,
		   "a dump of damaged memory says so");
	(void)fclose(out);
	tap__equal(squash__write(&chain, folder__path("squashed"), message), -EBADMSG,
		   "nor is it squashed");
	tap__ok(access(folder__path("squashed"), F_OK) < 0, "and no file is left");
	image_chain__free(&chain);
	(void)close(fd);
}

/* ---- the dump ---- */

static void test_dump(const char *name, uint64_t address, uint64_t bytes, int wanted,
		      const char *lines, const char *what)
{
	struct image_chain chain;
	FILE *out = begin_text();
	int err;

	open_chain(name, &chain);
	err = dump__write(out, &chain, address, bytes, message);
	(void)fclose(out);
	tap__equal(err, wanted, "dump, %s", what);
	tap__equal_string(text, lines, "dump, %s: the lines", what);
	image_chain__free(&chain);
}

static void test_dumps(void)
{
	test_dump("full", SAMPLE_TEXT + 0x40, 5, 0,
		  "000000400040  b8 ba bd c0 c3                                    |.....|\n",
		  "a few bytes");
	test_dump("full", SAMPLE_HEAP + 0xff8, 0x48, 0,
		  "000002300ff8  b7 b6 b5 b4 b3 b2 b1 b0  00 00 00 00 00 00 00 00  "
		  "|................|\n"
		  "000002301008  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
		  "|................|\n"
		  "*\n"
		  "000002301038  00 00 00 00 00 00 00 00                           |........|\n",
		  "the same line again");
	test_dump("full", SAMPLE_GUARD + 0x1ff0, 0x20, -ENXIO,
		  "000002401ff0  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
		  "|................|\n",
		  "out of a mapping");
	test_dump("full", SAMPLE_HEAP + 0x2ff8, 8, -ENODATA,
		  "000002302ff8  00 00 00 00 00 00 00 00                           |........|\n",
		  "what could not be read");
	test_dump("increment", SAMPLE_TEXT + 0x40, 5, 0,
		  "000000400040  b8 ba bd c0 c3                                    |.....|\n",
		  "what is in the parent");
}

/* ---- squashing ---- */

/* Is all memory of both chains the same? */
static bool is_same_memory(const struct image_chain *one, const struct image_chain *two)
{
	static unsigned char bytes[2][3 * PAGE_BYTES];
	const struct image *image = one->images[0];

	if (image->mapping_count != two->images[0]->mapping_count)
		return false;
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];
		size_t count = m->end - m->start;

		if (memcmp(m, &two->images[0]->mappings[i], sizeof(*m)) != 0 ||
		    image_chain__read(one, m->start, bytes[0], count) ||
		    image_chain__read(two, m->start, bytes[1], count) ||
		    memcmp(bytes[0], bytes[1], count) != 0)
			return false;
	}
	return true;
}

static void test_squash(const char *from, const char *to)
{
	struct image_chain before, after;
	const struct image *image;
	struct stat st;

	open_chain(from, &before);
	tap__equal(squash__write(&before, folder__path(to), message), 0, "%s to %s", from, to);
	open_chain(to, &after);
	image = after.images[0];
	tap__ok(after.count == 1 && image__check(image, message) == 0 &&
			is_same_memory(&before, &after),
		"%s: one image with the same memory", to);
	tap__ok(!(image->info.flags & IMAGE_INCREMENT) &&
			image->info.id == before.images[0]->info.id && image->info.depth == 0 &&
			!strncmp(image__string(image, image->info.writer), "readckpt ", 9),
		"%s: what it says of itself", to);
	tap__ok(image->thread_count == SAMPLE_THREADS &&
			!memcmp(&image->registers[1].user, &before.images[0]->registers[1].user,
				sizeof(struct user_regs_struct)) &&
			image->registers[0].xstate_bytes == SAMPLE_XSTATE &&
			image->file_count == SAMPLE_FILES,
		"%s: threads and files", to);
	must(stat(folder__path(to), &st));
	tap__equal(st.st_mode & 07777, 0600, "%s: nobody else may read it", to);
	image_chain__free(&before);
	image_chain__free(&after);
}

static void test_squashes(void)
{
	struct image_chain chain;

	test_squash("increment", "whole");
	test_squash("increment", "whole.gz");
	test_squash("full", "copy");
	open_chain("copy", &chain);
	tap__ok(chain.images[0]->missing_count == 1 &&
			chain.images[0]->info.missing ==
				(IMAGE_MISSING_PAGES | IMAGE_MISSING_FILES),
		"what is missing is still missing");
	tap__equal(squash__write(&chain, folder__path("copy"), message), 0, "an image upon itself");
	tap__ok(squash__write(&chain, folder__path("no/folder"), message) == -ENOENT &&
			strstr(message, "no/folder"),
		"to a folder that is not there: %s", message);
	tap__ok(squash__write(&chain, "/dev/full", message) == -EEXIST, "to a device");
	image_chain__free(&chain);
}

static void make_images(void)
{
	struct sample s;

	sample__make(&s);
	must(sample__write(&s, folder__path("full")));
	sample__add_to(&s, folder__path("full"), SAMPLE_ID);
	s.heap[5] = 23;
	must(sample__write(&s, folder__path("increment")));
}

static void remove_all(void)
{
	static const char *const names[] = {"full", "increment", "whole", "whole.gz", "copy"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		must(unlink(folder__path(names[i])));
	must(rmdir(folder)); /* no temporary file is left */
	free(text);
}

int main(void)
{
	tap__plan(56);
	folder__enter("readckpt_test");
	make_images();
	test_texts();
	test_survey();
	test_dumps();
	test_squashes();
	test_damage();
	remove_all();
	return tap__done();
}
