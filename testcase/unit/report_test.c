/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of report: the bytes of the CSV file, files that cannot be written, lost rows, totals. Then
 * the place of the file, by default in a source tree and elsewhere, and folders that cannot be
 * written. Works in a folder of its own below TMPDIR, removed at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "report/report.h"
#include "talk.h"
#include "tap.h"

#define HEADER                                                                                     \
	"run_id,seq,time_utc,pid,comm,op,engine,regions,ranges,chunks,bytes,absent_chunks,"        \
	"repaired_chunks,failed_chunks,copy_ns,latency_ns,mib_per_s,restore_path,kernel,status,"   \
	"new_chunks,gone_chunks,clean_chunks,dirty_way,dirty_pages\r\n"

static const struct operation_row first_row = {
	.sequence = 1,
	.ranges = 23,
	.chunks = 4097,
	.bytes = 1048576,
	.absent = 5,
	.repaired = 6,
	.failed = 0,
	.fresh = 8,
	.gone = 9,
	.clean = 10,
	.copy_ns = 500000000,
	.latency_ns = 600000001,
	.pid = 4242,
	.kind = OPERATION_CHECKPOINT,
	.status = STATUS_OK,
	.restore_path = "-",
	.dirty_way = DIRTY_SCAN,
	.dirty_pages = 11,
	.comm = "a,\"b\"",
};

/* Does text look like pattern, in which 9 is any digit? Returns what follows, or NULL. */
static const char *match(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
			return NULL;
	}
	return text;
}

/* Takes run_id and time out of the row at the start of text, if their form is right. */
static const char *timeless(const char *text, uint64_t sequence)
{
	static char row[512];
	char expected[64];
	const char *rest = match(text, "99999999T999999Z-"), *end;

	(void)snprintf(expected, sizeof(expected), "%d,%" PRIu64 ",", (int)getpid(), sequence);
	rest = rest && !strncmp(rest, expected, strlen(expected)) ? rest + strlen(expected) : NULL;
	rest = rest ? match(rest, "9999-99-99T99:99:99.999999Z,") : NULL;
	end = rest ? strstr(rest, "\r\n") : NULL;
	if (!end)
		return text;
	(void)snprintf(row, sizeof(row), "%.*s", (int)(end - rest), rest);
	return row;
}

static int create(const char *path, struct report **ret_report)
{
	return report__create(path, "program", "slab", "mmap,heap,bss,data,stack", "6.1.0-23",
			      ret_report);
}

static void test_rows(void)
{
	struct operation_row row = first_row;
	struct report *report = NULL;
	const char *second;

	if (!tap__equal(create("rows.csv", &report), 0, "a new file"))
		return;
	tap__equal_string(report__path(report), "rows.csv", "its path");
	tap__equal_string(folder__read("rows.csv"), HEADER, "the columns are there at once");
	report__add(report, &row);
	tap__ok(strncmp(folder__read("rows.csv"), HEADER, strlen(HEADER)) == 0, "they stay");
	tap__equal_string(
		timeless(folder_content + strlen(HEADER), 1),
		"4242,\"a,\"\"b\"\"\",checkpoint,slab,\"mmap,heap,bss,data,stack\",23,"
		"4097,1048576,5,6,0,500000000,600000001,2.000,-,6.1.0-23,ok,8,9,10,scan,11",
		"a checkpoint");
	row = (struct operation_row){.sequence = 23,
				     .bytes = UINT64_MAX,
				     .pid = 1,
				     .kind = OPERATION_RESTORE,
				     .status = STATUS_FAILED,
				     .restore_path = "process_vm",
				     .comm = ""};
	report__add(report, &row);
	second = strstr(folder__read("rows.csv") + strlen(HEADER), "\r\n");
	tap__equal_string(second ? timeless(second + 2, 23) : "",
			  "1,,restore,slab,\"mmap,heap,bss,data,stack\",0,0,18446744073709551615,"
			  "0,0,0,0,0,0.000,process_vm,6.1.0-23,failed,0,0,0,-,0",
			  "a restore that failed; no rate without a time");
	tap__equal(report__rows_lost(report), 0, "no row is lost");
	report__free(report);
	tap__ok(access("rows.csv", R_OK) == 0, "the file stays");
	report__free(NULL);
}

static void test_totals(void)
{
	struct operation_row row = first_row;
	const struct totals *checkpoints, *restores;
	struct report *report = NULL;

	if (create("totals.csv", &report) != 0)
		return;
	checkpoints = report__totals(report, OPERATION_CHECKPOINT);
	restores = report__totals(report, OPERATION_RESTORE);
	report__add(report, &row);
	row.latency_ns = 23;
	report__add(report, &row);
	row.status = STATUS_PARTIAL;
	row.failed = 7;
	row.latency_ns = 0;
	report__add(report, &row);
	row.status = STATUS_FAILED;
	report__add(report, &row);
	tap__ok(checkpoints->count == 4 && checkpoints->ok == 2 && checkpoints->partial == 1 &&
			checkpoints->failed_operations == 1,
		"operations by their end");
	tap__ok(checkpoints->absent == 20 && checkpoints->repaired == 24 &&
			checkpoints->failed == 14 && checkpoints->gone == 36,
		"chunks of all of them");
	tap__ok(checkpoints->latency.count == 2 && checkpoints->latency.minimum == 23 &&
			checkpoints->latency.maximum == 600000001,
		"latencies of the operations that were ok");
	tap__ok(restores->count == 0 && restores->latency.count == 0, "no restore among them");
	row.kind = OPERATION_RESTORE;
	row.status = STATUS_OK;
	report__add(report, &row);
	tap__ok(restores->count == 1 && restores->ok == 1 && restores->bytes == row.bytes &&
			restores->copy_ns == row.copy_ns && checkpoints->count == 4,
		"a restore is counted by itself");
	report__free(report);
}

static void test_existing(void)
{
	struct report *report = NULL;

	must(symlink("rows.csv", "link.csv"));
	must(mkdir("folder.csv", 0755));
	if (create("totals.csv", &report) == 0)
		report__free(report);
	tap__equal_string(folder__read("totals.csv"), HEADER, "a plain file is replaced");
	report = NULL;
	talk__listen();
	tap__equal(create("link.csv", &report), -ELOOP, "a symbolic link is not followed");
	tap__ok(strstr(talk__hear(), "link.csv"), "and that is said");
	tap__ok(strlen(folder__read("rows.csv")) > strlen(HEADER), "its target is what it was");
	talk__listen();
	tap__equal(create("folder.csv", &report), -EISDIR, "a folder");
	tap__equal(create("missing/file.csv", &report), -ENOENT, "in a folder that is not there");
	tap__equal(create("/dev/full", &report), -ENOSPC, "a device that is full");
	tap__equal(create("", &report), -ENOENT, "no name");
	tap__ok(strstr(talk__hear(), "missing/file.csv") && strstr(talk.text, "/dev/full"),
		"each is said");
	tap__ok(!report, "failures leave the result untouched");
}

static void test_lost_rows(void)
{
	struct report *report = NULL;
	struct rlimit limit, old;
	const char *first;

	if (create("lost.csv", &report) != 0)
		return;
	/* SIGXFSZ would end us; ignored, the write fails with EFBIG. Files shall hold no more than
	 * the columns; but for stderr, which is a file too, and shorter */
	(void)signal(SIGXFSZ, SIG_IGN);
	must(getrlimit(RLIMIT_FSIZE, &old));
	limit = old;
	limit.rlim_cur = strlen(HEADER) + 23;
	talk__listen();
	must(setrlimit(RLIMIT_FSIZE, &limit));
	report__add(report, &first_row);
	report__add(report, &first_row);
	must(setrlimit(RLIMIT_FSIZE, &old));
	report__add(report, &first_row);
	first = strstr(talk__hear(), "lost.csv");
	tap__ok(first && !strstr(first + 1, "lost.csv"), "lost rows are told once");
	tap__equal(report__rows_lost(report), 2, "they are counted");
	tap__equal(report__totals(report, OPERATION_CHECKPOINT)->count, 3,
		   "their operations are in the totals");
	report__free(report);
	first = strstr(folder__read("lost.csv"), "\r\n");
	tap__ok(first && !strncmp(folder_content, HEADER, strlen(HEADER)) &&
			strncmp(timeless(first + 2, 1), "4242,", 5) == 0,
		"the row after them is there");
}

/* ---- where the file is ---- */

/* The only file of a folder whose name begins so, or ""; static. */
static const char *find_file(const char *where, const char *start)
{
	static char name[NAME_MAX + 1];
	struct dirent *entry;
	DIR *dir = opendir(where);

	*name = '\0';
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, start, strlen(start)))
			(void)snprintf(name, sizeof(name), "%s", entry->d_name);
	if (dir)
		(void)closedir(dir);
	return name;
}

/* Creates a report under its default name; NULL, or its path below results, static. */
static const char *default_name(const char *program, const char *where)
{
	static char path[PATH_MAX];
	struct report *report = NULL;
	const char *name;

	if (report__create(NULL, program, "chunk", "heap", "6.1", &report) != 0)
		return NULL;
	(void)snprintf(path, sizeof(path), "%s", report__path(report));
	report__free(report);
	name = path + strlen(where);
	return strncmp(path, where, strlen(where)) == 0 && *name == '/' ? name + 1 : NULL;
}

static void test_default_path(void)
{
	const char *name = default_name("program", "results"), *rest;
	char pid[32], long_name[64];
	struct report *report = NULL;

	(void)snprintf(pid, sizeof(pid), "-%d.csv", (int)getpid());
	rest = name ? match(name, "program-99999999T999999Z") : NULL;
	tap__ok(rest && !strcmp(rest, pid), "the default name: %s", name ? name : "(none)");
	tap__ok(*find_file("results", "program-"), "in results, which is created");
	(void)snprintf(long_name, sizeof(long_name), "%050d", 0);
	name = default_name(long_name, "results");
	tap__ok(name && strspn(name, "0") == 40, "a long name is cut to 40 bytes");
	must(rename("results", "results.old"));
	must(close(open("results", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644)));
	talk__listen();
	tap__equal(create(NULL, &report), -ENOTDIR, "results is a file");
	tap__ok(strstr(talk__hear(), "--output"), "the message says what to do");
	must(unlink("results"));
}

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n = 1;

	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	while (in >= 0 && out >= 0 && n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	(void)close(in);
	(void)close(out);
	return n == 0 ? 0 : -1;
}

static int create_once(void)
{
	struct report *report = NULL;

	if (report__create(NULL, "from-copy", "chunk", "heap", "6.1", &report) != 0)
		return 1;
	report__free(report);
	return 0;
}

/* Runs this program again as build/NAME, which creates a report. */
static int run_copy(void)
{
	const char *const argv[] = {"build/copy", "--create", NULL};
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		(void)execv(argv[0], (char **)argv);
		_exit(127);
	}
	(void)waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_source_tree(void)
{
	must(mkdir("build", 0755));
	must(mkdir("tree", 0755));
	must(copy_file("/proc/self/exe", "build/copy"));
	must(rename("build", "tree/build"));
	must(chdir("tree"));
	tap__ok(run_copy() == 0 && *find_file("results", "from-copy-"), "build/ of no source tree");
	must(mkdir("elsewhere", 0755));
	must(rename("results", "results.old"));
	must(mkdir("results", 0755));
	must(close(open("Makefile", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644)));
	must(mkdir("elsewhere/build", 0755));
	must(chdir("elsewhere"));
	must(rmdir("build"));
	must(symlink("../build", "build"));
	tap__ok(run_copy() == 0 && access("results", F_OK) != 0, "build/ of a source tree:");
	must(chdir(".."));
	tap__ok(*find_file("results", "from-copy-"), "its results/ is taken");
	must(rename("results", "results.new"));
	tap__ok(run_copy() == 0 && *find_file("results", "from-copy-"),
		"a source tree without results/");
	must(chdir(".."));
}

/* Runs in a child whose user is nobody, in a folder of root. 0 if all is well. */
static int create_as_nobody(uid_t uid, gid_t gid)
{
	struct report *report = NULL;

	if (setgid(gid) != 0 || setuid(uid) != 0)
		return 2;
	return !(create("nobody.csv", &report) == -EACCES && create(NULL, &report) == -EACCES &&
		 !report);
}

static void test_unwritable(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	int status = -1;
	pid_t child;

	if (geteuid() != 0 || !nobody) {
		tap__skip(3, "needs root and a user nobody");
		return;
	}
	must(chmod(".", 0755));
	talk__listen();
	child = fork();
	if (child == 0)
		_exit(create_as_nobody(nobody->pw_uid, nobody->pw_gid));
	(void)waitpid(child, &status, 0);
	tap__ok(strstr(talk__hear(), "nobody.csv") && strstr(talk.text, "--output"),
		"the messages name the file, and say what to do");
	tap__ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a folder of somebody else's");
	tap__ok(access("nobody.csv", F_OK) != 0 && access("results", F_OK) != 0,
		"nothing is left in it");
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--create"))
		return create_once();
	folder__enter("report_test");
	talk__open();
	tap__plan(39);
	test_rows();
	test_totals();
	test_existing();
	test_lost_rows();
	test_default_path();
	test_unwritable();
	test_source_tree();
	must(chdir(folder));
	talk__close();
	folder__remove();
	return tap__done();
}
