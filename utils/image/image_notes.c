/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_notes.h. An enemy may have made the file: the size of each note is checked before it is
 * read, and everything that restart or readckpt will rely on is checked here, once. Records are
 * copied out of the notes, where they are aligned to 4 bytes only.
 */
#include "image/image_notes.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/procfs.h>

#include "image/image_internal.h"
#include "image/image_pair.h"
#include "slab/slab_heap.h"

enum {
	XSTATE_MIN = 576, /* the legacy part and the header */
	FD_MAX = 1 << 20,
};

static const uint64_t user_end = 1ULL << 47;

struct note {
	const char *name;
	const unsigned char *bytes;
	uint32_t type;
	uint32_t count; /* bytes */
};

struct reading {
	struct image *image;
	char *message;
	size_t registers_room;
	size_t size_count, advice_count, scheduling_count, birth_count;
	uint32_t seen; /* bit N: our note IMAGE_NOTE_INFO + N */
};

static int bad(const struct reading *r, const char *what)
{
	return image__fail(r->message, -EBADMSG, r->image->path, "damaged: %s", what);
}

/* ---- the notes, one by one ---- */

/* Copies an array of records, size bytes each, at most max of them. */
static int copy_records(const struct reading *r, const struct note *note, size_t size, size_t max,
			void **ret_records, size_t *ret_count)
{
	if (note->count % size)
		return bad(r, "a note has half a record");
	if (note->count / size > max)
		return image__fail(r->message, -EFBIG, r->image->path,
				   "a note has %zu records, and %zu are the most",
				   note->count / size, max);
	*ret_records = image__alloc(r->image, note->count + 1, 1);
	if (!*ret_records)
		return image__fail(r->message, -ENOMEM, r->image->path, "%s", strerror(ENOMEM));
	memcpy(*ret_records, note->bytes, note->count);
	*ret_count = note->count / size;
	return 0;
}

static int read_info(struct reading *r, const struct note *note)
{
	struct image_info *info = &r->image->info;
	uint32_t version;

	if (note->count < offsetof(struct image_info, version) + sizeof(version))
		return bad(r, "the note INFO is too short");
	memcpy(&version, note->bytes + offsetof(struct image_info, version), sizeof(version));
	if (version != IMAGE_VERSION)
		return image__fail(r->message, -EPROTONOSUPPORT, r->image->path,
				   "an image of version %u; this program knows version %d", version,
				   IMAGE_VERSION);
	if (note->count != sizeof(*info))
		return bad(r, "the note INFO has another size");
	memcpy(info, note->bytes, sizeof(*info));
	return 0;
}

static int read_process(struct reading *r, const struct note *note)
{
	struct image_process *process = &r->image->process;

	if (note->count != sizeof(*process))
		return bad(r, "the note PROCESS has another size");
	memcpy(process, note->bytes, sizeof(*process));
	process->name[sizeof(process->name) - 1] = '\0';
	process->arguments[sizeof(process->arguments) - 1] = '\0';
	return 0;
}

static int read_strings(struct reading *r, const struct note *note)
{
	struct image *image = r->image;

	if (note->count < 1 || note->bytes[0] != '\0' || note->bytes[note->count - 1] != '\0')
		return bad(r, "the note STRINGS holds no strings");
	image->strings = (const char *)note->bytes;
	image->string_bytes = note->count;
	return 0;
}

static int read_own(struct reading *r, const struct note *note)
{
	struct image *image = r->image;
	uint32_t bit = note->type - IMAGE_NOTE_INFO;

	if (bit > IMAGE_NOTE_LAST - IMAGE_NOTE_INFO)
		return 0; /* a later writer may add notes without a new version */
	if (r->seen & (1u << bit))
		return bad(r, "a note is there twice");
	if (bit > 0 && !(r->seen & 1))
		return bad(r, "the note INFO is not the first");
	r->seen |= 1u << bit;
	switch (note->type) {
	case IMAGE_NOTE_INFO:
		return read_info(r, note);
	case IMAGE_NOTE_PROCESS:
		return read_process(r, note);
	case IMAGE_NOTE_SIGNALS:
		if (note->count != sizeof(image->signals))
			return bad(r, "the note SIGNALS has another size");
		memcpy(image->signals, note->bytes, sizeof(image->signals));
		return 0;
	case IMAGE_NOTE_MAPPINGS:
		return copy_records(r, note, sizeof(*image->mappings), IMAGE_MAPPINGS_MAX,
				    (void **)&image->mappings, &image->mapping_count);
	case IMAGE_NOTE_THREADS:
		return copy_records(r, note, sizeof(*image->threads), IMAGE_THREADS_MAX,
				    (void **)&image->threads, &image->thread_count);
	case IMAGE_NOTE_FILES:
		return copy_records(r, note, sizeof(*image->files), FD_MAX, (void **)&image->files,
				    &image->file_count);
	case IMAGE_NOTE_UNCHANGED:
		return copy_records(r, note, sizeof(*image->unchanged), SIZE_MAX,
				    (void **)&image->unchanged, &image->unchanged_count);
	case IMAGE_NOTE_MISSING:
		return copy_records(r, note, sizeof(*image->missing), SIZE_MAX,
				    (void **)&image->missing, &image->missing_count);
	case IMAGE_NOTE_STRINGS:
		return read_strings(r, note);
	case IMAGE_NOTE_ATTRIBUTES:
		if (note->count != sizeof(image->attributes))
			return bad(r, "the note ATTRIBUTES has another size");
		memcpy(&image->attributes, note->bytes, sizeof(image->attributes));
		return 0;
	case IMAGE_NOTE_GROUPS:
		return copy_records(r, note, sizeof(*image->groups), IMAGE_GROUPS_MAX,
				    (void **)&image->groups, &image->group_count);
	case IMAGE_NOTE_PLACE:
		if (note->count != sizeof(image->place))
			return bad(r, "the note PLACE has another size");
		memcpy(&image->place, note->bytes, sizeof(image->place));
		image->place.boot[sizeof(image->place.boot) - 1] = '\0';
		return 0;
	case IMAGE_NOTE_SIZES:
		return copy_records(r, note, sizeof(*image->sizes), FD_MAX, (void **)&image->sizes,
				    &r->size_count);
	case IMAGE_NOTE_ADVICE:
		return copy_records(r, note, sizeof(*image->advice), IMAGE_MAPPINGS_MAX,
				    (void **)&image->advice, &r->advice_count);
	case IMAGE_NOTE_SCHEDULING:
		return copy_records(r, note, sizeof(*image->scheduling), IMAGE_THREADS_MAX,
				    (void **)&image->scheduling, &r->scheduling_count);
	case IMAGE_NOTE_BIRTHS:
		return copy_records(r, note, sizeof(*image->births), FD_MAX,
				    (void **)&image->births, &r->birth_count);
	case IMAGE_NOTE_SURROUNDINGS:
		if (note->count != sizeof(image->surroundings))
			return bad(r, "the note SURROUNDINGS has another size");
		memcpy(&image->surroundings, note->bytes, sizeof(image->surroundings));
		return 0;
	case IMAGE_NOTE_RIGHTS:
		if (note->count != sizeof(image->rights))
			return bad(r, "the note RIGHTS has another size");
		memcpy(&image->rights, note->bytes, sizeof(image->rights));
		return 0;
	case IMAGE_NOTE_OBJECTS:
		return copy_records(r, note, sizeof(*image->objects), FD_MAX,
				    (void **)&image->objects, &image->object_count);
	case IMAGE_NOTE_WATCHES:
		return copy_records(r, note, sizeof(*image->watches), FD_MAX,
				    (void **)&image->watches, &image->watch_count);
	case IMAGE_NOTE_SETTINGS:
		return copy_records(r, note, sizeof(*image->settings), IMAGE_SETTINGS_MAX,
				    (void **)&image->settings, &image->setting_count);
	case IMAGE_NOTE_POLICIES:
		return copy_records(r, note, sizeof(*image->policies),
				    IMAGE_MAPPINGS_MAX + IMAGE_THREADS_MAX,
				    (void **)&image->policies, &image->policy_count);
	case IMAGE_NOTE_CONTENTS:
		image->contents = note->bytes;
		image->contents_bytes = note->count;
		return 0;
	default:
		return bad(r, "a note is not where it must be"); /* CHECKSUMS */
	}
}

/* NT_PRSTATUS begins a thread. *threads: how many there were before. */
static int read_registers(struct reading *r, const struct note *note, size_t *threads)
{
	struct image *image = r->image;
	struct elf_prstatus status;
	struct image_registers *larger;

	if (note->count != sizeof(status))
		return bad(r, "a note NT_PRSTATUS has another size");
	if (*threads == IMAGE_THREADS_MAX)
		return image__fail(r->message, -EFBIG, image->path, "more than %d threads",
				   IMAGE_THREADS_MAX);
	if (*threads == r->registers_room) {
		size_t room = r->registers_room ? 2 * r->registers_room : 4;

		larger = slab_heap__resize(image->heap, image->registers, room * sizeof(*larger));
		if (!larger)
			return image__fail(r->message, -ENOMEM, image->path, "%s",
					   strerror(ENOMEM));
		image->registers = larger;
		r->registers_room = room;
	}
	memcpy(&status, note->bytes, sizeof(status));
	image->registers[*threads] = (struct image_registers){0};
	memcpy(&image->registers[*threads].user, &status.pr_reg, sizeof(status.pr_reg));
	++*threads;
	return 0;
}

static int read_standard(struct reading *r, const struct note *note, size_t *threads)
{
	struct image *image = r->image;
	struct image_registers *registers = *threads ? &image->registers[*threads - 1] : NULL;

	if (note->type == NT_PRSTATUS)
		return read_registers(r, note, threads);
	if (note->type == NT_AUXV) {
		image->auxv = note->bytes;
		image->auxv_bytes = note->count;
	} else if (note->type == NT_X86_XSTATE) {
		if (!registers || registers->xstate || note->count < XSTATE_MIN ||
		    note->count > IMAGE_XSTATE_MAX)
			return bad(r, "a note NT_X86_XSTATE that cannot be");
		registers->xstate = note->bytes;
		registers->xstate_bytes = note->count;
	}
	return 0; /* the others repeat what our own notes say */
}

/* Takes the note at *at of the notes, and moves *at behind it. */
static int take_note(const unsigned char *notes, size_t bytes, size_t *at, struct note *ret_note)
{
	Elf64_Nhdr head;
	size_t name, descriptor, left = bytes - *at;

	if (left < sizeof(head))
		return -EBADMSG;
	memcpy(&head, notes + *at, sizeof(head));
	left -= sizeof(head);
	name = ((size_t)head.n_namesz + 3) / 4 * 4;
	if (head.n_namesz == 0 || name > left)
		return -EBADMSG;
	left -= name;
	descriptor = ((size_t)head.n_descsz + 3) / 4 * 4;
	if (descriptor > left)
		return -EBADMSG;
	ret_note->name = (const char *)notes + *at + sizeof(head);
	if (ret_note->name[head.n_namesz - 1] != '\0')
		return -EBADMSG;
	ret_note->bytes = notes + *at + sizeof(head) + name;
	ret_note->type = head.n_type;
	ret_note->count = head.n_descsz;
	*at += sizeof(head) + name + descriptor;
	return 0;
}

/* ---- does it all fit together? ---- */

static bool is_string(const struct image *image, uint32_t at)
{
	return at < image->string_bytes;
}

static int check_info(const struct reading *r)
{
	const struct image *image = r->image;
	const struct image_info *info = &image->info;
	const bool increment = (info->flags & IMAGE_INCREMENT) != 0;

	if (info->page_bytes != PAGE_BYTES || info->id == 0 || info->reserved != 0 ||
	    (info->flags & ~(uint32_t)(IMAGE_INCREMENT | IMAGE_NO_REGISTERS)) != 0 ||
	    (info->missing & ~(uint64_t)IMAGE_MISSING_BITS) != 0)
		return bad(r, "the note INFO holds what cannot be");
	if (!is_string(image, info->parent) || !is_string(image, info->writer) ||
	    !is_string(image, info->kernel) || !is_string(image, image->process.cwd) ||
	    !is_string(image, image->process.exe))
		return bad(r, "a string is outside of the strings");
	if (increment != (info->parent_id != 0) || increment != (info->depth != 0) ||
	    image->strings[info->parent] != (increment ? '/' : '\0'))
		return bad(r, "it is half an increment");
	if (!increment && image->unchanged_count != 0)
		return bad(r, "it is no increment, but pages are in a parent");
	return 0;
}

static int check_mappings(const struct reading *r)
{
	const struct image *image = r->image;
	uint64_t before = 0;

	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (m->start < before || m->start >= m->end || m->start % PAGE_BYTES ||
		    m->end % PAGE_BYTES || (m->end > user_end && !(m->flags & IMAGE_VSYSCALL)) ||
		    (m->flags & ~(uint32_t)IMAGE_MAPPING_FLAGS) != 0 || !is_string(image, m->path))
			return image__fail(r->message, -EBADMSG, image->path,
					   "damaged: mapping %zu cannot be", i);
		before = m->end;
	}
	return 0;
}

/* Does [start, end) lie in one mapping? *at: that of the call before, whose start was lower. */
static bool is_mapped(const struct image *image, uint64_t start, uint64_t end, size_t *at)
{
	while (*at < image->mapping_count && image->mappings[*at].end <= start)
		++*at;
	return *at < image->mapping_count && image->mappings[*at].start <= start &&
	       end <= image->mappings[*at].end;
}

static int check_segments(const struct reading *r)
{
	const struct image *image = r->image;
	size_t mapping = 0;

	for (size_t i = 0; i < image->segment_count; i++) {
		if (!is_mapped(image, image->segments[i].start, image->segments[i].end, &mapping))
			return image__fail(r->message, -EBADMSG, image->path,
					   "damaged: segment %zu is in no mapping", i);
	}
	return 0;
}

static int check_runs(const struct reading *r, const struct image_run *runs, size_t count)
{
	uint64_t before = 0;
	size_t mapping = 0;

	for (size_t i = 0; i < count; i++) {
		if (runs[i].start < before || runs[i].start >= runs[i].end ||
		    runs[i].start % PAGE_BYTES || runs[i].end % PAGE_BYTES ||
		    !is_mapped(r->image, runs[i].start, runs[i].end, &mapping))
			return bad(r, "a run of pages cannot be");
		before = runs[i].end;
	}
	return 0;
}

/* No page is both in the file and in the parent. */
static int check_unchanged(const struct reading *r)
{
	const struct image *image = r->image;
	size_t segment = 0;

	for (size_t i = 0; i < image->unchanged_count; i++) {
		const struct image_run *run = &image->unchanged[i];

		while (segment < image->segment_count &&
		       (image->segments[segment].end <= run->start ||
			!image->segments[segment].bytes))
			segment++;
		if (segment < image->segment_count && image->segments[segment].start < run->end)
			return bad(r, "pages are in it and in its parent");
	}
	return 0;
}

static int check_threads(const struct reading *r, size_t registers)
{
	struct image *image = r->image;

	if (image->thread_count != registers)
		return bad(r, "its threads and their registers are not as many");
	if ((image->thread_count == 0) != ((image->info.flags & IMAGE_NO_REGISTERS) != 0))
		return bad(r, "it has no threads, or it has some and says that it has none");
	for (size_t i = 0; i < image->thread_count; i++) {
		image->threads[i].name[sizeof(image->threads[i].name) - 1] = '\0';
		if (image->threads[i].tid <= 0)
			return bad(r, "a thread without a number");
	}
	return 0;
}

static int check_files(const struct reading *r)
{
	const struct image *image = r->image;

	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		if (file->fd < 0 || file->fd >= FD_MAX || !is_string(image, file->path) ||
		    file->offset > INT64_MAX || file->same_as < -1 || file->same_as >= file->fd ||
		    (i > 0 && file->fd <= file[-1].fd))
			return bad(r, "an open file that cannot be");
	}
	return 0;
}

/* Both are in the order of their fd. */
static int check_objects(const struct reading *r)
{
	const struct image *image = r->image;
	size_t file = 0;

	for (size_t i = 0; i < image->object_count; i++) {
		const struct image_object *object = &image->objects[i];

		while (file < image->file_count && image->files[file].fd < object->fd)
			file++;
		if (file == image->file_count || image->files[file++].fd != object->fd ||
		    object->kind == 0 || object->kind >= IMAGE_OBJECT_KINDS ||
		    (uint64_t)object->contents + object->bytes > image->contents_bytes)
			return bad(r, "an open file without a name that cannot be");
	}
	return image_pair__check(image) ? 0 : bad(r, "a pair of sockets that cannot be");
}

/* A policy of addresses is of one mapping, in their order; then come those of threads. */
static int check_policies(const struct reading *r)
{
	const struct image *image = r->image;
	uint64_t before = 0;
	size_t mapping = 0, i = 0;

	for (; i < image->policy_count && image->policies[i].end; i++) {
		const struct image_policy *policy = &image->policies[i];

		if (policy->start < before || policy->start >= policy->end ||
		    !is_mapped(image, policy->start, policy->end, &mapping))
			return bad(r, "a memory policy that cannot be");
		before = policy->end;
	}
	for (; i < image->policy_count; i++) {
		if (image->policies[i].start || image->policies[i].end)
			return bad(r, "a memory policy that cannot be");
	}
	return 0;
}

/* An array that goes with another one is as long, or empty: then it becomes NULL. */
static int check_companions(const struct reading *r)
{
	struct image *image = r->image;

	if ((r->size_count && r->size_count != image->file_count) ||
	    (r->advice_count && r->advice_count != image->mapping_count) ||
	    (r->scheduling_count && r->scheduling_count != image->thread_count) ||
	    (r->birth_count && r->birth_count != image->file_count))
		return bad(r, "a note has not as many records as the one that it goes with");
	if (!r->size_count)
		image->sizes = NULL;
	if (!r->advice_count)
		image->advice = NULL;
	if (!r->scheduling_count)
		image->scheduling = NULL;
	if (!r->birth_count)
		image->births = NULL;
	return 0;
}

static int check_all(const struct reading *r, size_t registers)
{
	const uint32_t needed = (2u << (IMAGE_NOTE_STRINGS - IMAGE_NOTE_INFO)) - 1;
	const struct image *image = r->image;
	int err;

	if (!(r->seen & 1))
		return image__fail(r->message, -ENOEXEC, image->path,
				   "not an image: a core file, but not written by libckpt or "
				   "tracer");
	if ((r->seen & needed) != needed)
		return bad(r, "notes are missing");
	err = check_info(r);
	if (err)
		return err;
	err = check_mappings(r);
	if (err)
		return err;
	err = check_segments(r);
	if (err)
		return err;
	err = check_runs(r, image->unchanged, image->unchanged_count);
	if (err)
		return err;
	err = check_unchanged(r);
	if (err)
		return err;
	err = check_runs(r, image->missing, image->missing_count);
	if (err)
		return err;
	err = check_companions(r);
	if (err)
		return err;
	err = check_threads(r, registers);
	if (err)
		return err;
	err = check_policies(r);
	if (err)
		return err;
	err = check_files(r);
	return err ? err : check_objects(r);
}

int image_notes__read(struct image *image, size_t offset, size_t bytes, char *message)
{
	const unsigned char *notes = (const unsigned char *)image->notes + offset;
	struct reading r = {.image = image, .message = message};
	size_t at = 0, threads = 0;
	struct note note;
	int err = 0;

	while (at < bytes && !err) {
		if (take_note(notes, bytes, &at, &note))
			return bad(&r, "a note does not end where it must");
		if (strcmp(note.name, IMAGE_NOTE_NAME) == 0)
			err = read_own(&r, &note);
		else
			err = read_standard(&r, &note, &threads);
	}
	return err ? err : check_all(&r, threads);
}
