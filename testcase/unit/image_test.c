/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of images: what is written is read back, compressed or not, alone or upon a parent. Damage
 * is found wherever it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image_elf.h"
#include "image/image_reason.h"
#include "folder.h"
#include "tap.h"

#define PAGE ((size_t)PAGE_BYTES)

enum { HEAP_PAGES = 23, XSTATE = 832, START = 0x10000000, FLIPS = 2300 };

static char message[IMAGE_MESSAGE_BYTES];
static unsigned char memory[HEAP_PAGES * PAGE];
static const char strings[] = "\0/bin/program\0[heap]\0writer\0/nowhere/parent.img";
static struct image_writer *writer;

/* The parts of the test image, with all arrays. */
struct parts {
	struct image image;
	struct image_mapping mappings[4];
	struct image_thread threads[2];
	struct image_registers registers[2];
	struct image_file files[2];
	struct image_run runs[2];
	struct image_segment segments[4];
	unsigned char xstate[XSTATE];
	uint64_t auxv[4];
	uint32_t groups[3];
	uint64_t sizes[2], births[2];
	struct image_object object;
	struct image_watch watch;
	unsigned char contents[5];
	uint32_t advice[4];
	struct image_scheduling scheduling[2];
	struct image_setting setting;
	struct image_policy policies[2];
};

static void fill_memory(unsigned int seed)
{
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = i / PAGE % 3 ? (unsigned char)((i * 2654435761u + seed) >> 11) : 0;
}

/* Makes a program with text, a heap whose every third page is zeros, a guard page, and a stack. */
static void make_parts(struct parts *p)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < XSTATE; i++)
		p->xstate[i] = (unsigned char)i;
	for (size_t i = 0; i < 4; i++) {
		uint64_t start = START + i * 0x1000000;
		uint64_t end = start + (i == 1 ? sizeof(memory) : PAGE);
		uint32_t flags = i == 0 ? IMAGE_READ | IMAGE_EXEC : IMAGE_READ | IMAGE_WRITE;

		p->mappings[i] = (struct image_mapping){.start = start, .end = end, .flags = flags};
		p->segments[i] = (struct image_segment){
			.start = start, .end = end, .flags = flags, .bytes = end - start};
	}
	p->mappings[0].flags |= IMAGE_FILE;
	p->mappings[0].path = 1;
	p->mappings[1].path = 14;
	p->segments[2].bytes = p->segments[2].flags = p->mappings[2].flags = 0;
	p->files[0] = (struct image_file){.fd = 0, .path = 1, .mode = S_IFREG, .same_as = -1};
	p->files[1] = (struct image_file){.fd = 23, .offset = 2323, .path = 1, .mode = S_IFREG};
	for (size_t i = 0; i < 2; i++) {
		p->threads[i] = (struct image_thread){.tid = 2300 + (int)i, .rip = START + i};
		p->registers[i].user.rip = START + 23 + i;
		p->registers[i].xstate = p->xstate;
		p->registers[i].xstate_bytes = XSTATE;
	}
	for (uint32_t i = 0; i < 3; i++)
		p->groups[i] = 23 + i;
	p->sizes[1] = 2323;
	p->object = (struct image_object){.fd = 23, .kind = IMAGE_PIPE, .contents = 2, .bytes = 3};
	p->watch = (struct image_watch){.epoll = 5, .fd = 23, .data = 2300};
	memcpy(p->contents, "bytes", sizeof(p->contents));
	p->births[1] = 232323;
	p->advice[1] = IMAGE_ADVICE_WIPE_ON_FORK;
	p->scheduling[1] = (struct image_scheduling){.processors = {5}, .timer_slack_ns = 23};
	p->setting = (struct image_setting){.values = {1, 2}, .option = 33, .tid = 2300};
	p->policies[0] = (struct image_policy){.start = START, .end = START + PAGE, .mode = 3};
	p->policies[1] = (struct image_policy){.nodes = {1}, .mode = 2, .tid = 2300};
	p->image = (struct image){
		.info = {.id = 23, .version = IMAGE_VERSION, .page_bytes = PAGE, .writer = 21},
		.process = {.pid = 2300,
			    .cwd = 1,
			    .exe = 1,
			    .name = "program",
			    .brk = 23,
			    .monotonic_ns = 2300,
			    .boottime_ns = 2323},
		.attributes = {.limits[7] = {230, 2300},
			       .flags = IMAGE_HAS_LIMITS | IMAGE_HAS_OOM,
			       .oom_score_adj = -23,
			       .membarrier = 1 << 4},
		.place = {.root_inode = 23, .boot = "this one", .flags = IMAGE_HAS_PLACE},
		.surroundings = {.folder_inode = 23, .namespaces = {230, 2300}},
		.sizes = p->sizes,
		.births = p->births,
		.advice = p->advice,
		.scheduling = p->scheduling,
		.rights = {.permitted = 23, .are_known = 1},
		.settings = &p->setting,
		.setting_count = 1,
		.policies = p->policies,
		.policy_count = 2,
		.groups = p->groups,
		.group_count = 3,
		.mappings = p->mappings,
		.mapping_count = 4,
		.threads = p->threads,
		.registers = p->registers,
		.thread_count = 2,
		.files = p->files,
		.objects = &p->object,
		.object_count = 1,
		.watches = &p->watch,
		.watch_count = 1,
		.contents = p->contents,
		.contents_bytes = sizeof(p->contents),
		.file_count = 2,
		.segments = p->segments,
		.segment_count = 4,
		.auxv = p->auxv,
		.auxv_bytes = sizeof(p->auxv),
		.strings = strings,
		.string_bytes = sizeof(strings),
	};
	p->image.signals[11].handler = 2323;
}

/* Writes all segments. A segment of one page gets the first page of memory that is not zeros. */
static int write_image(struct image *image, const char *path)
{
	int err = image_writer__open(writer, path);

	if (err)
		goto out;
	err = image_writer__begin(writer, image);
	for (size_t i = 0; i < image->segment_count && !err; i++) {
		const struct image_segment *segment = &image->segments[i];
		uint64_t at = segment->start - START - 0x1000000;

		if (segment->bytes == PAGE && at >= sizeof(memory))
			err = image_writer__pages(writer, memory + PAGE, PAGE);
		else if (segment->bytes)
			err = image_writer__pages(writer, memory + at, segment->bytes);
	}
	if (err)
		goto out;
	err = image_writer__commit(writer);
out:
	image_writer__abort(writer);
	return err;
}

/* The headers by libelf are those made by hand, for 1 to IMAGE_SEGMENTS_MAX segments. Begun either
 * way, an image has the same first bytes. */
static void test_libelf(size_t count)
{
	static struct image_segment segments[IMAGE_SEGMENTS_MAX];
	struct parts p;
	unsigned char *heads[2];
	size_t bytes[2];
	int fd;

	make_parts(&p);
	for (size_t i = 0; i < count; i++)
		segments[i] = (struct image_segment){.start = START + i * PAGE,
						     .end = START + (i + 1) * PAGE,
						     .bytes = i % 3 ? PAGE : 0,
						     .flags = i % 8};
	p.image.segments = segments;
	p.image.segment_count = count;
	for (size_t i = 0; i < 2; i++) {
		must(image_writer__open(writer, folder__path("head")));
		must(i ? image_elf__begin(writer, &p.image)
		       : image_writer__begin(writer, &p.image));
		bytes[i] = writer->output.offset;
		heads[i] = malloc(bytes[i]);
		must(!heads[i]);
		fd = open(writer->output.temporary, O_RDONLY | O_CLOEXEC);
		must(fd < 0);
		must(read(fd, heads[i], bytes[i]) != (ssize_t)bytes[i]);
		must(close(fd));
		image_writer__abort(writer);
	}
	tap__ok(bytes[0] == bytes[1] && !memcmp(heads[0], heads[1], bytes[0]),
		"libelf and we make the same headers of %zu segments", count);
	free(heads[0]);
	free(heads[1]);
}

/* 0 if the image opens and all its checksums are right. */
static int open_and_check(const char *path)
{
	struct image *image = NULL;
	int err = image__open(path, &image, message);

	if (!err)
		err = image__check(image, message);
	image__free(image);
	return err;
}

static void test_same(const char *name)
{
	static unsigned char back[sizeof(memory)];
	struct parts p;
	struct image *image = NULL;
	struct image_stretch stretch;

	make_parts(&p);
	tap__equal(write_image(&p.image, folder__path(name)), 0, "%s: write", name);
	tap__equal(image__open(folder__path(name), &image, message), 0, "%s: open", name);
	if (!image) {
		tap__note("%s", message);
		exit(1);
	}
	tap__equal(image__check(image, message), 0, "%s: checksums", name);
	tap__ok(image->mapping_count == 4 && image->segment_count == 4 &&
			!memcmp(image->mappings, p.mappings, sizeof(p.mappings)) &&
			!memcmp(image->segments, p.segments, sizeof(p.segments)),
		"%s: mappings and segments", name);
	tap__ok(image->thread_count == 2 && !memcmp(image->threads, p.threads, sizeof(p.threads)) &&
			!memcmp(&image->registers[1].user, &p.registers[1].user,
				sizeof(struct user_regs_struct)) &&
			image->registers[1].xstate_bytes == XSTATE &&
			!memcmp(image->registers[1].xstate, p.xstate, XSTATE),
		"%s: threads", name);
	tap__ok(image->file_count == 2 && !memcmp(image->files, p.files, sizeof(p.files)) &&
			!memcmp(&image->process, &p.image.process, sizeof(image->process)) &&
			!memcmp(image->signals, p.image.signals, sizeof(image->signals)) &&
			image->auxv_bytes == sizeof(p.auxv) &&
			!strcmp(image__string(image, image->mappings[1].path), "[heap]"),
		"%s: the rest", name);
	tap__ok(!memcmp(&image->attributes, &p.image.attributes, sizeof(image->attributes)) &&
			image->group_count == 3 &&
			!memcmp(image->groups, p.groups, sizeof(p.groups)),
		"%s: attributes and groups", name);
	tap__ok(image->object_count == 1 && !memcmp(image->objects, &p.object, sizeof(p.object)) &&
			image->watch_count == 1 &&
			!memcmp(image->watches, &p.watch, sizeof(p.watch)) &&
			image->contents_bytes == sizeof(p.contents) &&
			!memcmp(image->contents, p.contents, sizeof(p.contents)),
		"%s: objects, watches, contents", name);
	tap__ok(!memcmp(&image->place, &p.image.place, sizeof(image->place)) &&
			!memcmp(&image->surroundings, &p.image.surroundings,
				sizeof(image->surroundings)) &&
			!memcmp(image->sizes, p.sizes, sizeof(p.sizes)) &&
			!memcmp(image->births, p.births, sizeof(p.births)) &&
			!memcmp(image->advice, p.advice, sizeof(p.advice)) &&
			!memcmp(image->scheduling, p.scheduling, sizeof(p.scheduling)),
		"%s: place, surroundings, sizes, advice, scheduling", name);
	tap__ok(image->setting_count == 1 &&
			!memcmp(image->settings, &p.setting, sizeof(p.setting)) &&
			image->policy_count == 2 &&
			!memcmp(image->policies, p.policies, sizeof(p.policies)) &&
			!memcmp(&image->rights, &p.image.rights, sizeof(image->rights)),
		"%s: settings, policies and rights", name);
	tap__ok(!image__read(image, START + 0x1000000 + 5, back, sizeof(back) - 5) &&
			!memcmp(back, memory + 5, sizeof(back) - 5),
		"%s: memory", name);
	tap__equal(image__read(image, START + PAGE - 1, back, 2), -ENXIO, "%s: unmapped", name);
	image__locate(image, 23, &stretch);
	tap__ok(stretch.kind == IMAGE_UNMAPPED && stretch.end == START, "%s: before the first",
		name);
	image__locate(image, START + 0x2000000 + 5, &stretch);
	tap__ok(stretch.kind == IMAGE_ZERO && stretch.end == START + 0x2000000 + PAGE,
		"%s: without bytes", name);
	image__free(image);
}

static void test_holes(void)
{
	struct stat st;

	must(stat(folder__path("plain"), &st));
	tap__ok(st.st_blocks * 512 < st.st_size - 6 * (off_t)PAGE,
		"pages of zeros are holes: %lld of %lld bytes", (long long)st.st_blocks * 512,
		(long long)st.st_size);
	tap__equal(st.st_mode & 07777, 0600, "nobody else may read it");
}

/* Changes a byte of the file, at each place that is used and at some others. */
static void test_flips(void)
{
	int fd = open(folder__path("plain"), O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	unsigned int found = 0, seed = 23;

	must(fd < 0);
	for (unsigned int i = 0; i < FLIPS; i++) {
		unsigned char byte, other;
		off_t at = (off_t)i * 3;

		seed = seed * 1103515245 + 12345;
		if (i >= FLIPS / 2)
			at = (off_t)(seed >> 4) % size;
		must(pread(fd, &byte, 1, at) != 1);
		other = byte ^ (unsigned char)(1u << seed / 7 % 8);
		must(pwrite(fd, &other, 1, at) != 1);
		if (open_and_check(folder__path("plain")))
			found++;
		else
			tap__note("the byte at %lld does not matter", (long long)at);
		must(pwrite(fd, &byte, 1, at) != 1);
	}
	tap__equal(found, FLIPS, "a flipped bit is found");
	tap__equal(open_and_check(folder__path("plain")), 0, "and all is well without it");
	(void)close(fd);
}

static void test_cuts(const char *name)
{
	unsigned int found = 0, tries = 0;
	struct stat st;

	must(stat(folder__path(name), &st));
	for (off_t size = st.st_size - 1; size >= 0; size -= 1 + size / 97, tries++) {
		must(truncate(folder__path(name), size));
		if (open_and_check(folder__path(name)))
			found++;
		else
			tap__note("%lld bytes are enough", (long long)size);
	}
	tap__equal(found, tries, "%s: cut off at %u places", name, tries);
}

/* After it was opened. */
static void test_cut_while_open(const char *name)
{
	struct image *image;
	struct parts p;

	make_parts(&p);
	must(write_image(&p.image, folder__path(name)));
	must(image__open(folder__path(name), &image, message));
	must(truncate(folder__path(name), (off_t)image->segments[0].offset + 100));
	tap__equal(image__check(image, message), -IMAGE_CUT_OFF, "cut off while it is open");
	tap__ok(strstr(message, "the file is cut off"), "which is told: %s", message);
	image__free(image);
}

static void test_increment(void)
{
	static unsigned char back[sizeof(memory)], wanted[sizeof(memory)];
	struct image_chain chain;
	struct parts p;

	fill_memory(1);
	make_parts(&p);
	must(write_image(&p.image, folder__path("parent.img")));
	memcpy(wanted, memory, sizeof(memory));
	fill_memory(2);
	/* pages 4 to 6 are new, 0 to 3 and 10 to 22 as before, the others zeros */
	memcpy(wanted + 4 * PAGE, memory + 4 * PAGE, 3 * PAGE);
	memset(wanted + 7 * PAGE, 0, 3 * PAGE);
	p.image.info.flags = IMAGE_INCREMENT;
	p.image.info.parent_id = 23;
	p.image.info.id = 24;
	p.image.info.depth = 1;
	p.image.info.parent = 28;
	p.segments[0].start = START + 0x1000000 + 4 * PAGE;
	p.segments[0].end = p.segments[0].start + 3 * PAGE;
	p.segments[0].bytes = 3 * PAGE;
	p.image.segment_count = 1;
	p.runs[0] = (struct image_run){START + 0x1000000, START + 0x1000000 + 4 * PAGE};
	p.runs[1] = (struct image_run){START + 0x1000000 + 10 * PAGE,
				       START + 0x1000000 + HEAP_PAGES * PAGE};
	p.image.unchanged = p.runs;
	p.image.unchanged_count = 2;
	tap__equal(write_image(&p.image, folder__path("increment.gz")), 0, "increment: write");
	tap__equal(image_chain__open(folder__path("increment.gz"), &chain, message), 0,
		   "increment: open with its parent, which is beside it");
	tap__equal(chain.count, 2, "increment: two images");
	tap__ok(!image_chain__read(&chain, START + 0x1000000, back, sizeof(back)) &&
			!memcmp(back, wanted, sizeof(back)),
		"increment: memory of both");
	tap__equal(image__read(chain.images[0], START + 0x1000000 + 3 * PAGE, back, 1), -ENODATA,
		   "increment: alone it does not have all");
	image_chain__free(&chain);
	p.image.info = (struct image_info){.id = 25, .version = IMAGE_VERSION, .page_bytes = PAGE};
	p.image.unchanged_count = 0;
	must(write_image(&p.image, folder__path("parent.img")));
	tap__equal(image_chain__open(folder__path("increment.gz"), &chain, message), -EBADMSG,
		   "increment: another parent");
	must(unlink(folder__path("parent.img")));
	tap__equal(image_chain__open(folder__path("increment.gz"), &chain, message), -ENOENT,
		   "increment: no parent");
}

static void test_targets(void)
{
	struct parts p;

	make_parts(&p);
	must(mkfifo(folder__path("fifo"), 0600));
	tap__equal(write_image(&p.image, folder__path("fifo")), -EEXIST, "a FIFO is not replaced");
	tap__equal(image__open(folder__path("fifo"), &(struct image *){NULL}, message), -ENOEXEC,
		   "and not read");
	must(symlink("nothing", folder__path("link")));
	tap__equal(write_image(&p.image, folder__path("link")), -EEXIST, "nor a link");
	must(close(open(folder__path("read-only"), O_CREAT | O_WRONLY | O_CLOEXEC, 0400)));
	tap__equal(write_image(&p.image, folder__path("read-only")), -EACCES,
		   "nor a read-only file");
	tap__equal(write_image(&p.image, folder__path("no/folder")), -ENOENT, "no such folder");
	p.image.info.version = IMAGE_VERSION + 1;
	must(write_image(&p.image, folder__path("version")));
	tap__ok(image__open(folder__path("version"), &(struct image *){NULL}, message) ==
				-EPROTONOSUPPORT &&
			strstr(message, "version 3"),
		"another version: %s", message);
	p.image.info.version = IMAGE_VERSION;
	must(image_writer__open(writer, folder__path("half")));
	must(image_writer__begin(writer, &p.image));
	tap__equal(image_writer__commit(writer), -EPROTO, "pages are missing");
	tap__ok(access(folder__path("half"), F_OK) < 0 && errno == ENOENT, "nothing is left of it");
}

static void remove_all(void)
{
	static const char *const names[] = {"plain", "packed.gz", "increment.gz", "fifo",
					    "link",  "read-only", "version",      "open"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(folder__path(names[i]));
	must(rmdir(folder)); /* no temporary file is left */
}

int main(void)
{
	folder__enter("image_test");
	writer = mmap(NULL, sizeof(*writer), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	must(writer == MAP_FAILED);
	fill_memory(23);
	tap__plan(54);
	test_same("plain");
	test_same("packed.gz");
	test_holes();
	test_flips();
	test_cuts("plain");
	test_cuts("packed.gz");
	test_cut_while_open("open");
	test_increment();
	test_libelf(1);
	test_libelf(23);
	test_libelf(IMAGE_SEGMENTS_MAX);
	test_targets();
	remove_all();
	return tap__done();
}
