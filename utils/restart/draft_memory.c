/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See draft.h. Mappings of files get their contents from the image, since the file may have
 * changed. Where the file still has the same contents, it is mapped again: that shares memory, and
 * /proc/PID/maps names it, and so does the next image.
 */
#include "restart/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/page.h"
#include "base/procfs.h"
#include "image/image_internal.h"
#include "reopen/high_files.h"
#include "slab/slab_heap.h"

enum { COMPARE_BYTES = 1 << 16 };

/* ---- pieces ---- */

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

/* There is one image. Returns the checksum of its segment that begins at address. */
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

/* Adds what image has in its file for addresses from start on. Holes are skipped in anonymous
 * memory, which is zeros; memory of a file must be overwritten. Some file systems have holes
 * smaller than a page. */
static int add_data(struct draft *d, uint64_t start, const struct image_stretch *data,
		    const struct image *image, bool skip_holes)
{
	const uint64_t bytes = data->end - start, limit = data->offset + bytes;
	const struct plan_piece segment = {.address = start,
					   .offset = data->offset,
					   .fd = image->fd,
					   .verify = d->verify_later};
	struct plan_piece end = segment;
	uint64_t at = skip_holes ? 0 : bytes;
	int err = skip_holes ? 0 : add_run(d, &segment, 0, bytes);

	while (at < bytes && !err) {
		uint64_t from = image__skip_hole(image, data->offset + at, limit);
		uint64_t to = image__skip_data(image, from, limit);

		from = page__start(from - data->offset);
		at = page__round_up(to - data->offset);
		err = add_run(d, &segment, from, at);
	}
	if (err || !d->verify_later)
		return err;
	end.crc = find_checksum(d, start);
	return add_piece(d, &end);
}

/* Adds all pages of the mapping that are in a file of an image. */
static int add_pieces(struct draft *d, const struct image_mapping *m, bool skip_holes)
{
	uint64_t at = m->start;
	int err = 0;

	while (at < m->end && !err) {
		const struct image *image;
		struct image_stretch stretch;

		image_chain__locate(d->chain, at, &stretch, &image);
		if (stretch.kind == IMAGE_DATA)
			err = add_data(d, at, &stretch, image, skip_holes);
		at = stretch.end;
	}
	return err;
}

/* ---- files of mappings ---- */

/* Is the file of a mapping what it was? */
enum mapped_state {
	MAPPED_USABLE,
	MAPPED_NONE, /* it had none, or the file was deleted */
	MAPPED_UNREADABLE,
	MAPPED_NOT_PLAIN,
	MAPPED_SHORTER,
	MAPPED_OTHER, /* another file of the same name */
};

struct mapped_file {
	enum mapped_state state;
	int fd;  /* of MAPPED_USABLE; else -1 */
	int err; /* of MAPPED_UNREADABLE: what open(2) said, -errno */
};

/* Up to the end of the last page that could be read: a mapping may be longer than its file. */
static uint64_t readable_bytes(const struct draft *d, const struct image_mapping *m)
{
	uint64_t readable_end = m->start, end;

	for (uint64_t at = m->start; at < m->end; at = end) {
		if (!image__is_missing(d->image, at, &end))
			readable_end = end < m->end ? end : m->end;
	}
	return readable_end - m->start;
}

/* Opens it if it is there, plain, and long enough for these bytes of the mapping. */
static struct mapped_file open_file_of(const struct draft *d, const struct image_mapping *m,
				       uint64_t bytes, int flags)
{
	struct mapped_file file = {.state = MAPPED_NONE, .fd = -1};
	struct stat st;
	int fd;

	if (!(m->flags & IMAGE_FILE) || (m->flags & IMAGE_DELETED))
		return file;
	fd = open(image__string(d->image, m->path), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		file.state = MAPPED_UNREADABLE;
		file.err = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		file.state = MAPPED_NOT_PLAIN;
	} else if (bytes && (uint64_t)st.st_size + PAGE_BYTES <= m->offset + bytes) {
		file.state = MAPPED_SHORTER;
	} else {
		file.fd = high_files__move_one(fd, d->plan.first_fd);
		file.state = file.fd < 0 ? MAPPED_UNREADABLE : MAPPED_USABLE;
		file.err = file.fd < 0 ? file.fd : 0;
	}
	if (fd >= 0 && file.state != MAPPED_USABLE)
		(void)close(fd);
	return file;
}

/* The first segment of System V has the inode 0. */
static bool is_same_memory(const struct image_mapping *a, const struct image_mapping *b)
{
	return (b->flags & IMAGE_SHARED) && a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor;
}

/* Did the process write to the file? Then it may make a read-only mapping writable. */
static bool may_write(const struct draft *d, const struct image_mapping *m)
{
	const struct image *image = d->image;
	const char *path = image__string(image, m->path);

	for (size_t i = 0; i < image->mapping_count; i++) {
		if ((image->mappings[i].flags & IMAGE_WRITE) &&
		    is_same_memory(m, &image->mappings[i]))
			return true;
	}
	for (size_t i = 0; i < image->file_count; i++) {
		if ((image->files[i].flags & O_ACCMODE) == O_RDWR &&
		    strcmp(image__string(image, image->files[i].path), path) == 0)
			return true;
	}
	return false;
}

static struct mapped_file open_shared(const struct draft *d, const struct image_mapping *m)
{
	const uint64_t bytes = readable_bytes(d, m);
	struct mapped_file file = {.state = MAPPED_UNREADABLE, .fd = -1};

	if (may_write(d, m))
		file = open_file_of(d, m, bytes, O_RDWR);
	if (file.state == MAPPED_UNREADABLE && !(m->flags & IMAGE_WRITE))
		file = open_file_of(d, m, bytes, O_RDONLY);
	return file;
}

static const char *reason_text(const struct mapped_file *file)
{
	static const char *const texts[] = {
		[MAPPED_NONE] = "it was deleted",
		[MAPPED_NOT_PLAIN] = "it is no plain file now",
		[MAPPED_SHORTER] = "it is shorter now",
		[MAPPED_OTHER] = "it is another file now, of the same name",
	};

	return file->state == MAPPED_UNREADABLE ? strerror(-file->err) : texts[file->state];
}

/* Does the file have the bytes of the image? Behind its end, the last page is zeros in memory. */
static bool is_same(const struct draft *d, const struct image_mapping *m, int fd)
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
			return false;
	}
	return true;
}

/* Is an open file the one that was mapped? In some file systems, stat(2) has another number than
 * /proc/PID/maps; so the file is mapped and looked up there. */
static bool is_same_file(const struct image_mapping *m, int fd)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, (off_t)m->offset);
	struct mappings maps = {0};
	bool is_same = true; /* as far as is known */

	if (page == MAP_FAILED)
		return true;
	if (procfs__mappings(0, &maps) == 0) {
		for (size_t i = 0; i < maps.count; i++) {
			if (maps.items[i].start == (uintptr_t)page)
				is_same = maps.items[i].inode == m->inode;
		}
		procfs__free_mappings(&maps);
	}
	(void)munmap(page, PAGE_BYTES);
	return is_same;
}

/* A process that writes to a shared file must not write to another one. One that only reads has the
 * contents of the image. Returns 0; or -ESTALE with a message. */
static int check_shared_file(const struct draft *d, const struct image_mapping *m,
			     struct mapped_file *file)
{
	const char *path = image__string(d->image, m->path);

	if (file->state != MAPPED_USABLE || is_same_file(m, file->fd))
		return 0;
	if (d->accept_changes && (m->flags & IMAGE_WRITE)) {
		log__warn("%s is another file now, of the same name; shared memory of the process",
			  path);
		return 0;
	}
	(void)close(file->fd);
	*file = (struct mapped_file){.state = MAPPED_OTHER, .fd = -1};
	if (!(m->flags & IMAGE_WRITE))
		return 0;
	return image__fail(d->message, -ESTALE, d->image->path,
			   "the process had %s as shared memory, and it is another file now, of "
			   "the same name; put it back and try again, or use it as it is with "
			   "--changed-files",
			   path);
}

/* ---- mappings ---- */

/* The kernel gives the process some of its own, and the writer's arena is nobody's now. */
static bool is_made(const struct image_mapping *m)
{
	return !(m->flags & (IMAGE_VDSO | IMAGE_VVAR | IMAGE_VSYSCALL | IMAGE_ARENA));
}

/* Is it of no file that a user could know of? Then its name is the kernel's. */
static bool is_nameless(const struct draft *d, const struct image_mapping *m)
{
	static const char *const names[] = {"/dev/zero", "/memfd:", "/anon_hugepage", "/SYSV",
					    "/[aio]"};
	const char *path = image__string(d->image, m->path);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((m->flags & IMAGE_DELETED) && strncmp(path, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* Makes a file in memory that is as long as all mappings of m's memory need. Returns its
 * descriptor; or -errno. */
static int make_object(const struct draft *d, const struct image_mapping *m)
{
	const char *name = strrchr(image__string(d->image, m->path), '/');
	uint64_t bytes = 0;
	int fd, moved;

	for (size_t i = 0; i < d->image->mapping_count; i++) {
		const struct image_mapping *other = &d->image->mappings[i];
		const uint64_t end = other->offset + (other->end - other->start);

		if (is_same_memory(m, other) && end > bytes)
			bytes = end;
	}
	name = name && strncmp(name, "/memfd:", 7) == 0 ? name + 7 : "shared";
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	moved = ftruncate(fd, (off_t)bytes) < 0 ? -errno
						: high_files__move_one(fd, d->plan.first_fd);
	if (moved < 0)
		(void)close(fd);
	return moved;
}

/* If that memory is mapped elsewhere too, both will be of one file in memory, whose descriptor is
 * *ret_fd; or else -1. Returns 0 or -errno. */
static int find_object(struct draft *d, const struct image_mapping *m, int *ret_fd)
{
	struct shared_object *object;
	size_t count = 0;

	*ret_fd = -1;
	for (size_t i = 0; i < d->image->mapping_count; i++)
		count += is_same_memory(m, &d->image->mappings[i]);
	if (count < 2)
		return 0;
	for (size_t i = 0; i < d->object_count; i++) {
		object = &d->objects[i];
		if (object->inode == m->inode && object->dev_major == m->dev_major &&
		    object->dev_minor == m->dev_minor) {
			*ret_fd = object->fd;
			return 0;
		}
	}
	object = slab_heap__resize(d->heap, d->objects, (d->object_count + 1) * sizeof(*object));
	if (!object)
		return -ENOMEM;
	d->objects = object;
	*ret_fd = make_object(d, m);
	if (*ret_fd < 0)
		return *ret_fd;
	d->objects[d->object_count++] =
		(struct shared_object){m->inode, m->dev_major, m->dev_minor, *ret_fd};
	return 0;
}

static int fail(const struct draft *d, int err)
{
	return image__fail(d->message, err, d->image->path, "%s", strerror(-err));
}

/* Others may share it. A file is mapped as it is now. Without one, the memory has the contents of
 * the image, and this process has it alone. */
static int plan_shared(struct draft *d, const struct image_mapping *m, struct plan_mapping *p)
{
	struct mapped_file file = open_shared(d, m);
	int err = check_shared_file(d, m, &file);

	if (err)
		return err;
	p->flags = MAP_SHARED;
	if (file.state == MAPPED_USABLE) {
		p->fd = file.fd;
		p->offset = m->offset;
		p->is_loaded = false;
		return 0;
	}
	if ((m->flags & IMAGE_FILE) && !is_nameless(d, m))
		log__warn("%s was shared memory of a file that cannot be mapped any more (%s); it "
			  "is brought back as memory of this process alone",
			  image__string(d->image, m->path), reason_text(&file));
	err = find_object(d, m, &p->fd);
	if (err)
		return fail(d, err);
	if (p->fd >= 0)
		p->offset = m->offset;
	else
		p->flags |= MAP_ANONYMOUS;
	return 0;
}

static void plan_private(struct draft *d, const struct image_mapping *m, struct plan_mapping *p)
{
	int fd = open_file_of(d, m, m->end - m->start, O_RDONLY).fd;

	p->flags = MAP_PRIVATE;
	if (m->flags & IMAGE_STACK)
		p->flags |= MAP_STACK;
	if ((m->flags & IMAGE_STACK) || (p->advice & IMAGE_ADVICE_GROWS_DOWN))
		p->flags |= MAP_GROWSDOWN;
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

/* Returns 0; or -errno with a message. */
static int plan_mapping(struct draft *d, const struct image_mapping *m)
{
	struct plan_mapping *p = &d->mappings[d->plan.mapping_count];
	int err = 0;

	if (!is_made(m))
		return 0;
	*p = (struct plan_mapping){.start = m->start, .end = m->end, .fd = -1, .is_loaded = true};
	p->protection = (m->flags & IMAGE_READ ? PROT_READ : 0) |
			(m->flags & IMAGE_WRITE ? PROT_WRITE : 0) |
			(m->flags & IMAGE_EXEC ? PROT_EXEC : 0);
	p->advice = d->image->advice ? d->image->advice[m - d->image->mappings] : 0;
	if (m->flags & IMAGE_SHARED)
		err = plan_shared(d, m, p);
	else
		plan_private(d, m, p);
	if (!err && p->is_loaded) {
		size_t before = d->piece_count;

		/* Where nothing is loaded, new memory has zeros, and a file its bytes. */
		err = add_pieces(d, m, p->fd < 0 || (m->flags & IMAGE_SHARED));
		if (err)
			return fail(d, err);
		p->is_loaded = d->piece_count > before;
	}
	d->plan.mapping_count++;
	return err;
}

int draft__add_memory(struct draft *d)
{
	int err = 0;

	/* A checksum is of a whole segment. In a chain, later images may replace a part of it. */
	d->verify_later = d->chain->count == 1;
	if (!d->verify_later)
		err = image_chain__check(d->chain, d->message);
	if (err)
		return err;
	d->mappings =
		slab_heap__alloc(d->heap, (d->image->mapping_count + 1) * sizeof(*d->mappings));
	if (!d->mappings)
		return fail(d, -ENOMEM);
	for (size_t i = 0; i < d->image->mapping_count && !err; i++)
		err = plan_mapping(d, &d->image->mappings[i]);
	return err;
}
