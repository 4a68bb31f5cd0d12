/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of regions: kinds of memory from made-up mappings, then this program's own bss, stack and
 * heap, then good and hostile ELF files, mapped as the loader would. ELF headers are read through
 * /proc/PID/map_files, which needs root. Without root those tests are skipped.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options.h"
#include "target/regions.h"
#include "tap.h"

#define PAGE 4096UL
#define ALL  (REGION_MMAP | REGION_HEAP | REGION_BSS | REGION_DATA | REGION_STACK)

extern char edata[], end[]; /* end(3): where data and bss end */

static char in_bss[23 * PAGE]; /* goes on for pages after the data's last one */
static volatile int in_data = 23;
static const struct intervals nothing;

static const char made_up[] =
	"100000-110000 r--p 00001000 08:01 23 /bin/x\n"
	"110000-120000 rw-p 00011000 08:01 23 /bin/x\n"
	"200000-210000 rw-p 00000000 00:00 0 [heap]\n"
	"300000-310000 rw-p 00000000 00:00 0 \n"
	"310000-320000 ---p 00000000 00:00 0 \n"
	"320000-330000 r--p 00000000 00:00 0 [anon:name]\n"
	"330000-340000 --xp 00000000 00:00 0 \n"
	"400000-410000 rw-s 00000000 00:01 99 /dev/zero (deleted)\n"
	"410000-420000 rw-s 00000000 00:01 98 [anon_shmem:name]\n"
	"420000-430000 rw-s 00000000 00:0f 97 /anon_hugepage (deleted)\n"
	"430000-440000 rw-s 00000000 08:01 24 /tmp/file\n"
	"440000-450000 rw-s 00000000 00:01 96 /memfd:name (deleted)\n"
	"450000-460000 rw-s 00000000 00:05 95 /dev/zero\n"
	"500000-510000 rw-p 00001000 08:01 25 /lib/libc.so.6\n"
	"520000-530000 rw-p 00001000 08:01 26 /lib64/ld-linux-x86-64.so.2\n"
	"540000-550000 rw-p 00001000 08:01 27 /lib/libpthread-2.31.so\n"
	"560000-570000 rw-p 00001000 08:01 28 /lib/ld-musl-x86_64.so.1\n"
	"700000-710000 rw-p 00000000 00:00 0 [stack]\n"
	"720000-724000 r--p 00000000 00:00 0 [vvar]\n"
	"724000-726000 r-xp 00000000 00:00 0 [vdso]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

/* Does the set hold exactly these, given as start, end, start, end, ...? */
static int holds(const struct intervals *set, size_t count, const uint64_t *edges)
{
	int same = set->count == count;

	for (size_t i = 0; same && i < count; i++)
		same = set->items[i].start == edges[2 * i] && set->items[i].end == edges[2 * i + 1];
	for (size_t i = 0; !same && i < set->count; i++)
		tap__note("[%" PRIx64 ", %" PRIx64 ")", set->items[i].start, set->items[i].end);
	return same;
}

#define HOLDS(set, ...)                                                                            \
	holds(set, sizeof((uint64_t[]){__VA_ARGS__}) / (2 * sizeof(uint64_t)),                     \
	      (uint64_t[]){__VA_ARGS__})

/* Finds the wanted part of the made-up mappings. */
static int find_made_up(uint32_t mask, const struct intervals *tracked, struct intervals *ret)
{
	struct mappings mappings = {0};
	struct regions *regions = NULL;
	int err = regions__create(mask, &regions);

	if (err)
		goto out;
	err = procfs__parse_mappings(made_up, &mappings);
	if (err)
		goto out;
	err = regions__wanted(regions, getpid(), &mappings, tracked, ret, NULL);
out:
	procfs__free_mappings(&mappings);
	regions__free(regions);
	return err;
}

static void test_made_up(void)
{
	struct intervals set = {0}, tracked = {0};

	(void)intervals__add(&set, 1, 2);
	tap__ok(find_made_up(0, &nothing, &set) == 0 && set.count == 0,
		"no region: nothing; what the set held is dropped");
	tap__ok(find_made_up(REGION_HEAP, &nothing, &set) == 0 &&
			HOLDS(&set, 0x200000, 0x210000, 0x500000, 0x510000, 0x520000, 0x530000,
			      0x540000, 0x550000, 0x560000, 0x570000),
		"heap, and what the C library and the dynamic linker keep");
	tap__ok(find_made_up(REGION_STACK, &nothing, &set) == 0 && HOLDS(&set, 0x700000, 0x710000),
		"stack");
	tap__ok(find_made_up(REGION_DATA, &nothing, &set) == 0 &&
			HOLDS(&set, 0x110000, 0x120000, 0x500000, 0x510000, 0x520000, 0x530000,
			      0x540000, 0x550000, 0x560000, 0x570000),
		"data: private and writable, of a file");
	tap__ok(find_made_up(REGION_BSS, &nothing, &set) == 0 && set.count == 0,
		"bss: none without an ELF file");
	tap__ok(find_made_up(REGION_MMAP, &nothing, &set) == 0 &&
			HOLDS(&set, 0x300000, 0x310000, 0x320000, 0x340000, 0x400000, 0x430000),
		"mmap: anonymous, private or shared; no mere reservation, no file, no memfd");
	tap__ok(find_made_up(ALL, &nothing, &set) == 0 &&
			HOLDS(&set, 0x110000, 0x120000, 0x200000, 0x210000, 0x300000, 0x310000,
			      0x320000, 0x340000, 0x400000, 0x430000, 0x500000, 0x510000, 0x520000,
			      0x530000, 0x540000, 0x550000, 0x560000, 0x570000, 0x700000, 0x710000),
		"all of them");
	(void)intervals__add(&tracked, 0x308000, 0x312000);
	(void)intervals__add(&tracked, 0x31f000, 0x320000);
	(void)intervals__add(&tracked, 0x500000, 0x600000);
	tap__ok(find_made_up(REGION_MMAP, &tracked, &set) == 0 &&
			HOLDS(&set, 0x300000, 0x312000, 0x31f000, 0x340000, 0x400000, 0x430000),
		"without any access: only where it is tracked, which may hold data");
	intervals__clear(&set);
	intervals__clear(&tracked);
}

/* ---- this process ---- */

static int find_own(uint32_t mask, struct intervals *ret)
{
	struct mappings mappings = {0};
	struct regions *regions = NULL;
	int err = regions__create(mask, &regions);

	if (err)
		goto out;
	err = procfs__mappings(0, &mappings);
	if (err)
		goto out;
	err = regions__wanted(regions, getpid(), &mappings, &nothing, ret, NULL);
out:
	procfs__free_mappings(&mappings);
	regions__free(regions);
	return err;
}

static int covers(const struct intervals *set, const volatile void *start, size_t bytes)
{
	const struct interval *found = intervals__find(set, (uintptr_t)start);

	return found && (uintptr_t)start + bytes <= found->end;
}

static void test_own(void)
{
	struct intervals set = {0};
	int on_stack = 0;
	char *area =
		mmap(NULL, 23 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	in_bss[PAGE] = (char)in_data;
	tap__ok(find_own(REGION_MMAP, &set) == 0 && area != MAP_FAILED &&
			covers(&set, area, 23 * PAGE) && !covers(&set, &in_data, sizeof(in_data)),
		"own mmap");
	tap__ok(find_own(REGION_STACK, &set) == 0 && !covers(&set, area, 1) && set.count <= 1,
		"own stack");
	tap__ok(find_own(REGION_DATA, &set) == 0 && covers(&set, &in_data, sizeof(in_data)) &&
			!covers(&set, area, 1),
		"own data");
	tap__ok(find_own(REGION_HEAP, &set) == 0 && !covers(&set, area, 1) &&
			!covers(&set, in_bss, 1) && !covers(&set, &on_stack, sizeof(on_stack)),
		"own heap");
	intervals__clear(&set);
	(void)munmap(area, 23 * PAGE);
}

static void test_own_bss(void)
{
	const uint64_t start = (uintptr_t)edata, stop = ((uintptr_t)end + PAGE - 1) & ~(PAGE - 1);
	const struct interval *found;
	struct intervals set = {0};

	tap__equal(find_own(REGION_BSS, &set), 0, "own bss");
	found = intervals__find(&set, (uintptr_t)in_bss);
	tap__ok(found && found->start == start, "it begins where the data ends, to the byte");
	tap__ok(found && found->end == stop, "and ends with a page");
	tap__ok(covers(&set, in_bss, sizeof(in_bss)) && !covers(&set, made_up, 1),
		"a static array is in it, a constant is not");
	tap__ok(!covers(&set, &in_data, 1) && !covers(&set, &start, 1),
		"neither are data or stack");
	tap__ok(find_own(REGION_MMAP | REGION_HEAP | REGION_STACK, &set) == 0 &&
			!intervals__find(&set, start) && !covers(&set, in_bss + 12 * PAGE, 1),
		"without bss nothing of it is wanted, anonymous or not");
	found = find_own(REGION_BSS | REGION_DATA, &set) == 0 ? intervals__find(&set, start) : NULL;
	tap__ok(found && found->start < start && found->end >= stop, "data and bss are one");
	intervals__clear(&set);
}

/* ---- ELF files ---- */

enum { DATA_BYTES = 2301, BSS_BYTES = 2 * 4096 };

/* Two pages of file, code and data. The bss follows in memory. */
static void fill_elf(unsigned char *file)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)file;
	Elf64_Phdr *segments = (Elf64_Phdr *)(void *)(header + 1);

	memset(file, 0, 2 * PAGE);
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_ident[EI_VERSION] = EV_CURRENT;
	header->e_type = ET_DYN;
	header->e_machine = EM_X86_64;
	header->e_version = EV_CURRENT;
	header->e_phoff = sizeof(*header);
	header->e_ehsize = sizeof(*header);
	header->e_phentsize = sizeof(*segments);
	header->e_phnum = 2;
	segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				   .p_flags = PF_R | PF_X,
				   .p_vaddr = 0x10000,
				   .p_filesz = PAGE,
				   .p_memsz = PAGE,
				   .p_align = PAGE};
	segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				   .p_flags = PF_R | PF_W,
				   .p_offset = PAGE,
				   .p_vaddr = 0x10000 + PAGE,
				   .p_filesz = DATA_BYTES,
				   .p_memsz = DATA_BYTES + BSS_BYTES,
				   .p_align = PAGE};
}

/* Maps the file at area as the loader would: two pages of the file, two of memory. */
static int map_elf(char *area, const unsigned char *file, size_t bytes)
{
	int fd = memfd_create("regions_test", MFD_CLOEXEC), failed;

	failed = fd < 0 || write(fd, file, bytes) != (ssize_t)bytes ||
		 ftruncate(fd, 2 * PAGE) != 0 ||
		 mmap(area, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) != area ||
		 mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
		      PAGE) != area + PAGE ||
		 mmap(area + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != area + 2 * PAGE;
	if (fd >= 0)
		(void)close(fd);
	return failed ? -1 : 0;
}

/* Finds the bss in [area, area + 4 pages) when the file begins with these bytes. */
static int find_bss(char *area, const unsigned char *file, size_t bytes, struct intervals *ret)
{
	struct intervals here = {0}, all = {0};
	int err = map_elf(area, file, bytes);

	if (err)
		goto out;
	err = find_own(REGION_BSS, &all);
	if (err)
		goto out;
	err = intervals__add(&here, (uintptr_t)area, (uintptr_t)area + 4 * PAGE);
	if (err)
		goto out;
	err = intervals__intersect(&all, &here, ret);
out:
	intervals__clear(&here);
	intervals__clear(&all);
	return err;
}

static void test_elf(char *area)
{
	static unsigned char file[2 * PAGE];
	Elf64_Phdr *data = (Elf64_Phdr *)(void *)(file + sizeof(Elf64_Ehdr)) + 1;
	uint64_t start = (uintptr_t)area + PAGE + DATA_BYTES, stop = (uintptr_t)area + 4 * PAGE;
	struct intervals set = {0};

	fill_elf(file);
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && HOLDS(&set, start, stop),
		"a bss over the end of the data and two pages");
	data->p_memsz = DATA_BYTES + 23;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 &&
			HOLDS(&set, start, (uintptr_t)area + 2 * PAGE),
		"one that ends in the same page");
	data->p_memsz = DATA_BYTES;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && set.count == 0, "no bss");
	data->p_memsz = UINT64_MAX - 23;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && set.count <= 1,
		"a length that leads around the end of all addresses");
	data->p_memsz = 0;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && set.count == 0,
		"more in the file than in memory");
	fill_elf(file);
	((Elf64_Ehdr *)(void *)file)->e_phoff = UINT64_MAX - 7;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && set.count == 0,
		"segments beyond the end");
	fill_elf(file);
	file[0] ^= 1;
	tap__ok(find_bss(area, file, sizeof(file), &set) == 0 && set.count == 0, "no ELF file");
	intervals__clear(&set);
}

/* The file is cut off anywhere in its headers, or has one bit flipped there. Nothing crashes or
 * fails. */
static void test_hostile(char *area)
{
	static unsigned char file[2 * PAGE];
	const size_t bytes = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	struct intervals set = {0};
	unsigned int wrong = 0;

	fill_elf(file);
	for (size_t i = 0; i < bytes; i++)
		wrong += find_bss(area, file, i, &set) != 0 || set.count > 1;
	tap__equal(wrong, 0, "cut off anywhere");
	for (size_t i = 0; i < bytes; i++) {
		file[i] ^= (unsigned char)(1U << i % 8);
		wrong += find_bss(area, file, sizeof(file), &set) != 0;
		file[i] ^= (unsigned char)(1U << i % 8);
	}
	tap__equal(wrong, 0, "a bit flipped in each byte");
	intervals__clear(&set);
}

/* One struct regions remembers a file until it is told to forget it. */
static void test_forget(char *area)
{
	static unsigned char file[2 * PAGE];
	struct mappings mappings = {0};
	struct regions *regions = NULL;
	struct intervals set = {0};
	uint64_t bss = (uintptr_t)area + PAGE + DATA_BYTES;

	fill_elf(file);
	if (map_elf(area, file, sizeof(file)) != 0 || regions__create(REGION_BSS, &regions) != 0 ||
	    procfs__mappings(0, &mappings) != 0)
		return;
	tap__ok(regions__wanted(regions, getpid(), &mappings, &nothing, &set, NULL) == 0 &&
			intervals__find(&set, bss),
		"learned");
	regions__forget(regions);
	regions__forget(regions);
	tap__ok(regions__wanted(regions, getpid(), &mappings, &nothing, &set, NULL) == 0 &&
			intervals__find(&set, bss),
		"forgotten and learned again");
	procfs__free_mappings(&mappings);
	(void)munmap(area + 2 * PAGE, 2 * PAGE);
	tap__ok(procfs__mappings(0, &mappings) == 0 &&
			regions__wanted(regions, getpid(), &mappings, &nothing, &set, NULL) == 0 &&
			intervals__find(&set, bss) &&
			!intervals__find(&set, (uintptr_t)area + 2 * PAGE),
		"of a bss that is partly unmapped, only what is left");
	procfs__free_mappings(&mappings);
	intervals__clear(&set);
	regions__free(regions);
}

/* The process is gone before its files are read. There is no bss, and no failure. */
static void test_gone(void)
{
	struct mappings mappings = {0};
	struct regions *regions = NULL;
	struct intervals set = {0};

	if (regions__create(ALL, &regions) != 0 || procfs__mappings(0, &mappings) != 0)
		return;
	tap__ok(regions__wanted(regions, -1, &mappings, &nothing, &set, NULL) == 0 && set.count,
		"a process that is gone meanwhile");
	procfs__free_mappings(&mappings);
	intervals__clear(&set);
	regions__free(regions);
	regions__free(NULL);
}

static bool can_open_mapped_files(char *area)
{
	static unsigned char file[2 * PAGE];
	char path[96];
	int fd;

	if (map_elf(area, file, sizeof(file)) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)area,
		       (unsigned long)area + PAGE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

int main(void)
{
	char *area = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	area += PAGE; /* a page without access on either side */
	tap__plan(32);
	test_made_up();
	test_own();
	test_gone();
	if (can_open_mapped_files(area)) {
		test_own_bss();
		test_elf(area);
		test_hostile(area);
		test_forget(area);
	} else {
		tap__skip(19, "/proc/PID/map_files cannot be opened: %s", strerror(errno));
	}
	return tap__done();
}
