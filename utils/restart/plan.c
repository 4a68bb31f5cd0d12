/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See plan.h. Mappings of files get their contents from the image, since the file may have changed.
 * Where the file still has the same contents it is mapped again all the same: that shares memory,
 * and /proc/PID/maps, and so the next image, names it.
 */
#include "restart/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/procfs.h"
#include "image/image_internal.h"
#include "image/registrations.h"
#include "restart/vdso.h"
#include "slab/slab_heap.h"

enum { COMPARE_BYTES = 1 << 16, ALIGNMENT = 64 };

/* From the linker: restart itself. */
extern const char __executable_start[], _end[]; /* NOLINT: the linker's names */

/* What is gathered before it is known how large the block must be. */
struct draft {
	const struct image_chain *chain;
	const struct image *image;
	struct plan plan;
	struct slab_heap *heap; /* of mappings and pieces */
	struct plan_mapping *mappings;
	struct plan_piece *pieces;
	size_t piece_count, piece_room;
	int verify_later; /* may checksums be verified while loading? */
	char *message;
};

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

int plan__move_fd(int fd, int first_fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_fd);

	if (moved < 0)
		return -errno;
	(void)close(fd);
	return moved;
}

/* ---- may it run here? ---- */

static const struct image_mapping *find_mapping(const struct image *image, uint64_t address)
{
	struct image_extent piece;

	image__locate(image, address, &piece);
	return piece.mapping;
}

static int has_flags(const struct image *image, uint64_t address, uint64_t bytes, uint32_t flags)
{
	const struct image_mapping *m = find_mapping(image, address);

	return m && (m->flags & flags) == flags && bytes <= m->end - address;
}

static int check_threads(struct draft *d)
{
	const struct image *image = d->image;
	size_t with_pid = 0;

	for (size_t i = 0; i < image->thread_count; i++) {
		const struct image_thread *t = &image->threads[i];

		if (!has_flags(image, t->rip, 1, IMAGE_EXEC) ||
		    !has_flags(image, t->rsp, 8, IMAGE_READ | IMAGE_WRITE) ||
		    (t->tid_address && !has_flags(image, t->tid_address, 4, IMAGE_WRITE)))
			return image__fail(d->message, -EBADMSG, image->path,
					   "thread %d has no code or no stack to go on with",
					   t->tid);
		if (t->tid == image->process.pid) {
			d->plan.main = i;
			with_pid++;
		}
	}
	if (with_pid != 1)
		return image__fail(d->message, -ENOEXEC, image->path,
				   "the main thread is not in it");
	if (!has_flags(image, image->process.restart, sizeof(struct image_restart), IMAGE_WRITE))
		return image__fail(d->message, -ENOEXEC, image->path,
				   "it was not written by libckpt, so nothing in it can go on");
	return 0;
}

static int check_machine(struct draft *d)
{
	const struct image *image = d->image;
	uint64_t missing = image->process.xcr0 & ~registrations__xcr0();

	if (image->info.flags & IMAGE_NO_REGISTERS)
		return image__fail(d->message, -ENOEXEC, image->path,
				   "it holds memory without registers (of tracer --save): there is "
				   "nothing to go on with; gdb and readckpt can read it");
	if (missing)
		return image__fail(d->message, -EPROTONOSUPPORT, image->path,
				   "this processor lacks register sets that the program had "
				   "(XCR0 bits 0x%" PRIx64 ")",
				   missing);
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (m->start < d->plan.program_end && d->plan.program_start < m->end)
			return image__fail(d->message, -EADDRINUSE, image->path,
					   "the program was at 0x%" PRIx64 ", where restart itself "
					   "lies (0x%" PRIx64 " to 0x%" PRIx64 ")",
					   m->start, d->plan.program_start, d->plan.program_end);
	}
	return check_threads(d);
}

/* ---- mappings and pieces ---- */

static int add_piece(struct draft *d, const struct plan_piece *piece)
{
	if (d->piece_count == d->piece_room) {
		size_t room = d->piece_room ? 2 * d->piece_room : 256;
		struct plan_piece *larger =
			slab_heap__resize(d->heap, d->pieces, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		d->pieces = larger;
		d->piece_room = room;
	}
	d->pieces[d->piece_count++] = *piece;
	return 0;
}

/* The checksum of the segment that begins there, in the only image. */
static uint32_t find_checksum(const struct draft *d, uint64_t address)
{
	size_t low = 0, high = d->image->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->image->segments[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return d->image->segments[low].crc;
}

/* Bytes [from, to) of a segment, in pieces that several processors can share. */
static int add_run(struct draft *d, const struct plan_piece *segment, uint64_t from, uint64_t to)
{
	int err = 0;

	while (from < to && !err) {
		struct plan_piece piece = *segment;

		piece.address += from;
		piece.offset += from;
		piece.bytes = to - from < PLAN_PIECE_BYTES ? to - from : PLAN_PIECE_BYTES;
		err = add_piece(d, &piece);
		from += piece.bytes;
	}
	return err;
}

/* What image has for addresses from start on. A mapping of the same file has the file's bytes
 * before, so holes count there. Holes of some file systems are smaller than a page. */
static int add_data(struct draft *d, uint64_t start, const struct image_extent *data,
		    const struct image *image, int skip_holes)
{
	const uint64_t bytes = data->end - start, limit = data->offset + bytes;
	const struct plan_piece segment = {.address = start,
					   .offset = data->offset,
					   .fd = image->fd,
					   .verify = (char)d->verify_later};
	struct plan_piece end = segment;
	uint64_t at = skip_holes ? 0 : bytes;
	int err = skip_holes ? 0 : add_run(d, &segment, 0, bytes);

	while (at < bytes && !err) {
		uint64_t from = image__skip_hole(image, data->offset + at, limit);
		uint64_t to = image__skip_data(image, from, limit);

		from = page__start(from - data->offset);
		at = round_up(to - data->offset, PAGE_BYTES);
		err = add_run(d, &segment, from, at);
	}
	if (err || !d->verify_later)
		return err;
	end.crc = find_checksum(d, start);
	return add_piece(d, &end);
}

/* All of the mapping that is in a file. */
static int add_pieces(struct draft *d, const struct image_mapping *m, int skip_holes)
{
	uint64_t at = m->start;
	int err = 0;

	while (at < m->end && !err) {
		const struct image *image;
		struct image_extent piece;

		image_chain__locate(d->chain, at, &piece, &image);
		if (piece.kind == IMAGE_DATA)
			err = add_data(d, at, &piece, image, skip_holes);
		at = piece.end;
	}
	return err;
}

/* Opens the file of a mapping if it is there, plain, and long enough for all its pages. Returns
 * -EISDIR if it is not plain, -ENODATA if it is shorter. */
static int open_file_of(const struct draft *d, const struct image_mapping *m, int flags)
{
	struct stat st;
	int fd, err = 0;

	if (!(m->flags & IMAGE_FILE) || (m->flags & IMAGE_DELETED))
		return -ENOENT;
	fd = open(image__string(d->image, m->path), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EISDIR;
	else if ((uint64_t)st.st_size + PAGE_BYTES <= m->offset + (m->end - m->start))
		err = -ENODATA;
	if (!err)
		return plan__move_fd(fd, d->plan.first_fd);
	(void)close(fd);
	return err;
}

/* Why open_file_of did not. */
static const char *reason_of(int err)
{
	if (err == -EISDIR)
		return "it is no plain file now";
	return err == -ENODATA ? "it is shorter now" : strerror(-err);
}

/* Has the file the bytes of the image? The rest of its last page is zeros in memory. */
static int is_same(const struct draft *d, const struct image_mapping *m, int fd)
{
	static unsigned char there[COMPARE_BYTES], here[COMPARE_BYTES];
	uint64_t length = m->end - m->start;

	for (uint64_t at = 0; at < length; at += COMPARE_BYTES) {
		size_t part = length - at < COMPARE_BYTES ? (size_t)(length - at) : COMPARE_BYTES;
		ssize_t n;

		memset(here, 0, part);
		n = pread(fd, here, part, (off_t)(m->offset + at));
		if (n <= 0 || image_chain__read(d->chain, m->start + at, there, part) ||
		    memcmp(here, there, part) != 0)
			return 0;
	}
	return 1;
}

/* Not what the kernel gave, nor the writer's workspace, which nobody would ever give back. */
static int is_made(const struct image_mapping *m)
{
	return !(m->flags & (IMAGE_VDSO | IMAGE_VVAR | IMAGE_VSYSCALL | IMAGE_SCRATCH));
}

/* Memory that others may have as well: the file as it is now, or, without a file, memory that only
 * this process has, with the contents of the image. */
static void plan_shared(struct draft *d, const struct image_mapping *m, struct plan_mapping *p)
{
	int fd = open_file_of(d, m, m->flags & IMAGE_WRITE ? O_RDWR : O_RDONLY);

	p->flags = MAP_SHARED;
	if (fd >= 0) {
		p->fd = fd;
		p->offset = m->offset;
		p->is_loaded = 0;
		return;
	}
	p->flags |= MAP_ANONYMOUS;
	/* What the kernel calls /dev/zero never had a file. */
	if ((m->flags & IMAGE_FILE) && strcmp(image__string(d->image, m->path), "/dev/zero") != 0)
		log__warn("%s was shared memory of a file that cannot be mapped any more (%s); it "
			  "is brought back as memory of this process alone",
			  image__string(d->image, m->path), reason_of(fd));
}

static void plan_private(struct draft *d, const struct image_mapping *m, struct plan_mapping *p)
{
	int fd = open_file_of(d, m, O_RDONLY);

	p->flags = MAP_PRIVATE;
	if (m->flags & IMAGE_STACK)
		p->flags |= MAP_GROWSDOWN | MAP_STACK;
	if (fd >= 0 && !(m->flags & IMAGE_WRITE)) {
		p->is_loaded = !is_same(d, m, fd);
		if (p->is_loaded) {
			(void)close(fd);
			fd = -1;
		}
	}
	if (fd >= 0) {
		p->fd = fd;
		p->offset = m->offset;
	} else {
		p->flags |= MAP_ANONYMOUS;
	}
}

static int plan_mapping(struct draft *d, const struct image_mapping *m)
{
	struct plan_mapping *p = &d->mappings[d->plan.mapping_count];
	int err = 0;

	if (!is_made(m))
		return 0;
	*p = (struct plan_mapping){.start = m->start, .end = m->end, .fd = -1, .is_loaded = 1};
	p->protection = (m->flags & IMAGE_READ ? PROT_READ : 0) |
			(m->flags & IMAGE_WRITE ? PROT_WRITE : 0) |
			(m->flags & IMAGE_EXEC ? PROT_EXEC : 0);
	if (m->flags & IMAGE_SHARED)
		plan_shared(d, m, p);
	else
		plan_private(d, m, p);
	if (p->is_loaded) {
		size_t before = d->piece_count;

		err = add_pieces(d, m, p->fd < 0);
		p->is_loaded = d->piece_count > before;
	}
	d->plan.mapping_count++;
	return err;
}

static int plan_memory(struct draft *d)
{
	int err = 0;

	/* A checksum is of a segment as a whole, which in a chain others may cover in part. */
	d->verify_later = d->chain->count == 1;
	for (size_t i = 0; i < d->chain->count && !d->verify_later && !err; i++)
		err = image__check(d->chain->images[i], d->message);
	if (err)
		return err;
	d->mappings =
		slab_heap__alloc(d->heap, (d->image->mapping_count + 1) * sizeof(*d->mappings));
	if (!d->mappings)
		err = -ENOMEM;
	for (size_t i = 0; i < d->image->mapping_count && !err; i++)
		err = plan_mapping(d, &d->image->mappings[i]);
	return err ? image__fail(d->message, err, d->image->path, "%s", strerror(-err)) : 0;
}

/* ---- the block ---- */

/* The lowest gap of so many bytes above restart itself that no list has anything in. */
static int find_hole(const struct image *image, const struct mappings *maps, uint64_t from,
		     uint64_t bytes, uint64_t *ret)
{
	size_t there = 0, here = 0;

	for (;;) {
		int moved = 0;

		while (there < image->mapping_count && image->mappings[there].end <= from)
			there++;
		while (here < maps->count && maps->items[here].end <= from)
			here++;
		if (there < image->mapping_count && image->mappings[there].start < from + bytes) {
			from = image->mappings[there].end;
			moved = 1;
		}
		if (here < maps->count && maps->items[here].start < from + bytes) {
			from = maps->items[here].end;
			moved = 1;
		}
		if (from + bytes >= 1ULL << 47)
			return -ENOMEM;
		if (!moved) {
			*ret = from;
			return 0;
		}
	}
}

/* Copies to the block, from *at on, which then is behind it. */
static void *place(uint64_t *at, const void *from, size_t bytes)
{
	void *to = (void *)*at; /* NOLINT: an address that we have chosen */

	if (from)
		memcpy(to, from, bytes);
	*at += round_up(bytes, ALIGNMENT);
	return to;
}

static uint64_t image_bytes(const struct image_chain *chain)
{
	uint64_t bytes = round_up(chain->count * sizeof(struct plan_image), ALIGNMENT);

	for (size_t i = 0; i < chain->count; i++)
		bytes += round_up(strlen(chain->images[i]->path) + 1, ALIGNMENT);
	return bytes;
}

static void place_images(uint64_t *at, const struct image_chain *chain, struct plan *plan)
{
	plan->image_count = chain->count;
	plan->images = place(at, NULL, chain->count * sizeof(*plan->images));
	for (size_t i = 0; i < chain->count; i++) {
		const char *path = chain->images[i]->path;
		char *copy = place(at, path, strlen(path) + 1);

		for (char *c = copy; *c; c++) {
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				*c = '?';
		}
		plan->images[i] = (struct plan_image){.path = copy, .fd = chain->images[i]->fd};
	}
}

static uint64_t block_bytes(const struct draft *d)
{
	const struct image *image = d->image;

	return round_up(sizeof(struct plan), ALIGNMENT) +
	       round_up(d->plan.mapping_count * sizeof(*d->mappings), ALIGNMENT) +
	       round_up(d->piece_count * sizeof(*d->pieces), ALIGNMENT) +
	       round_up(image->thread_count * sizeof(*image->threads), ALIGNMENT) +
	       round_up(image->auxv_bytes, ALIGNMENT) + image_bytes(d->chain) +
	       (image->thread_count + 1) * PLAN_STACK_BYTES;
}

static struct plan *fill_block(const struct draft *d)
{
	const struct image *image = d->image;
	uint64_t at = d->plan.start;
	struct plan *plan = place(&at, &d->plan, sizeof(*plan));

	plan->mappings = place(&at, d->mappings, plan->mapping_count * sizeof(*d->mappings));
	plan->pieces = place(&at, d->pieces, d->piece_count * sizeof(*d->pieces));
	plan->piece_count = d->piece_count;
	plan->threads = place(&at, image->threads, image->thread_count * sizeof(*image->threads));
	plan->thread_count = image->thread_count;
	plan->auxv = place(&at, image->auxv, image->auxv_bytes);
	plan->auxv_bytes = image->auxv_bytes;
	place_images(&at, d->chain, plan);
	plan->stacks = place(&at, NULL, (image->thread_count + 1) * PLAN_STACK_BYTES);
	memcpy(plan->signals, image->signals, sizeof(plan->signals));
	plan->process = image->process;
	return plan;
}

static int make_block(struct draft *d, struct plan **ret)
{
	uint64_t bytes = round_up(block_bytes(d), PAGE_BYTES), kernel_bytes = 0;
	struct mappings maps = {0};
	int err = procfs__mappings(0, &maps);
	void *block;

	if (err)
		return image__fail(d->message, err, d->image->path,
				   "cannot read /proc/self/maps: %s", strerror(-err));
	for (size_t i = 0; i < d->plan.move_count; i++)
		kernel_bytes += d->plan.moves[i].bytes;
	err = find_hole(d->image, &maps, d->plan.program_end, bytes + kernel_bytes, &d->plan.start);
	procfs__free_mappings(&maps);
	if (err)
		return image__fail(d->message, err, d->image->path, "no room to work in");
	d->plan.end = d->plan.start + bytes;
	d->plan.shelter = d->plan.end;
	block = mmap((void *)d->plan.start, bytes, PROT_READ | PROT_WRITE, /* NOLINT */
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (block == MAP_FAILED)
		return image__fail(d->message, -errno, d->image->path, "no room to work in: %s",
				   strerror(errno));
	*ret = fill_block(d);
	return 0;
}

int plan__make(const struct image_chain *chain, int first_fd, struct plan **ret, char *message)
{
	struct draft d = {.chain = chain, .image = chain->images[0], .message = message};
	struct image_thread self = {0};
	int err;

	d.plan.first_fd = first_fd;
	d.plan.program_start = page__start((uintptr_t)__executable_start);
	d.plan.program_end = round_up((uintptr_t)_end, PAGE_BYTES);
	self.fs_base = (uintptr_t)__builtin_thread_pointer();
	registrations__find_rseq(&self);
	d.plan.rseq = self.rseq;
	d.plan.rseq_bytes = self.rseq_bytes;
	d.plan.rseq_signature = self.rseq_signature;
	err = slab_heap__create(NULL, 0, &d.heap);
	if (err)
		return image__fail(message, err, d.image->path, "%s", strerror(-err));
	err = check_machine(&d);
	if (!err)
		err = vdso__plan(chain, &d.plan, message);
	if (!err)
		err = plan_memory(&d);
	if (!err)
		err = make_block(&d, ret);
	slab_heap__destroy(d.heap);
	return err;
}
