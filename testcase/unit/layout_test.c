/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of layout: lists of mappings as /proc/PID/maps has them, before and now, and what has to be
 * done about the difference.
 */
#include <stdbool.h>
#include <string.h>
#include "attach/layout.h"
#include "target/reason.h"
#include "tap.h"

#define K "000000"
static const char before_text[] = "100" K "-101" K " r-xp 00000000 fd:01 77 /lib/one.so\n"
				  "101" K "-102" K " rw-p 01000000 fd:01 77 /lib/one.so\n"
				  "200" K "-203" K " rw-p 00000000 00:00 0 [heap]\n"
				  "300" K "-308" K " rw-p 00000000 00:00 0 \n"
				  "400" K "-401" K " rw-s 00000000 00:01 99 /dev/zero (deleted)\n"
				  "7f0" K "-7f1" K " r-xp 00000000 00:00 0 [vdso]\n";

static struct mappings before;
static struct layout_change change;
static const struct mapping *gone;

/* Compares with a list that differs in a text. Returns as layout__compare does. */
static int compare(const char *from, const char *to)
{
	char text[sizeof(before_text) + 512], *found;
	struct mappings now = {0};
	int err;

	memcpy(text, before_text, sizeof(before_text));
	found = strstr(text, from);
	memmove(found + strlen(to), found + strlen(from), strlen(found + strlen(from)) + 1);
	memcpy(found, to, strlen(to));
	err = procfs__parse_mappings(text, &now);
	if (!err)
		err = layout__compare(&before, &now, &change, &gone);
	procfs__free_mappings(&now);
	return err;
}

static bool is_part(const struct layout_parts *parts, size_t i, uint64_t start, uint64_t end)
{
	return i < parts->count && parts->items[i].start == start << 24 &&
	       parts->items[i].end == end << 24 && parts->items[i].mapping >= before.items &&
	       parts->items[i].mapping < before.items + before.count;
}

static bool is_unmapped(size_t i, uint64_t start, uint64_t end)
{
	return i < change.unmap.count && change.unmap.items[i].start == start << 24 &&
	       change.unmap.items[i].end == end << 24;
}

static size_t count(void)
{
	return change.unmap.count + change.map.count + change.protect.count;
}

static void test_changes(void)
{
	tap__ok(!compare("[vdso]", "[vdso]") && layout__is_same(&change), "the same list");
	tap__ok(!compare("400" K "-",
			 "3f0" K "-3f1" K " rw-s 00000000 00:01 7 /memfd:x\n400" K "-") &&
			count() == 1 && is_unmapped(0, 0x3f0, 0x3f1),
		"what is new is unmapped, shared memory too");
	tap__ok(!compare("300" K "-308", "300" K "-30a") && count() == 1 &&
			is_unmapped(0, 0x308, 0x30a),
		"likewise what has grown");
	tap__ok(!compare("300" K "-308" K " rw-p 00000000 00:00 0 \n", "") && count() == 1 &&
			is_part(&change.map, 0, 0x300, 0x308),
		"what is gone is mapped");
	tap__ok(!compare("300" K "-308" K " rw-p", "302" K "-304" K " r--p") && count() == 3 &&
			is_part(&change.map, 0, 0x300, 0x302) &&
			is_part(&change.map, 1, 0x304, 0x308) &&
			is_part(&change.protect, 0, 0x302, 0x304),
		"a rest with other rights");
	tap__ok(!compare("101" K "-102" K " rw-p 01000000", "101" K "-102" K " rw-p 02000000") &&
			count() == 2 && is_unmapped(0, 0x101, 0x102) &&
			is_part(&change.map, 0, 0x101, 0x102),
		"another part of the file is unmapped, and mapped again");
	tap__ok(!compare("100" K "-101" K " r-xp 00000000 fd:01 77",
			 "100" K "-101" K " r-xp 00000000 fd:01 78") &&
			count() == 2,
		"likewise another file");
	tap__ok(!compare("300" K "-308" K " rw-p 00000000 00:00 0 \n",
			 "300" K "-304" K " rw-p 00000000 00:00 0 \n304" K "-308" K
			 " rw-p 00000000 00:00 0 [anon:x]\n") &&
			count() == 2 && is_unmapped(0, 0x304, 0x308) &&
			is_part(&change.map, 0, 0x304, 0x308),
		"of two mappings that were one, one is kept");
	tap__ok(!compare("300" K "-308" K " rw-p 00000000 00:00 0 \n",
			 "300" K "-302" K " rw-p 00000000 00:00 0 \n303" K "-309" K
			 " r--p 00000000 00:00 0 \n") &&
			change.unmap.count == 2 && is_unmapped(0, 0x300, 0x302) &&
			is_unmapped(1, 0x308, 0x309) && change.map.count == 2 &&
			is_part(&change.map, 0, 0x300, 0x302) &&
			is_part(&change.map, 1, 0x302, 0x303) && change.protect.count == 1,
		"that is the larger one, whatever its rights");
	tap__ok(!compare("200" K "-203", "200" K "-204") && change.heap_end == 0x203ULL << 24 &&
			change.heap_end_now == 0x204ULL << 24,
		"where the heap ends, and has ended");
	tap__ok(!compare("7f0" K "-7f1",
			 "7ee" K "-7ef" K " r--p 00000000 00:00 0 [uprobes]\n7f0" K "-7f1") &&
			layout__is_same(&change),
		"what the kernel maps for itself is no change");
}

static void test_refusals(void)
{
	tap__ok(compare("400" K "-401" K " rw-s 00000000 00:01 99 /dev/zero (deleted)\n", "") ==
				-REASON_MEMORY_GONE &&
			gone == &before.items[4],
		"shared memory cannot be made again");
	tap__ok(compare("00:01 99", "00:01 98") == -REASON_MEMORY_GONE && gone == &before.items[4],
		"likewise if other shared memory is there");
	tap__ok(compare("7f0" K "-7f1", "7e0" K "-7e1") == -REASON_MEMORY_GONE &&
			gone == &before.items[5],
		"the vdso cannot be moved");
}

static void test_kinds(void)
{
	static const struct {
		const char *line;
		enum layout_kind kind;
	} cases[] = {
		{"rw-p 00000000 00:00 0", LAYOUT_ANONYMOUS},
		{"---p 00000000 00:00 0", LAYOUT_ANONYMOUS},
		{"rw-p 00000000 00:00 0 [stack]", LAYOUT_ANONYMOUS},
		{"rw-p 00000000 00:00 0 [anon:arena]", LAYOUT_ANONYMOUS},
		{"rw-p 00000000 fd:01 7 /bin/x", LAYOUT_FILE},
		{"rw-p 00000000 00:06 5 /dev/zero", LAYOUT_FILE},
		{"rw-p 00000000 00:19 5 /dev/shm/x", LAYOUT_FILE},
		{"rw-p 00000000 00:06 5 /dev/mem", LAYOUT_DEVICE},
		{"rw-s 00000000 fd:01 7 /bin/x", LAYOUT_SHARED},
		{"r--p 00000000 00:00 0 [vvar]", LAYOUT_KERNEL},
		{"r--p 00000000 00:00 0 [vvar_vclock]", LAYOUT_KERNEL},
		{"--xp 00000000 00:00 0 [vsyscall]", LAYOUT_KERNEL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[128];
		struct mappings one = {0};

		(void)snprintf(text, sizeof(text), "1000-2000 %s\n", cases[i].line);
		tap__ok(!procfs__parse_mappings(text, &one) &&
				layout__kind(&one.items[0]) == cases[i].kind,
			"the kind of %s", cases[i].line);
		procfs__free_mappings(&one);
	}
}

static void test_covers(void)
{
	static const char *const others[] = {
		"1000-3000 rw-p 00000000 00:00 0\n", "1000-2000 rw-p 00000000 00:00 0\n",
		"1000-2000 rw-p 00000000 00:00 0\n2000-3000 r--p 00000000 00:00 0\n",
		"1000-4000 rw-p 00000000 00:00 0\n"};
	struct mappings split = {0};
	int covered = 0;

	if (procfs__parse_mappings("1000-2000 rw-p 00000000 00:00 0\n"
				   "2000-3000 rw-p 00000000 00:00 0 [anon:x]\n",
				   &split))
		return;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct mappings now = {0};

		if (procfs__parse_mappings(others[i], &now))
			return;
		covered |= layout__covers(&split, &now) << i;
		procfs__free_mappings(&now);
	}
	tap__equal(covered, 1, "the same addresses with the same rights, wherever they are split");
	procfs__free_mappings(&split);
}

static void test_same(void)
{
	struct mappings now = {0};
	struct intervals same = {0};

	if (procfs__parse_mappings("100" K "-101" K " r-xp 00000000 fd:01 77 /lib/one.so\n"
				   "302" K "-309" K " rw-p 00000000 00:00 0 \n",
				   &now) ||
	    layout__same(&before, &now, &same))
		return;
	tap__ok(same.count == 2 && same.items[1].start == 0x302ULL << 24 &&
			same.items[1].end == 0x308ULL << 24,
		"what two lists have in common");
	intervals__clear(&same);
	procfs__free_mappings(&now);
}

int main(void)
{
	tap__plan(28);
	if (procfs__parse_mappings(before_text, &before))
		return 1;
	test_changes();
	test_refusals();
	test_kinds();
	test_same();
	test_covers();
	layout__clear(&change);
	procfs__free_mappings(&before);
	return tap__done();
}
