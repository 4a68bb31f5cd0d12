/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of programs that tell the kernel what few programs tell it: by prctl(2), for memory nodes,
 * for core files. What this kernel does not know is left out.
 */
#include "work.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Newer than our headers. */
enum {
	SET_WRITE_XOR_EXECUTE = 65,
	GET_WRITE_XOR_EXECUTE = 66,
	SET_MEMORY_MERGE = 67,
	GET_MEMORY_MERGE = 68,
	CALL_MSEAL = 462,
};

static const int both = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;

static unsigned char *map(size_t pages)
{
	unsigned char *memory = mmap(NULL, pages * PAGE, both, flags, -1, 0);

	must(memory != MAP_FAILED);
	return memory;
}

/* Does a line of /proc/self/smaps, of the mapping that begins at that address, have a flag? */
static bool has_flag(const void *start, const char *flag)
{
	char line[512], begin[32];
	bool is_found = false, has = false;
	FILE *f = fopen("/proc/self/smaps", "re");

	must(f);
	(void)snprintf(begin, sizeof(begin), "%lx-", (unsigned long)(uintptr_t)start);
	while (!has && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmFlags:", 8) != 0)
			is_found = is_found || strncmp(line, begin, strlen(begin)) == 0;
		else if (is_found) {
			has = strstr(line, flag);
			break;
		}
	}
	(void)fclose(f);
	return has;
}

/* ---- prctl(2) ---- */

static void *be_killed_late(void *argument)
{
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0);
	*(volatile int *)argument = 1;
	while (access("finish", F_OK) != 0)
		(void)usleep(10000);
	check(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE);
	return argument;
}

/* Each mapping may be merged, and none may be written and executed. */
static void settle(void)
{
	const bool merges = prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) == 0;
	const bool forbids = prctl(SET_WRITE_XOR_EXECUTE, 1, 0, 0, 0) == 0;
	unsigned char *code = map(1), *mergeable = map(2);
	const bool is_mergeable = madvise(mergeable, PAGE, MADV_MERGEABLE) == 0;
	const int secure =
		SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;
	volatile int is_set = 0;
	bool secures;
	pthread_t id;

	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	secures = prctl(PR_SET_SECUREBITS, secure, 0, 0, 0) == 0; /* with rights alone */
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	must(pthread_create(&id, NULL, be_killed_late, (void *)&is_set) == 0);
	while (!is_set)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	check(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1);
	check(!secures || prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == secure);
	check(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
	check(!merges || prctl(GET_MEMORY_MERGE, 0, 0, 0, 0) == 1);
	check(!is_mergeable || has_flag(mergeable, " mg"));
	check(!forbids || prctl(GET_WRITE_XOR_EXECUTE, 0, 0, 0, 0) == 1);
	check((mprotect(code, PAGE, both | PROT_EXEC) < 0) == forbids);
	check(pthread_join(id, NULL) == 0);
}

/* ---- memory ---- */

static int policy_of(const void *address)
{
	int mode = -1;

	must(syscall(SYS_get_mempolicy, &mode, NULL, 0, address, address ? MPOL_F_ADDR : 0) == 0);
	return mode;
}

static void *allocate_locally(void *argument)
{
	must(syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0) == 0);
	*(volatile int *)argument = 1;
	while (access("finish", F_OK) != 0)
		(void)usleep(10000);
	check(policy_of(NULL) == MPOL_LOCAL);
	return argument;
}

static void policies(void)
{
	const unsigned long first = 1;
	unsigned char *bound = map(3);
	volatile int is_set = 0;
	pthread_t id;

	must(syscall(SYS_set_mempolicy, MPOL_BIND, &first, 64) == 0);
	must(syscall(SYS_mbind, bound + PAGE, PAGE, MPOL_INTERLEAVE, &first, 64, 0) == 0);
	memset(bound, 23, 3 * PAGE);
	must(pthread_create(&id, NULL, allocate_locally, (void *)&is_set) == 0);
	while (!is_set)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	check(policy_of(NULL) == MPOL_BIND && policy_of(bound + PAGE) == MPOL_INTERLEAVE);
	check(policy_of(bound) == MPOL_DEFAULT && policy_of(bound + 2 * PAGE) == MPOL_DEFAULT);
	check(bound[0] == 23 && bound[PAGE] == 23 && bound[3 * PAGE - 1] == 23);
	check(pthread_join(id, NULL) == 0);
}

/* Memory that can only be read for good; memory to come is locked. */
static void sealed(void)
{
	unsigned char *constants = map(3), *later, is_there;
	bool is_sealed;

	memset(constants, 23, 3 * PAGE);
	must(mprotect(constants, 3 * PAGE, PROT_READ) == 0);
	is_sealed = syscall(CALL_MSEAL, constants, 3 * PAGE, 0) == 0;
	must(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0);
	say("ready");
	wait_for_finish();
	check(constants[0] == 23 && constants[3 * PAGE - 1] == 23);
	check((mprotect(constants, PAGE, both) < 0) == is_sealed);
	later = map(2);
	check(has_flag(later, " lo"));
	check(mincore(later, PAGE, &is_there) == 0 && !(is_there & 1));
	must(munlockall() == 0);
}

/* ---- rights ---- */

/* Nothing may be executed. */
static void landlocked(void)
{
	const uint64_t handled = 1; /* LANDLOCK_ACCESS_FS_EXECUTE */
	const long rules = syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);

	if (rules < 0)
		end(77, "no Landlock here\n");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(syscall(SYS_landlock_restrict_self, rules, 0) == 0);
	(void)close((int)rules);
	say("ready");
	wait_for_finish();
}

/* ---- core files ---- */

static void core_filter(void)
{
	char text[16] = "";
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, "0x7", 3) == 3);
	(void)close(fd);
	say("ready");
	wait_for_finish();
	fd = open("/proc/self/coredump_filter", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	(void)close(fd);
	check(strtoul(text, NULL, 16) == 7);
}

const struct work_scene work_prctl[] = {
	{"prctl", settle},          {"policies", policies},
	{"sealed", sealed},         {"core-filter", core_filter},
	{"landlocked", landlocked}, {NULL, NULL},
};
