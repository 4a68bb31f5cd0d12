/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz steps, fuzz few-steps, fuzz pinned-steps: thousands of calls, or hundreds, in an order that
 * the seed decides. They are those of the mmap family, and all ways to write to a page (ways.h).
 * There are checkpoints and restores between them. A model says what every page must hold. At the
 * end, after a last checkpoint, it writes its mappings to the file $FUZZ_MAPS.
 * fuzz compare MAPLOG MAPS: the tracer tracked (--map-log) exactly the memory that was mapped. Only
 * memory without access and without data may be tracked or not.
 */
#include <errno.h>
#include <stdbool.h>
#include "base/procfs.h"
#include "base/intervals.h"
#include "ways.h"

enum {
	WINDOW = 1024,
	HEAP = 64,
	PAGES = WINDOW + HEAP,
	LONGEST = 37,
	ROUNDS = 17,
	FEW_ROUNDS = 3,
	STEPS = 101,
	FEW_WAYS = 5
};
enum { TEXT_BYTES = 1 << 20, READ_WRITE = PROT_READ | PROT_WRITE };

/* The value of a page that was not filled from a seed. */
#define UNKNOWN UINT64_MAX

struct page {
	uint64_t value;   /* the seed it is filled with; 0: zeros */
	uint32_t mapping; /* a number for each mapping; 0: not mapped */
	uint8_t protection;
	uint8_t shared;
};

struct model { /* untracked */
	struct page now[PAGES], saved[PAGES];
	unsigned char bytes[PAGES][PAGE]; /* of saved pages whose value is unknown */
	uint64_t random, values, ways;
	uint32_t mappings;
	bool has_pins;   /* pages may be pinned, too */
	bool has_direct; /* O_DIRECT works: not with tmpfs before Linux 6.6 */
	int mem;         /* /proc/self/mem */
	unsigned char *window, *heap;
	size_t heap_pages;
	char text[TEXT_BYTES];
};

static struct model *m;

static uint64_t roll(uint64_t sides)
{
	return word_at(workload.seed, m->random++) % sides;
}

static unsigned char *at(size_t page)
{
	return page < WINDOW ? m->window + page * PAGE : m->heap + (page - WINDOW) * PAGE;
}

static void renew(size_t first, size_t count, int protection, int shared)
{
	m->mappings++;
	for (size_t i = first; i < first + count; i++)
		m->now[i] = (struct page){.mapping = m->mappings,
					  .protection = (uint8_t)protection,
					  .shared = (uint8_t)shared};
}

static void drop(size_t first, size_t count)
{
	memset(&m->now[first], 0, count * sizeof(*m->now));
}

/* Picks a start; count pages from there on are mapped, of one mapping and protection if alike. */
static size_t pick(size_t *ret_count, int alike)
{
	size_t first = roll(WINDOW - LONGEST), most = 1 + roll(LONGEST), count = 0;

	while (count < most && m->now[first + count].mapping &&
	       (!alike || (m->now[first + count].mapping == m->now[first].mapping &&
			   m->now[first + count].protection == m->now[first].protection)))
		count++;
	*ret_count = count;
	return first;
}

static int pick_protection(void)
{
	static const int protections[] = {READ_WRITE, READ_WRITE, READ_WRITE, PROT_READ, PROT_NONE};

	return protections[roll(5)];
}

static void step_map(void)
{
	size_t first = roll(WINDOW - LONGEST), count = 1 + roll(LONGEST);
	int protection = pick_protection(), shared = roll(5) == 0;

	map_at(at(first), count * PAGE, protection,
	       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | (roll(7) ? 0 : MAP_POPULATE));
	renew(first, count, protection, shared);
}

static void step_unmap(void)
{
	size_t first = roll(WINDOW - LONGEST), count = 1 + roll(LONGEST);

	must(!munmap(at(first), count * PAGE), "munmap");
	drop(first, count);
}

static void step_protect(void)
{
	int protection = pick_protection();
	size_t count, first = pick(&count, 0);

	if (!count)
		return;
	must(!mprotect(at(first), count * PAGE, protection), "mprotect");
	for (size_t i = first; i < first + count; i++)
		m->now[i].protection = (uint8_t)protection;
}

static void step_discard(void)
{
	size_t count, first = pick(&count, 0);

	if (!count)
		return;
	must(!madvise(at(first), count * PAGE, MADV_DONTNEED), "madvise");
	for (size_t i = first; i < first + count; i++)
		if (!m->now[i].shared)
			m->now[i].value = 0;
}

static bool is_mapped(size_t page)
{
	unsigned char resident;

	return !mincore(at(page), PAGE, &resident);
}

/* If the move of a page breaks off, can nobody tell whether it has moved? */
static bool is_unclear(size_t from, size_t to)
{
	return m->now[from].value == UNKNOWN ||
	       (m->now[to].mapping && m->now[to].value == m->now[from].value);
}

static bool has_moved(size_t from, size_t to, int keep)
{
	unsigned char bytes[PAGE];

	if (!keep)
		return !is_mapped(from);
	return pread(m->mem, bytes, PAGE, (off_t)(uintptr_t)at(to)) == PAGE &&
	       first_wrong(bytes, PAGE, m->now[from].value) == PAGE;
}

/* The pages lie in several mappings of the kernel, and the move has failed with EFAULT at one of
 * them: since Linux 6.17 at one that the tracer has armed, before at the second. Those before it
 * have moved, and the place where they should go to may be unmapped. The tracer cannot know which:
 * it restores nothing of that place. */
static void move_broke_off(size_t first, size_t count, size_t to, int keep)
{
	for (size_t i = 0; i < count; i++) {
		struct page page = m->now[first + i];

		if (has_moved(first + i, to + i, keep)) {
			renew(to + i, 1, page.protection, page.shared);
			m->now[to + i].value = page.value;
			m->now[first + i].value = 0;
			if (!keep)
				drop(first + i, 1);
		} else if (!is_mapped(to + i)) {
			drop(to + i, 1);
		} else {
			page = m->now[to + i];
			renew(to + i, 1, page.protection, page.shared);
			m->now[to + i].value = page.value;
		}
	}
}

static void step_move(void)
{
	size_t count, first = pick(&count, 1), to = roll(WINDOW - LONGEST);
	int keep = !m->now[first].shared && roll(4) == 0;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct page pages[LONGEST];

	if (!count)
		return;
	for (size_t i = 0; i < count && keep; i++)
		keep = !is_unclear(first + i, to + i);
	if (keep)
		flags |= MREMAP_DONTUNMAP;
	if (mremap(at(first), count * PAGE, count * PAGE, flags, at(to)) == MAP_FAILED) {
		if (errno == EFAULT)
			move_broke_off(first, count, to, keep);
		return; /* else it was onto itself, say */
	}
	memcpy(pages, &m->now[first], sizeof(pages));
	if (!keep)
		drop(first, count);
	for (size_t i = first; i < first + count; i++)
		m->now[i].value = 0;
	renew(to, count, pages[0].protection, pages[0].shared);
	for (size_t i = 0; i < count; i++)
		m->now[to + i].value = pages[i].value;
}

static void step_resize(void)
{
	size_t count, first = pick(&count, 1), wanted = 1 + roll(LONGEST);

	if (!count || (wanted > count && m->now[first].shared))
		return;
	if (first + wanted > WINDOW ||
	    mremap(at(first), count * PAGE, wanted * PAGE, 0) != at(first))
		return;
	if (wanted < count)
		drop(first + wanted, count - wanted);
	else if (wanted > count)
		renew(first + count, wanted - count, m->now[first].protection, 0);
}

static void write_pages(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (!(m->now[i].protection & PROT_WRITE))
			continue;
		m->now[i].value = roll(5) ? seed(++m->values) : 0;
		fill(at(i), PAGE, m->now[i].value);
	}
}

static void step_write(void)
{
	size_t count, first = pick(&count, 0);

	write_pages(first, count);
}

static bool is_writable(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		if (!m->now[i].mapping || m->now[i].protection != READ_WRITE)
			return false;
	return true;
}

static void ring_plain(unsigned char *page, uint64_t with)
{
	make_ring();
	read_plain(page, with);
	drop_ring();
}

static void ring_registered(unsigned char *page, uint64_t with)
{
	struct iovec buffer = {page, PAGE};

	make_ring();
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1),
	     "IORING_REGISTER_BUFFERS");
	read_registered(page, with);
	drop_ring();
}

static void aio(unsigned char *page, uint64_t with)
{
	make_context();
	read_by_aio(page, with);
	drop_context();
}

/* What is only freed may be zeros at any time, and so in a checkpoint or after it. */
static void free_and_store(unsigned char *page, uint64_t with)
{
	free_lazily(page, with | 1);
}

static void page_out(unsigned char *page, uint64_t with)
{
	store(page, with);
	(void)madvise(page, PAGE, MADV_PAGEOUT);
}

/* A few of the ways at a time, so that some checkpoints and restores need not look at all pages.
 * The last three make the tracer compare from then on. */
static void step_other_writer(void)
{
	static page_writer *const ways[] = {
		store,    read_into, read_pipe,     beside_child, free_and_store,  page_out,
		discard,  protect,   store_in_pipe, robust_list,  signal_frame,    read_direct,
		proc_mem, vm_writev, debugger,      ring_plain,   ring_registered, aio,
	};
	const size_t count = sizeof(ways) / sizeof(*ways) - (m->has_pins ? 0 : 3),
		     first = roll(WINDOW - LONGEST);
	page_writer *way = ways[(m->ways + roll(FEW_WAYS)) % count];
	const size_t pages = way == signal_frame ? STACK_PAGES : 1;

	if (!is_writable(first, pages) || (way == free_and_store && m->now[first].shared) ||
	    (!m->has_direct && (way == read_direct || way == aio)))
		return;
	way(at(first), seed(++m->values));
	for (size_t i = first; i < first + pages; i++)
		m->now[i].value = UNKNOWN;
}

static void step_remove(void)
{
	size_t count, first = pick(&count, 1);

	if (!count || !m->now[first].shared || m->now[first].protection != READ_WRITE)
		return;
	must(!madvise(at(first), count * PAGE, MADV_REMOVE), "MADV_REMOVE");
	for (size_t i = first; i < first + count; i++)
		m->now[i].value = 0;
}

static void step_break(void)
{
	size_t wanted = roll(HEAP);

	must(!brk(m->heap + wanted * PAGE - roll(2) * (wanted ? 23 : 0)), "brk");
	if (wanted < m->heap_pages)
		drop(WINDOW + wanted, m->heap_pages - wanted);
	else
		renew(WINDOW + m->heap_pages, wanted - m->heap_pages, READ_WRITE, 0);
	m->heap_pages = wanted;
	write_pages(WINDOW, wanted);
}

/* None of these changes anything. */
static void step_fail(void)
{
	unsigned char *first = at(roll(WINDOW - LONGEST));

	must(mmap(first, PAGE, READ_WRITE, MAP_PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED, "mmap");
	must(munmap(first + 23, PAGE), "munmap");
	must(mprotect(first, PAGE, -1), "mprotect");
	must(mremap(first, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, first) == MAP_FAILED,
	     "mremap");
}

static void steps(void)
{
	static void (*const kinds[])(void) = {
		step_map,   step_map,   step_unmap,  step_protect, step_protect,      step_discard,
		step_move,  step_move,  step_resize, step_resize,  step_write,        step_write,
		step_write, step_break, step_fail,   step_remove,  step_other_writer,
	};

	m->ways = roll(1000);
	for (int i = 0; i < STEPS; i++)
		kinds[roll(sizeof(kinds) / sizeof(*kinds))]();
}

static void read_page(size_t i, unsigned char *bytes)
{
	must(pread(m->mem, bytes, PAGE, (off_t)(uintptr_t)at(i)) == PAGE, "/proc/self/mem");
}

static void save_model(void)
{
	for (size_t i = 0; i < PAGES; i++)
		if (m->now[i].value == UNKNOWN)
			read_page(i, m->bytes[i]);
	save();
	memcpy(m->saved, m->now, sizeof(m->now));
}

static size_t find_wrong(size_t i, uint64_t value, const unsigned char *bytes)
{
	size_t at_byte = 0;

	if (value != UNKNOWN)
		return first_wrong(bytes, PAGE, value);
	while (at_byte < PAGE && bytes[at_byte] == m->bytes[i][at_byte])
		at_byte++;
	return at_byte;
}

static void check_page(size_t i, uint64_t value)
{
	const struct page *page = &m->now[i];
	unsigned char bytes[PAGE];
	size_t wrong_at;

	read_page(i, bytes);
	wrong_at = find_wrong(i, value, bytes);
	if (wrong_at != PAGE)
		wrong("page %zu (mapping %u, %u at the checkpoint; value %lu, protection %u): "
		      "byte %zu",
		      i, page->mapping, m->saved[i].mapping, value, page->protection, wrong_at);
	m->now[i].value = value;
}

static void restore_and_check(void)
{
	restore();
	for (size_t i = 0; i < PAGES; i++) {
		const struct page *page = &m->now[i], *saved = &m->saved[i];

		if (page->mapping && saved->mapping == page->mapping)
			check_page(i, saved->value);
		else if (page->mapping && page->value != UNKNOWN)
			check_page(i, page->value);
	}
}

/* The mappings as they are, and the pages without access that hold data. */
static void write_mappings(const char *path)
{
	int maps = open("/proc/self/maps", O_RDONLY),
	    file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t length = 0;
	ssize_t got;

	must(maps >= 0 && file >= 0, path);
	while ((got = read(maps, m->text + length, TEXT_BYTES - length)) > 0)
		length += (size_t)got;
	must(write(file, m->text, length) == (ssize_t)length, path);
	for (size_t i = 0; i < PAGES; i++)
		if (m->now[i].value && m->now[i].value != UNKNOWN && !m->now[i].protection)
			dprintf(file, "data %p\n", (void *)at(i));
	close(file);
	close(maps);
}

static void play(int rounds, bool has_pins)
{
	const char *path = getenv("FUZZ_MAPS");
	int direct;

	m = map_untracked(sizeof(*m));
	m->has_pins = has_pins;
	direct = open_file(1, O_DIRECT);
	m->has_direct = direct >= 0;
	if (m->has_direct)
		close(direct);
	m->mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	m->window = map_at(NULL, (WINDOW + 2) * PAGE, PROT_NONE, MAP_PRIVATE);
	m->window += PAGE;
	must(!munmap(m->window, WINDOW * PAGE), "munmap");
	m->heap = sbrk(0);
	m->heap += -(uintptr_t)m->heap % PAGE;
	for (int round = 0; round < rounds; round++) {
		steps();
		save_model();
		steps();
		restore_and_check();
		steps();
		restore_and_check();
	}
	steps();
	save();
	say("%lu random numbers, %u mappings\n", m->random, m->mappings);
	if (path)
		write_mappings(path);
}

static void play_steps(void)
{
	play(ROUNDS, false);
}

static void play_few_steps(void)
{
	play(FEW_ROUNDS, false);
}

static void play_pinned_steps(void)
{
	play(ROUNDS, true);
}

/* ---- compare ---- */

static bool is_anonymous(const struct mapping *mapping)
{
	return !strcmp(mapping->path, "[heap]") || !strcmp(mapping->path, "/dev/zero (deleted)") ||
	       (!mapping->inode && (!*mapping->path || !strncmp(mapping->path, "[anon:", 6)));
}

/* A file's own writable memory: a bss begins in there. */
static bool is_optional(const struct mapping *mapping)
{
	return mapping->inode && mapping->flags & MAPPING_WRITE &&
	       !(mapping->flags & MAPPING_SHARED);
}

/* Adds the range of each line that begins with word: a start and an end, or the start of a page. */
static void read_lines(const char *path, const char *word, struct intervals *ret)
{
	FILE *file = fopen(path, "r");
	size_t length = strlen(word);
	char line[512], *end;

	must(file != NULL, path);
	while (fgets(line, sizeof(line), file)) {
		uint64_t start, stop;

		if (strncmp(line, word, length) != 0)
			continue;
		start = strtoul(line + length, &end, 16);
		stop = strtoul(end, NULL, 16);
		if (stop <= start) /* "data ADDRESS", "slab ADDRESS STATE" */
			stop = start + PAGE;
		must(!intervals__add(ret, start & ~(PAGE - 1), stop), "intervals");
	}
	fclose(file);
}

static void show(const struct intervals *set, const char *what)
{
	for (size_t i = 0; i < set->count; i++)
		say("%s: %#lx-%#lx\n", what, set->items[i].start, set->items[i].end);
}

static int compare(const char *map_log, const char *maps)
{
	struct intervals tracked = {0}, wanted = {0}, optional = {0}, missing = {0}, more = {0},
			 extra = {0};
	struct mappings mappings = {0};
	char *text = map_untracked(TEXT_BYTES), *end;
	int fd = open(maps, O_RDONLY);

	must(fd >= 0 && read(fd, text, TEXT_BYTES - 1) > 0, maps);
	end = strstr(text, "\ndata ");
	if (end)
		end[1] = '\0';
	must(!procfs__parse_mappings(text, &mappings), maps);
	for (size_t i = 0; i < mappings.count; i++) {
		const struct mapping *mapping = &mappings.items[i];
		bool open_now = mapping->flags & (MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC);

		struct intervals *set = is_optional(mapping) ? &optional : NULL;

		if (is_anonymous(mapping))
			set = open_now ? &wanted : &optional;
		if (set)
			must(!intervals__add(set, mapping->start, mapping->end), "intervals");
	}
	read_lines(maps, "data ", &wanted);
	read_lines(map_log, "range ", &tracked);
	read_lines(map_log, "slab ", &tracked); /* of memory without access only what holds data */
	must(!intervals__subtract(&wanted, &tracked, &missing) &&
		     !intervals__subtract(&tracked, &wanted, &more) &&
		     !intervals__subtract(&more, &optional, &extra),
	     "intervals");
	show(&missing, "not tracked");
	show(&extra, "tracked, but not there");
	say("compare: %zu ranges, %zu missing, %zu extra\n", tracked.count, missing.count,
	    extra.count);
	return missing.count || extra.count || !wanted.count;
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {{"steps", play_steps},
						    {"few-steps", play_few_steps},
						    {"pinned-steps", play_pinned_steps},
						    {NULL, NULL}};

	if (argc == 4 && !strcmp(argv[1], "compare"))
		return compare(argv[2], argv[3]);
	return play_workloads(workloads, argc, argv);
}
