/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of base/procfs: the parser on good and bad texts, then the real /proc. That is of this
 * process, of a kernel thread, and of children that die or exec meanwhile. The first argument is
 * the number of mappings of the largest test, by default 60001; valgrind can have 30000.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/maps_name.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/procfs_reason.h"
#include "tap.h"

static size_t page_bytes;

/* ---- the parser ---- */

static const char good_text[] =
	"5581a000-5581b000 r-xp 00002000 103:02 1835062                   /usr/bin/a b  c\\012d\n"
	"5581b000-5581d000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
	"7f0000001000-7f0000003000 rw-s 00000000 00:01 18446744073709551615 /dev/zero (deleted)\n"
	"7f0000003000-7f0000004000 rwxp 00000000 00:00 0                  [anon:a b]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]";

static const struct mapping good_items[] = {
	{0x5581a000, 0x5581b000, 0x2000, 1835062, 0x103, 2, MAPPING_READ | MAPPING_EXEC,
	 (char *)"/usr/bin/a b  c\\012d"},
	{0x5581b000, 0x5581d000, 0, 0, 0, 0, MAPPING_READ | MAPPING_WRITE, (char *)"[heap]"},
	{0x7f0000000000, 0x7f0000001000, 0, 0, 0, 0, 0, (char *)""},
	{0x7f0000001000, 0x7f0000003000, 0, UINT64_MAX, 0, 1,
	 MAPPING_READ | MAPPING_WRITE | MAPPING_SHARED, (char *)"/dev/zero (deleted)"},
	{0x7f0000003000, 0x7f0000004000, 0, 0, 0, 0, MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC,
	 (char *)"[anon:a b]"},
	{0xffffffffff600000, 0xffffffffff601000, 0, 0, 0, 0, MAPPING_EXEC, (char *)"[vsyscall]"},
};

#define GOOD_ITEMS (sizeof(good_items) / sizeof(good_items[0]))

static int same_mapping(const struct mapping *a, const struct mapping *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset &&
	       a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->flags == b->flags && !strcmp(a->path, b->path);
}

static void test_parse_good(void)
{
	struct mappings m = {0};

	tap__equal(procfs__parse_mappings(good_text, &m), 0, "a good text");
	if (!tap__equal(m.count, GOOD_ITEMS, "has so many lines"))
		goto out;
	for (size_t i = 0; i < GOOD_ITEMS; i++)
		tap__ok(same_mapping(&m.items[i], &good_items[i]), "%s", good_items[i].path);
out:
	procfs__free_mappings(&m);
	procfs__free_mappings(&m);
	tap__ok(!m.items && m.count == 0, "freed, twice");
	tap__ok(procfs__parse_mappings("", &m) == 0 && m.count == 0, "an empty text");
	procfs__free_mappings(&m);
}

static void test_name(void)
{
	const char *const end = "/a\\012b\\01\nrest";
	char name[] = "/a\\012b\\01xx";

	tap__ok(maps_name__decode(end, name, sizeof("/a\nb\\01")) && !strcmp(name, "/a\nb\\01"),
		"a name with a newline, and with a part of its sign; it ends with the line");
	tap__ok(!maps_name__decode(end, name, sizeof("/a\nb\\01") - 1), "it does not fit");
	tap__ok(maps_name__decode("", name, 1) && !*name, "no name");
}

static void test_parse_bad(void)
{
	static const char *const texts[] = {
		"\n",
		"rubbish",
		"1000-2000",
		"1000-2000 rw-p 00000000 00:00",
		"1000-2000 rw-p 00000000 00:00 x",
		"1000-2000 rw-p 00000000 00:00 7x",
		"1000-2000 rw-p 00000000 0000 7 /x",
		"1000-2000 rw-p 00000000 100000000:00 7 /x",
		"1000-2000 rw-p 00000000 00:00 18446744073709551616 /x",
		"1000-2000 rw-p -1 00:00 7 /x",
		"1000-2000 rw-x 00000000 00:00 7 /x",
		"1000-2000 wr-p 00000000 00:00 7 /x",
		"1000-2000 rw- 00000000 00:00 7 /x",
		"1000 2000 rw-p 00000000 00:00 7 /x",
		"-2000 rw-p 00000000 00:00 7 /x",
		"1000-10000000000000000 rw-p 00000000 00:00 7 /x",
		"2000-1000 rw-p 00000000 00:00 7 /x",
		"1000-1000 rw-p 00000000 00:00 7 /x",
		" 1000-2000 rw-p 00000000 00:00 7 /x",
		"1000-2000 rw-p 00000000 00:00 0 \n\n3000-4000 rw-p 00000000 00:00 0 \n",
		"3000-4000 rw-p 00000000 00:00 0 \n1000-2000 rw-p 00000000 00:00 0 \n",
	};
	struct mappings m = {(struct mapping *)&page_bytes, 23};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		tap__equal(procfs__parse_mappings(texts[i], &m), -PROCFS_MALFORMED, "bad: %s",
			   texts[i]);
	tap__ok(m.items == (struct mapping *)&page_bytes && m.count == 23,
		"failures leave the result untouched");
}

/* A good text is cut off everywhere: each beginning is read or refused. Sanitizers watch the
 * memory. */
static void test_parse_cut(void)
{
	unsigned int good = 0, refused = 0;

	for (size_t length = 0; length < sizeof(good_text); length++) {
		char *text = strndup(good_text, length);
		struct mappings m = {0};
		int err = text ? procfs__parse_mappings(text, &m) : -ENOMEM;

		good += err == 0;
		refused += err == -PROCFS_MALFORMED;
		procfs__free_mappings(&m);
		free(text);
	}
	tap__ok(good + refused == sizeof(good_text) && good > GOOD_ITEMS && refused > GOOD_ITEMS,
		"cut off anywhere: %u good, %u refused", good, refused);
}

static void test_parse_merged(void)
{
	struct mappings m = {0};
	int err = procfs__parse_mappings("1000-3000 rw-p 00000000 00:00 0 \n"
					 "1000-5000 rw-p 00007000 08:01 7 /x\n"
					 "4000-6000 r--p 00000000 00:00 0 \n",
					 &m);

	tap__equal(err, 0, "mappings that grew downwards during the walk");
	tap__ok(err == 0 && m.count == 3 && m.items[1].start == 0x3000 &&
			m.items[1].end == 0x5000 && m.items[1].offset == 0x9000 &&
			m.items[2].start == 0x5000 && m.items[2].end == 0x6000 &&
			m.items[2].offset == 0,
		"lose what we have of them already");
	procfs__free_mappings(&m);
	tap__equal(procfs__first_above(&m, 0), 0, "an empty list has no mapping");
}

static void test_first_above(void)
{
	struct mapping items[] = {{.start = 0x1000, .end = 0x3000},
				  {.start = 0x4000, .end = 0x5000}};
	const struct mappings m = {.items = items, .count = 2};

	tap__ok(procfs__first_above(&m, 0) == 0 && procfs__first_above(&m, 0x2fff) == 0 &&
			procfs__first_above(&m, 0x3000) == 1 &&
			procfs__first_above(&m, 0x4fff) == 1 &&
			procfs__first_above(&m, 0x5000) == 2,
		"the first mapping that ends above an address");
}

/* ---- this process ---- */

static const struct mapping *find_mapping(const struct mappings *m, const void *address)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->items[i].start <= (uintptr_t)address && (uintptr_t)address < m->items[i].end)
			return &m->items[i];
	}
	return NULL;
}

static int in_order(const struct mappings *m)
{
	for (size_t i = 1; i < m->count; i++) {
		if (m->items[i - 1].end > m->items[i].start)
			return 0;
	}
	return 1;
}

static void test_own_mappings(void)
{
	char name[] = "/tmp/procfs test\n\\ XXXXXX", suffix[64];
	const struct mapping *found;
	struct mappings m = {0};
	int fd = mkstemp(name);
	void *area;

	if (fd < 0 || ftruncate(fd, (off_t)(4 * page_bytes)) != 0)
		return;
	area = mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, fd, (off_t)(3 * page_bytes));
	(void)unlink(name);
	(void)close(fd);
	tap__equal(procfs__mappings(0, &m), 0, "our own mappings");
	tap__ok(in_order(&m), "in address order");
	found = find_mapping(&m, area);
	tap__ok(found && found->start == (uintptr_t)area && found->end == found->start + page_bytes,
		"a file mapping is there");
	tap__ok(found && found->flags == (MAPPING_READ | MAPPING_SHARED) && found->inode &&
			found->offset == 3 * page_bytes,
		"with its flags, inode and offset");
	(void)snprintf(suffix, sizeof(suffix), "/procfs test\\012\\ %s (deleted)",
		       name + strlen(name) - 6);
	tap__ok(found && strlen(found->path) >= strlen(suffix) &&
			!strcmp(found->path + strlen(found->path) - strlen(suffix), suffix),
		"and its odd name, as the kernel writes it");
	found = find_mapping(&m, &fd);
	tap__ok(found && found->flags == (MAPPING_READ | MAPPING_WRITE) && !found->inode,
		"this function's variables are in memory without a file");
	for (found = m.items; found < m.items + m.count; found++) {
		if (!strcmp(found->path, "[stack]"))
			break;
	}
	tap__ok(found < m.items + m.count, "there is a stack");
	procfs__free_mappings(&m);
	(void)munmap(area, page_bytes);
}

/* Makes count mappings, with neighbours that differ. Returns the area, or MAP_FAILED. */
static char *make_mappings(size_t count)
{
	char *area = mmap(NULL, count * page_bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = 1; area != MAP_FAILED && i < count; i += 2) {
		if (mprotect(area + i * page_bytes, page_bytes, PROT_READ) != 0) {
			(void)munmap(area, count * page_bytes);
			return MAP_FAILED;
		}
	}
	return area;
}

static void test_many_mappings(size_t count)
{
	char *area = make_mappings(count);
	struct mappings m = {0};
	size_t found = 0;

	if (area == MAP_FAILED) {
		tap__skip(2, "cannot make %zu mappings: %s", count, strerror(errno));
		return;
	}
	tap__equal(procfs__mappings(getpid(), &m), 0, "more than %zu mappings", count);
	for (size_t i = 0; i < m.count; i++) {
		if (m.items[i].start == (uintptr_t)area + found * page_bytes && found < count)
			found++;
	}
	/* the first and the last may have merged with neighbours that were there before */
	tap__ok(in_order(&m) && found + 2 >= count, "all of them are there");
	procfs__free_mappings(&m);
	(void)munmap(area, count * page_bytes);
}

/* ---- other processes ---- */

/* A child that waits for a signal. */
static pid_t start_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		for (;;)
			(void)pause();
	}
	return child;
}

static void test_dead(void)
{
	uint64_t value = 23;
	struct mappings m = {0};
	pid_t child, *tids = NULL;
	siginfo_t info;
	size_t count = 23;

	(void)prctl(PR_SET_NAME, ") R 1 (2", 0, 0, 0);
	child = start_child();
	(void)prctl(PR_SET_NAME, "procfs_test", 0, 0, 0);
	tap__equal(procfs__mappings(child, &m), 0, "a child");
	procfs__free_mappings(&m);
	(void)kill(child, SIGKILL);
	(void)waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	tap__equal(procfs__mappings(child, &m), -ESRCH, "mappings of a zombie with an odd name");
	tap__ok(procfs__status_u64(child, "Pid", &value) == 0 && value == (uint64_t)child,
		"its status");
	value = 23;
	(void)waitpid(child, NULL, 0);
	tap__equal(procfs__mappings(child, &m), -ESRCH, "mappings of nobody");
	tap__equal(procfs__threads(child, &tids, &count), -ESRCH, "threads of nobody");
	tap__equal(procfs__status_u64(child, "Pid", &value), -ESRCH, "status of nobody");
	tap__ok(!m.items && !tids && count == 23 && value == 23,
		"failures leave the results untouched");
	tap__equal(procfs__mappings(-1, &m), -ESRCH, "a negative pid");
}

/* Children with many mappings die while they are read. The answer is all mappings, or -ESRCH. */
static void test_dying(void)
{
	const size_t count = 2300;
	char *area = make_mappings(count);
	unsigned int whole = 0, gone = 0, wrong = 0;

	if (area == MAP_FAILED) {
		tap__skip(1, "cannot make %zu mappings: %s", count, strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < 61; i++) {
		struct mappings m = {0};
		pid_t child = start_child();
		size_t had = 0;
		int err = procfs__mappings(child, &m);

		had = m.count;
		procfs__free_mappings(&m);
		if (err || had < count)
			wrong++;
		(void)kill(child, SIGKILL);
		while (!(err = procfs__mappings(child, &m))) {
			if (m.count == had)
				whole++;
			else
				wrong++;
			procfs__free_mappings(&m);
		}
		if (err == -ESRCH)
			gone++;
		(void)waitpid(child, NULL, 0);
	}
	tap__ok(wrong == 0 && gone == 61, "dying processes: %u whole, %u gone, %u wrong", whole,
		gone, wrong);
	(void)munmap(area, count * page_bytes);
}

/* A child with many mappings execs a program with few. The answer is the old list, the new one, or
 * -ESRCH. */
static void test_exec(void)
{
	const size_t count = 2300;
	char *area = make_mappings(count);
	unsigned int old = 0, new = 0, wrong = 0;

	if (area == MAP_FAILED) {
		tap__skip(1, "cannot make %zu mappings: %s", count, strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < 61; i++) {
		struct mappings m = {0};
		pid_t child = fork();
		int err;

		if (child == 0) {
			(void)execlp("true", "true", (char *)NULL);
			_exit(127);
		}
		while (!(err = procfs__mappings(child, &m))) {
			old += m.count >= count;
			new += m.count < count / 23;
			wrong += m.count >= count / 23 && m.count < count;
			procfs__free_mappings(&m);
		}
		wrong += err != -ESRCH;
		(void)waitpid(child, NULL, 0);
	}
	tap__ok(wrong == 0 && old + new > 0, "execs: %u old lists, %u new, %u wrong", old, new,
		wrong);
	(void)munmap(area, count * page_bytes);
}

static void test_kernel_thread(void)
{
	struct mappings m = {0};
	uint64_t parent;
	int err;

	/* kthreadd is 2 unless we live in a pid namespace */
	if (procfs__status_u64(2, "PPid", &parent) != 0 || parent != 0) {
		tap__skip(1, "no kernel threads in this pid namespace");
		return;
	}
	err = procfs__mappings(2, &m);
	if (err == -EACCES || err == -EPERM)
		tap__skip(1, "kernel threads may not be looked at: %s", strerror(-err));
	else
		tap__ok(err == 0 && m.count == 0, "a kernel thread has no mappings");
	procfs__free_mappings(&m);
}

/* ---- threads, owner, status ---- */

static void *wait_for(void *barrier)
{
	(void)pthread_barrier_wait(barrier);
	(void)pthread_barrier_wait(barrier);
	return NULL;
}

static void test_threads(void)
{
	pthread_barrier_t barrier;
	pthread_t threads[22];
	pid_t *tids = NULL;
	uint64_t status_count = 0;
	size_t count = 0, own = 0;

	(void)pthread_barrier_init(&barrier, NULL, 23);
	for (unsigned int i = 0; i < 22; i++) {
		if (pthread_create(&threads[i], NULL, wait_for, &barrier) != 0)
			exit(1);
	}
	(void)pthread_barrier_wait(&barrier);
	tap__equal(procfs__threads(getpid(), &tids, &count), 0, "threads");
	tap__equal(count, 23, "as many as we made");
	for (size_t i = 0; i < count; i++)
		own += tids[i] == getpid();
	tap__equal(own, 1, "the first one is among them, once");
	free(tids);
	tids = NULL;
	tap__ok(procfs__threads(0, &tids, &count) == 0 && count == 23, "pid 0 is the caller");
	free(tids);
	tap__ok(procfs__status_u64(0, "Threads", &status_count) == 0 && status_count == 23,
		"status says the same");
	(void)pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < 22; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_barrier_destroy(&barrier);
}

static void test_status(void)
{
	uint64_t value = 230023;

	(void)prctl(PR_SET_NAME, "x\nVmHWM:\t7\nUid:", 0, 0, 0);
	tap__equal(procfs__status_u64(getpid(), "Vm", &value), -ENOENT, "part of a key");
	tap__equal(procfs__status_u64(getpid(), "Nonsense", &value), -ENOENT, "no such key");
	tap__equal(procfs__status_u64(getpid(), "Name", &value), -PROCFS_MALFORMED, "no number");
	tap__equal(value, 230023, "failures leave the result untouched");
	tap__ok(procfs__status_u64(getpid(), "VmHWM", &value) == 0 && value > 7,
		"a number with a unit, whatever our name says");
	tap__ok(procfs__status_u64(getpid(), "Pid", &value) == 0 && value == (uint64_t)getpid(),
		"a plain number");
	(void)prctl(PR_SET_NAME, "procfs_test", 0, 0, 0);
}

static void test_fields(void)
{
	struct procfs_fields fields = {.name = "untouched"};
	uint64_t threads = 0;

	(void)prctl(PR_SET_NAME, "a) S (b 1 2", 0, 0, 0);
	must(procfs__status_u64(0, "Threads", &threads));
	tap__equal(procfs__fields(0, "stat", &fields), 0, "the fields of stat");
	tap__equal_string(fields.name, "a) S (b 1 2", "the name, whatever it has");
	tap__ok(fields.items[3] == 'R' && fields.items[4] == (uint64_t)getppid() &&
			fields.items[20] == threads && fields.items[52] == 0,
		"the state, the parent, the number of threads, and the exit code");
	(void)prctl(PR_SET_NAME, "procfs_test", 0, 0, 0);
	tap__ok(procfs__fields(getpid(), "status", &fields) == -PROCFS_MALFORMED &&
			fields.name[0] == 'a',
		"another file is refused, and nothing is touched");
}

/* ---- files and links ---- */

static void test_files(void)
{
	struct mapping mapping = {.start = 0x400000, .end = 0x7f0000001000};
	char name[PROCFS_MAP_FILE_BYTES], bytes[5] = "", link[8] = "old", text[8];
	struct stat status;
	int fd;

	tap__equal_string(procfs__map_file(&mapping, name), "map_files/400000-7f0000001000",
			  "the name of a mapped file");
	tap__ok(procfs__read(getpid(), "comm", bytes, 4) == 4 && !strcmp(bytes, "proc"),
		"the first bytes of a file");
	tap__ok(procfs__string(0, "maps", text, sizeof(text)) == 7 && strlen(text) == 7,
		"a file that is cut");
	tap__equal(procfs__readlink(0, "nonsense", link, sizeof(link)), -ESRCH, "no such link");
	tap__equal_string(link, "old", "a failure leaves the text untouched");
	tap__ok(procfs__readlink(0, "root", link, sizeof(link)) == 1 && !strcmp(link, "/"),
		"a link");
	tap__ok(procfs__readlink(0, "exe", link, sizeof(link)) == 7 && strlen(link) == 7,
		"a link that is too long is cut");
	tap__ok(procfs__stat(0, "task", &status) == 0 && S_ISDIR(status.st_mode), "stat");
	tap__equal(procfs__stat(INT32_MAX, "task", &status), -ESRCH, "of no process");
	fd = procfs__open(0, "mem", O_RDWR);
	tap__ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC &&
			(fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR,
		"opened as wanted, and closed by exec");
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	uint64_t many = 60001;

	if (argc > 1 && parse__u64(argv[1], 1, 1 << 20, &many) != 0) {
		(void)fprintf(stderr, "usage: %s [MAPPINGS]\n", argv[0]);
		return 2;
	}
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	tap__plan(85);
	test_parse_good();
	test_name();
	test_parse_bad();
	test_parse_cut();
	test_parse_merged();
	test_first_above();
	test_own_mappings();
	test_many_mappings(many);
	test_dead();
	test_dying();
	test_exec();
	test_kernel_thread();
	test_threads();
	test_status();
	test_fields();
	test_files();
	return tap__done();
}
