/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of report: the CSV file byte by byte where nothing in it depends on the time, files that
 * cannot be written, lost rows, totals. Default names are tested by report_path_test.
 * Works in a folder of its own below TMPDIR, removed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "tap.h"

#define HEADER                                                                                     \
	"run_id,seq,time_utc,pid,comm,op,engine,regions,ranges,chunks,bytes,absent_chunks,"        \
	"repaired_chunks,failed_chunks,copy_ns,latency_ns,mib_per_s,restore_path,kernel,status,"   \
	"new_chunks,gone_chunks,clean_chunks\r\n"

static char content[1 << 14], said[1 << 12];
static int own_stderr = -1, said_fd = -1;

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
	.comm = "a,\"b\"",
};

/* From here on stderr is a file without a name. */
static void listen_to_stderr(void)
{
	must(ftruncate(said_fd, 0));
	must(lseek(said_fd, 0, SEEK_SET) != 0);
	must(dup2(said_fd, STDERR_FILENO) != STDERR_FILENO);
}

/* Puts stderr back; what was said. */
static const char *hear_stderr(void)
{
	ssize_t n;

	must(dup2(own_stderr, STDERR_FILENO) != STDERR_FILENO);
	n = pread(said_fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	return said;
}

static const char *read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, content, sizeof(content) - 1);

	if (fd >= 0)
		(void)close(fd);
	content[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(cannot be read)" : content;
}

/* Does text look like pattern, in which 9 is any digit? Returns what follows, or NULL. */
static const char *match(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
			return NULL;
	}
	return text;
}

/* Takes run_id and time out of the row at the start of text, if they look right. */
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
	tap__equal_string(read_file("rows.csv"), HEADER, "the columns are there at once");
	report__add(report, &row);
	tap__ok(strncmp(read_file("rows.csv"), HEADER, strlen(HEADER)) == 0, "they stay");
	tap__equal_string(timeless(content + strlen(HEADER), 1),
			  "4242,\"a,\"\"b\"\"\",checkpoint,slab,\"mmap,heap,bss,data,stack\",23,"
			  "4097,1048576,5,6,0,500000000,600000001,2.000,-,6.1.0-23,ok,8,9,10",
			  "a checkpoint");
	row = (struct operation_row){.sequence = 23,
				     .bytes = UINT64_MAX,
				     .pid = 1,
				     .kind = OPERATION_RESTORE,
				     .status = STATUS_FAILED,
				     .restore_path = "process_vm",
				     .comm = ""};
	report__add(report, &row);
	second = strstr(read_file("rows.csv") + strlen(HEADER), "\r\n");
	tap__equal_string(second ? timeless(second + 2, 23) : "",
			  "1,,restore,slab,\"mmap,heap,bss,data,stack\",0,0,18446744073709551615,"
			  "0,0,0,0,0,0.000,process_vm,6.1.0-23,failed,0,0,0",
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
		"latencies of those that were ok");
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
	tap__equal_string(read_file("totals.csv"), HEADER, "a plain file is replaced");
	report = NULL;
	listen_to_stderr();
	tap__equal(create("link.csv", &report), -ELOOP, "a symbolic link is not followed");
	tap__ok(strstr(hear_stderr(), "link.csv"), "and that is said");
	tap__ok(strlen(read_file("rows.csv")) > strlen(HEADER), "its target is what it was");
	listen_to_stderr();
	tap__equal(create("folder.csv", &report), -EISDIR, "a folder");
	tap__equal(create("missing/file.csv", &report), -ENOENT, "in a folder that is not there");
	tap__equal(create("/dev/null", &report), -EINVAL, "a device");
	tap__equal(create("", &report), -ENOENT, "no name");
	tap__ok(strstr(hear_stderr(), "missing/file.csv") && strstr(said, "/dev/null"),
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
	listen_to_stderr();
	must(setrlimit(RLIMIT_FSIZE, &limit));
	report__add(report, &first_row);
	report__add(report, &first_row);
	must(setrlimit(RLIMIT_FSIZE, &old));
	report__add(report, &first_row);
	first = strstr(hear_stderr(), "lost.csv");
	tap__ok(first && !strstr(first + 1, "lost.csv"), "lost rows are told once");
	tap__equal(report__rows_lost(report), 2, "they are counted");
	tap__equal(report__totals(report, OPERATION_CHECKPOINT)->count, 3,
		   "their operations are in the totals");
	report__free(report);
	first = strstr(read_file("lost.csv"), "\r\n");
	tap__ok(first && !strncmp(content, HEADER, strlen(HEADER)) &&
			strncmp(timeless(first + 2, 1), "4242,", 5) == 0,
		"the row after them is there");
}

static void remove_folder(const char *path)
{
	const char *const argv[] = {"rm", "-rf", "--", path, NULL};
	pid_t child = fork();

	if (child == 0) {
		(void)execvp(argv[0], (char **)argv);
		_exit(127);
	}
	(void)waitpid(child, NULL, 0);
}

int main(void)
{
	const char *base = getenv("TMPDIR");
	char folder[512];

	(void)snprintf(folder, sizeof(folder), "%s/report_test.XXXXXX", base ? base : "/tmp");
	own_stderr = dup(STDERR_FILENO);
	if (!mkdtemp(folder) || chdir(folder) != 0) {
		perror(folder);
		return 1;
	}
	said_fd = open("said", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (said_fd < 0 || unlink("said") != 0 || own_stderr < 0) {
		perror("said");
		return 1;
	}
	tap__plan(27);
	test_rows();
	test_totals();
	test_existing();
	test_lost_rows();
	remove_folder(folder);
	(void)close(said_fd);
	(void)close(own_stderr);
	return tap__done();
}
