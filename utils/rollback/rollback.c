/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rollback.h: the life of a checkpoint: taking it, going back to it, giving it up.
 */
#include "rollback/rollback.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"
#include "rollback/checkpoint.h"
#include "rollback/descriptors.h"
#include "rollback/restore_listed.h"
#include "rollback/restore_mappings.h"
#include "rollback/restore_zones.h"
#include "rollback/signals.h"
#include "rollback/threads.h"
#include "rollback/zones.h"

enum {
	MAPPINGS = 1 << 17, /* twice the usual vm.max_map_count */
	TEXT_BYTES = 16 << 20,
	DESCRIPTORS = 1 << 16,
	RSEQ_BYTES = 32,
	ARCH_SHADOW_STACK_STATUS = 0x5005, /* ARCH_SHSTK_STATUS, Linux 6.6 */
	KNOWN_FLAGS = ROLLBACK_CLOSE_NEW | ROLLBACK_OFFSETS | ROLLBACK_FIXED_STATE,
	STACK_BELOW = 128 << 10, /* of the stack in use, which rollback__restore leaves alone */
	STACK_LIMIT = 128 << 20, /* nothing else is mapped so close below its end */
};

/* A hint. Far from all that the kernel places by itself, and from the shadow memory of
 * sanitizers. */
#define OWN_ADDRESS (35ULL << 40)

/* The rseq(2) area of a thread, from its control block on; from glibc 2.35 on. */
#pragma weak __rseq_offset
#pragma weak __rseq_size

/* The innermost checkpoint. The program's memory has it, so going back puts it back too. */
static struct rollback *current;

/* ---- messages ---- */

static void say(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	(void)raw_syscall__call(SYS_write, 2, (uintptr_t)text, length, 0);
}

static void say_number(uint64_t number)
{
	char digits[24];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	say(at);
}

/* Ends the process, for it cannot go back. Says why on stderr; error: -errno or 0. */
static __attribute__((noreturn)) void die(const char *why, long error)
{
	const struct signal_action end = {.handler = 0};
	const long pid = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);

	say("librollback: cannot go back: ");
	say(why);
	if (error < 0) {
		say(" (errno ");
		say_number((uint64_t)-error);
		say(")");
	}
	say("\n");
	(void)signals__set(SIGABRT, &end, NULL);
	signals__set_mask(0);
	for (;;)
		(void)raw_syscall__call(SYS_kill, (uint64_t)pid, SIGABRT, 0, 0);
}

/* ---- memory of its own ---- */

/* How large the lists of a checkpoint are. */
struct sizes {
	uint64_t mappings, pages;
};

/* Is it of a checkpoint? Those are not saved. */
static bool is_own(const struct rollback *outer, const struct mapping *m)
{
	for (; outer; outer = outer->outer)
		if (outer->own.start <= m->start && m->end <= outer->own.end)
			return true;
	return false;
}

/* What the mappings of the process need. */
static int count(int maps, const struct rollback *outer, struct sizes *ret_sizes)
{
	struct mapping_text text = {.room = TEXT_BYTES};
	struct mapping m;
	struct sizes sizes = {0};
	const long mapped =
		raw_syscall__call6(SYS_mmap, 0, TEXT_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (uint64_t)-1, 0);
	const char *at;
	int err;

	if (mapped < 0)
		return (int)mapped;
	text.bytes = bytes__at((uint64_t)mapped);
	at = text.bytes;
	err = mappings__read(maps, &text);
	while (!err && (err = mappings__next(&at, &m)) > 0) {
		sizes.mappings++;
		sizes.pages += is_own(outer, &m) ? 0 : zones__pages_of(&m);
		err = 0;
	}
	(void)raw_syscall__call(SYS_munmap, (uint64_t)mapped, TEXT_BYTES, 0, 0);
	if (!err)
		*ret_sizes = sizes;
	return err;
}

/* The parts of a checkpoint's mapping, as distances from its start. */
struct layout {
	uint64_t same_process, checkpoint, list, saved, now, texts[3], zones, descriptors, runs,
		pages, listed, hot, store, end;
};

static uint64_t add(uint64_t *end, uint64_t bytes)
{
	const uint64_t start = *end;

	*end = page__round_up(start + bytes);
	return start;
}

/* One page at each end can never be touched, so no other mapping becomes one with it. The page that
 * is wiped in children comes first, so that the rest is one mapping. */
static void lay_out(const struct sizes *sizes, struct layout *l)
{
	const uint64_t parts =
		sizes->mappings + CHECKPOINT_OUTER + CHECKPOINT_EXCLUDED + 1; /* see zones.h */
	const uint64_t dense = sizes->pages * PAGE_BYTES / ZONE_DENSE_BYTES;
	uint64_t end = PAGE_BYTES;

	l->same_process = add(&end, PAGE_BYTES);
	l->checkpoint = add(&end, sizeof(struct rollback));
	l->list = add(&end, sizeof(struct shared_list));
	l->saved = add(&end, MAPPINGS * sizeof(struct mapping));
	l->now = add(&end, MAPPINGS * sizeof(struct mapping));
	for (int i = 0; i < 3; i++)
		l->texts[i] = add(&end, TEXT_BYTES);
	l->zones = add(&end, (parts + 2 * dense) * sizeof(struct zone));
	l->descriptors = add(&end, DESCRIPTORS * sizeof(struct descriptor));
	l->runs = add(&end, (sizes->pages + 2 * sizes->mappings) * sizeof(struct range));
	l->pages = add(&end, sizes->pages * sizeof(struct page));
	l->listed = add(&end, SHARED_LIST_PAGES * sizeof(uint64_t));
	l->hot = add(&end, sizes->pages * sizeof(struct hot_page));
	l->store = add(&end, (sizes->pages * PAGE_BYTES) + parts * ZONE_DENSE_BYTES);
	l->end = end + PAGE_BYTES;
}

static struct rollback *map_own(const struct layout *l)
{
	const long mapped =
		raw_syscall__call6(SYS_mmap, OWN_ADDRESS, l->end, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (uint64_t)-1, 0);
	const uint64_t start = (uint64_t)mapped;
	struct rollback *r = bytes__at(start + l->checkpoint);

	if (mapped < 0)
		return NULL;
	/* After mlockall(2) the kernel would fill all of it. */
	(void)raw_syscall__call(SYS_munlock, start, l->end, 0, 0);
	if (raw_syscall__call(SYS_mprotect, start + PAGE_BYTES, l->end - 2 * PAGE_BYTES,
			      PROT_READ | PROT_WRITE, 0) < 0) {
		(void)raw_syscall__call(SYS_munmap, start, l->end, 0, 0);
		return NULL;
	}
	r->own = (struct range){start, start + l->end};
	r->saved.items = bytes__at(start + l->saved);
	r->now.items = bytes__at(start + l->now);
	r->saved.room = r->now.room = MAPPINGS;
	r->saved_text.bytes = bytes__at(start + l->texts[0]);
	r->expected_text.bytes = bytes__at(start + l->texts[1]);
	r->now_text.bytes = bytes__at(start + l->texts[2]);
	r->saved_text.room = r->expected_text.room = r->now_text.room = TEXT_BYTES;
	r->zones = bytes__at(start + l->zones);
	r->descriptors = bytes__at(start + l->descriptors);
	r->descriptor_room = DESCRIPTORS;
	r->runs = bytes__at(start + l->runs);
	r->listed = bytes__at(start + l->listed);
	r->hot = bytes__at(start + l->hot);
	return r;
}

static void unmap_own(struct rollback *r)
{
	(void)raw_syscall__call(SYS_munmap, r->own.start, r->own.end - r->own.start, 0, 0);
}

/* Gives up the checkpoints that were taken inside one. */
static void free_inner(struct rollback *r)
{
	while (r->inner) {
		struct rollback *inner = r->inner;

		r->inner = inner->inner;
		unmap_own(inner);
	}
	current = r;
}

/* ---- taking one ---- */

static bool has_shadow_stack(void)
{
	uint64_t features = 0;

	return raw_syscall__call(SYS_arch_prctl, ARCH_SHADOW_STACK_STATUS, (uintptr_t)&features, 0,
				 0) == 0 &&
	       (features & 1);
}

/* The kernel writes these by itself. The number of the thread is another one in a child of fork(2),
 * which goes back with its own. */
static void exclude_kernels(struct rollback *r)
{
	uint64_t tid_address = 0;

	if (&__rseq_size && &__rseq_offset && __rseq_size > 0)
		r->excluded[r->excluded_count++] =
			(struct range){r->thread + (uint64_t)__rseq_offset,
				       r->thread + (uint64_t)__rseq_offset + RSEQ_BYTES};
	if (raw_syscall__call(SYS_prctl, PR_GET_TID_ADDRESS, (uintptr_t)&tid_address, 0, 0) == 0 &&
	    tid_address)
		r->excluded[r->excluded_count++] =
			(struct range){tid_address, tid_address + sizeof(int32_t)};
}

/* Excludes what is not in the ranges. Returns 0 or -EINVAL. */
static int exclude_around(struct rollback *r, const struct rollback_options *options)
{
	uint64_t at = 0;

	if (options->range_count > ROLLBACK_RANGES || (options->range_count && !options->ranges))
		return -EINVAL;
	for (size_t i = 0; i < options->range_count; i++) {
		const uint64_t start = (uintptr_t)options->ranges[i].start;
		const uint64_t end = start + options->ranges[i].bytes;

		if (start < at || end <= start || page__start(start) != start ||
		    page__start(end) != end)
			return -EINVAL;
		r->excluded[r->excluded_count++] = (struct range){at, start};
		at = end;
	}
	r->has_ranges = options->range_count > 0;
	if (r->has_ranges)
		r->excluded[r->excluded_count++] = (struct range){at, UINT64_MAX - PAGE_BYTES};
	return 0;
}

static void look_at_brk(struct rollback *r)
{
	uint64_t at = page__round_up(r->brk), end;

	r->keeps_brk = !zones__next_part(r, true, &at, at + PAGE_BYTES, &end);
}

static int open_files(struct rollback *r, const struct rollback_options *options,
		      const struct layout *l)
{
	r->files = r->outer ? r->outer->files : &r->own_files;
	if (r->outer)
		return options->way == ROLLBACK_BEST || options->way == r->outer->stats.way
			       ? 0
			       : -EOPNOTSUPP;
	return own_files__open(r->files, options->way, bytes__at(r->own.start + l->same_process),
			       r->own.start + l->list);
}

/* Saves all. The program's variables have their last values by now. */
static int save(struct rollback *r, const struct layout *l)
{
	int err = mappings__read(r->files->maps.fd, &r->saved_text);

	if (err)
		return err;
	err = mappings__parse(&r->saved_text, &r->saved);
	if (err)
		return err;
	err = descriptors__save(r);
	if (err)
		return err;
	signals__save(r);
	(void)own_files__look_at_list(r->files);
	err = zones__save(r, r->own.start + l->store, bytes__at(r->own.start + l->pages));
	if (err)
		return err;
	exclude_kernels(r);
	r->excluded_own = r->excluded_count;
	for (size_t i = 0; i < r->excluded_count; i++)
		zones__exclude(r, &r->excluded[i]);
	zones__arm(r);
	err = restore_mappings__expect(r);
	look_at_brk(r);
	listed_pages__settle(&r->files->listed);
	return err;
}

static int depth_of(const struct rollback *r)
{
	int depth = 0;

	for (; r; r = r->outer)
		depth++;
	return depth;
}

/* Makes an empty checkpoint. */
static int create(struct rollback *outer, const struct rollback_options *options,
		  struct layout *ret_layout, struct rollback **ret)
{
	struct sizes sizes = {0};
	struct rollback *r;
	long maps, threads;
	int err;

	maps = raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD, (uintptr_t) "/proc/self/maps",
				 O_RDONLY | O_CLOEXEC, 0);
	if (maps < 0)
		return (int)maps;
	err = count((int)maps, outer, &sizes);
	(void)raw_syscall__call(SYS_close, (uint64_t)maps, 0, 0, 0);
	if (err)
		return err;
	lay_out(&sizes, ret_layout);
	r = map_own(ret_layout);
	if (!r)
		return -ENOMEM;
	r->outer = outer;
	r->flags = options->flags;
	err = exclude_around(r, options);
	if (err)
		goto out;
	err = open_files(r, options, ret_layout);
	if (err)
		goto out;
	threads = own_files__check(r->files);
	if (threads != 1) {
		err = threads < 0 ? (int)threads : -EBUSY;
		if (!outer)
			own_files__close(r->files);
	}
out:
	if (err)
		unmap_own(r);
	else
		*ret = r;
	return err;
}

/* rollback__take with the registers of its caller (take.c). */
__attribute__((visibility("hidden"))) int
rollback__take_with(struct rollback **ret_rollback, const struct rollback_options *options,
		    const struct registers *registers);

int rollback__take_with(struct rollback **ret_rollback, const struct rollback_options *options,
			const struct registers *registers)
{
	static const struct rollback_options usual;
	struct rollback *const outer = current, *const before = *ret_rollback;
	struct layout layout = {0};
	struct rollback *r = NULL;
	uint64_t mask;
	int err;

	if (!options)
		options = &usual;
	if ((options->flags & ~(unsigned int)KNOWN_FLAGS) || options->way > ROLLBACK_LIST)
		return -EINVAL;
	if (has_shadow_stack())
		return -EOPNOTSUPP;
	if (depth_of(outer) >= CHECKPOINT_OUTER)
		return -E2BIG;
	mask = signals__block();
	err = create(outer, options, &layout, &r);
	if (err)
		goto out;
	r->registers = *registers;
	r->signal_mask = mask;
	r->thread = threads__self();
	r->stats.way = own_files__way(r->files);
	*ret_rollback = current = r;
	err = save(r, &layout);
	if (!err) {
		if (outer)
			outer->inner = r;
		goto out;
	}
	*ret_rollback = before;
	current = outer;
	if (!outer)
		own_files__close(r->files);
	unmap_own(r);
out:
	signals__set_mask(mask);
	return err;
}

/* ---- going back ---- */

/* Fetches the list of written pages, if it has all. Returns whether mappings may have changed:
 * system calls that change them leave signs, but a stack grows without one. */
static bool look_at_list(struct rollback *r)
{
	r->is_listed = own_files__look_at_list(r->files) && r->generation == r->files->generation &&
		       !listed_pages__read(&r->files->listed, r->listed, &r->listed_count);
	return !r->is_listed ||
	       (!(r->flags & ROLLBACK_FIXED_MAPPINGS) && restore_listed__has_stranger(r));
}

/* Puts back memory and mappings. What had been closed by the program is opened anew once. */
static int restore_memory(struct rollback *r, const char **ret_why)
{
	int err;

	r->stats.last_copied_pages = 0;
	for (int attempt = 0; attempt < 2; attempt++) {
		err = look_at_list(r) ? restore_mappings__restore(r, ret_why) : 0;
		if (!err) {
			*ret_why = "what was written cannot be found";
			err = restore_zones(r);
		}
		if (!err || own_files__renew(r->files))
			break;
	}
	listed_pages__settle(&r->files->listed);
	r->stats.listed += r->is_listed;
	r->stats.way = own_files__way(r->files);
	return err;
}

/* Returns the number of threads, or -errno. */
static long check_process(struct rollback *r)
{
	if (checkpoint__is_fixed(r->flags) && *r->files->same_process)
		return 1;
	return own_files__check(r->files);
}

/* With fixed state, signals need not be blocked if none has a handler. */
static bool blocks_signals(const struct rollback *r)
{
	return r->has_handlers || !checkpoint__is_fixed(r->flags);
}

static long go_back(void *argument)
{
	struct rollback *r = argument;
	const char *why = "its files cannot be opened";
	long err;

	r->stats.rollbacks++;
	free_inner(r);
	err = check_process(r);
	if (err > 1) {
		why = "a thread does not end";
		err = threads__end_others(r);
	}
	if (err >= 0)
		err = restore_memory(r, &why);
	if (err < 0)
		die(why, err);
	signals__restore(r);
	descriptors__restore(r);
	registers__resume(&r->registers, blocks_signals(r) ? &r->signal_mask : NULL);
}

void rollback__back(struct rollback *r)
{
	if (blocks_signals(r))
		(void)signals__block();
	if (r->has_ranges)
		die("the checkpoint has ranges, and no stack", 0);
	if (r->thread != threads__self())
		die("only the thread that has taken it can", 0);
	(void)registers__call_on(r->stack + sizeof(r->stack), go_back, r);
	__builtin_unreachable();
}

static long restore_all(void *argument)
{
	struct rollback *r = argument;
	const char *why = "its files cannot be opened";
	long err = check_process(r);

	if (err > 1)
		return -EBUSY;
	r->stats.rollbacks++;
	free_inner(r);
	if (err >= 0)
		err = restore_memory(r, &why);
	if (err < 0)
		die(why, err);
	return 0;
}

static const struct mapping *saved_mapping(const struct rollback *r, uint64_t address)
{
	for (size_t i = 0; i < r->saved.count; i++)
		if (r->saved.items[i].start <= address && address < r->saved.items[i].end)
			return &r->saved.items[i];
	return NULL;
}

/* Keeps the stack of the caller, who is here. Returns 0 or -EPERM. */
static int keep_stack(struct rollback *r, uint64_t here)
{
	const struct mapping *stack;

	if (r->has_ranges)
		return zones__have(r, &(struct range){here, here + 1}) ? -EPERM : 0;
	stack = saved_mapping(r, r->registers.rsp);
	if (!stack || !bytes__begins(stack->name, "[stack]") || here >= stack->end ||
	    here + STACK_LIMIT < stack->end)
		return -EPERM;
	r->kept_stack = (struct range){page__start(here) - STACK_BELOW, stack->end};
	return 0;
}

int rollback__restore(struct rollback *r)
{
	const bool blocks = blocks_signals(r);
	uint64_t mask = 0;
	int err;

	if (r->thread != threads__self() || keep_stack(r, (uintptr_t)__builtin_frame_address(0)))
		return -EPERM;
	if (blocks)
		mask = signals__block();
	err = (int)registers__call_on(r->stack + sizeof(r->stack), restore_all, r);
	r->kept_stack = (struct range){0, 0};
	if (blocks)
		signals__set_mask(mask);
	return err;
}

/* ---- the rest ---- */

int rollback__exclude(struct rollback *r, void *start, size_t bytes)
{
	const struct range range = {(uintptr_t)start, (uintptr_t)start + bytes};

	if (range.end < range.start)
		return -EINVAL;
	if (r->excluded_count == r->excluded_own + ROLLBACK_EXCLUDED)
		return -ENOSPC;
	r->excluded[r->excluded_count++] = range;
	zones__exclude(r, &range);
	look_at_brk(r);
	return 0;
}

void rollback__free(struct rollback *r)
{
	if (!r)
		return;
	free_inner(r);
	current = r->outer;
	if (r->outer)
		r->outer->inner = NULL;
	else
		own_files__close(r->files);
	unmap_own(r);
}

const struct rollback_stats *rollback__stats(const struct rollback *r)
{
	return &r->stats;
}
