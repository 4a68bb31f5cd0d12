/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of base/csv: the bytes of the file after each call, and what opening refuses.
 * Works in a folder of its own below TMPDIR, removed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../limit.h"
#include "base/csv.h"
#include "folder.h"
#include "tap.h"

static const char *const one[] = {"a"};
static const char *const three[] = {"a", "b,c", "d"};

#define HEADER "a,\"b,c\",d\r\n"

/* Makes a file of one column and appends text as a row. Returns what follows the header. */
static const char *one_field(const char *path, const char *text)
{
	struct csv *csv = NULL;

	if (csv__create(path, one, 1, 1, &csv) != 0)
		return "(cannot be made)";
	csv__string(csv, text);
	if (csv__end_row(csv) != 0) {
		csv__free(csv);
		return "(cannot be written)";
	}
	csv__free(csv);
	return folder__read(path) + strlen("a\r\n");
}

static void test_quoting(void)
{
	tap__equal_string(one_field("q.csv", "plain text"), "plain text\r\n", "a plain field");
	tap__equal_string(one_field("q.csv", "a,b"), "\"a,b\"\r\n", "a comma");
	tap__equal_string(one_field("q.csv", "a\"b"), "\"a\"\"b\"\r\n", "a quote");
	tap__equal_string(one_field("q.csv", "\"\""), "\"\"\"\"\"\"\r\n", "only quotes");
	tap__equal_string(one_field("q.csv", "a\nb"), "\"a\nb\"\r\n", "a newline");
	tap__equal_string(one_field("q.csv", "a\rb"), "\"a\rb\"\r\n", "a carriage return");
	tap__equal_string(one_field("q.csv", ""), "\"\"\r\n", "an empty field alone in its row");
	tap__equal_string(one_field("q.csv", NULL), "\"\"\r\n", "NULL is an empty field");
	tap__equal_string(one_field("q.csv", "gr\xc3\xbcn; x"), "gr\xc3\xbcn; x\r\n", "UTF-8");
}

static void test_rows(void)
{
	struct csv *csv = NULL;

	if (!tap__equal(csv__create("rows.csv", three, 3, 0, &csv), 0, "a new file"))
		return;
	tap__equal_string(folder__read("rows.csv"), HEADER, "the header is there at once");
	csv__u64(csv, 0);
	csv__u64(csv, UINT64_MAX);
	csv__string(csv, "");
	tap__equal_string(folder__read("rows.csv"), HEADER, "no part of a row is there early");
	tap__equal(csv__end_row(csv), 0, "end of the row");
	tap__equal_string(folder__read("rows.csv"), HEADER "0,18446744073709551615,\r\n",
			  "the row");
	csv__u64(csv, 1);
	csv__u64(csv, 2);
	tap__equal(csv__end_row(csv), -EINVAL, "a field too few");
	for (unsigned int i = 0; i < 4; i++)
		csv__u64(csv, i);
	tap__equal(csv__end_row(csv), -EINVAL, "a field too many");
	tap__equal(csv__end_row(csv), -EINVAL, "no field");
	csv__string(csv, "x");
	csv__string(csv, "y");
	csv__string(csv, "z");
	tap__equal(csv__end_row(csv), 0, "a good row after bad ones");
	csv__string(csv, "dropped");
	csv__free(csv);
	tap__equal_string(folder__read("rows.csv"), HEADER "0,18446744073709551615,\r\nx,y,z\r\n",
			  "only whole rows are there");
	csv__free(NULL);
}

static void test_doubles(const char *locale)
{
	struct csv *csv = NULL;

	if (locale && !setlocale(LC_ALL, locale)) {
		tap__skip(2, "no locale %s", locale);
		return;
	}
	if (csv__create("d.csv", three, 3, 1, &csv) != 0)
		return;
	csv__double(csv, -1234567.8916);
	csv__double(csv, 0.0004);
	csv__double(csv, 23);
	(void)csv__end_row(csv);
	csv__double(csv, (double)NAN);
	csv__double(csv, (double)-INFINITY);
	csv__double(csv, 1e300);
	(void)csv__end_row(csv);
	csv__free(csv);
	(void)folder__read("d.csv");
	tap__ok(strstr(folder_content, HEADER "-1234567.892,0.000,23.000\r\n") == folder_content,
		"three decimals and a point, locale %s", locale ? locale : "C");
	tap__ok(strstr(folder_content,
		       "\r\n,,1000000000000000052504760255204420248704468581108159") &&
			strstr(folder_content, "540160.000\r\n"),
		"no number is an empty field, a large one is whole");
	(void)setlocale(LC_ALL, "C");
}

static void test_long_row(void)
{
	static char text[60001];
	struct csv *csv = NULL;

	memset(text, 'x', sizeof(text) - 1);
	if (csv__create("long.csv", one, 1, 1, &csv) != 0)
		return;
	csv__string(csv, text);
	tap__equal(csv__end_row(csv), 0, "a long field");
	csv__free(csv);
	tap__equal(strlen(folder__read("long.csv")), 3 + 60000 + 2, "is there in full");
}

static void test_create(void)
{
	struct csv *csv = NULL;
	struct stat st;

	(void)umask(0);
	tap__equal(csv__create("rows.csv", one, 1, 0, &csv), -EEXIST, "an existing file");
	tap__ok(strncmp(folder__read("rows.csv"), HEADER, strlen(HEADER)) == 0, "is left alone");
	must(symlink("rows.csv", "link"));
	tap__equal(csv__create("link", one, 1, 0, &csv), -EEXIST, "a symbolic link");
	tap__equal(csv__create("link", one, 1, 1, &csv), -ELOOP, "a symbolic link, replacing");
	must(symlink("nowhere", "dangling"));
	tap__equal(csv__create("dangling", one, 1, 0, &csv), -EEXIST, "a dangling link");
	tap__equal(csv__create("dangling", one, 1, 1, &csv), -ELOOP, "a dangling link, replacing");
	tap__ok(access("nowhere", F_OK) != 0, "nothing was made through it");
	tap__equal(csv__create("no/such/folder", one, 1, 0, &csv), -ENOENT, "a missing folder");
	tap__equal(csv__create(".", one, 1, 1, &csv), -EISDIR, "a folder");
	must(mkfifo("pipe", 0600));
	tap__equal(csv__create("pipe", one, 1, 1, &csv), -ENXIO, "a pipe that nobody reads");
	tap__equal(csv__create("/dev/full", one, 1, 1, &csv), -ENOSPC, "a device that is full");
	tap__equal(csv__create("none.csv", NULL, 0, 0, &csv), -EINVAL, "no columns");
	tap__ok(!csv, "failures leave the result untouched");
	tap__equal(csv__create("/dev/null", one, 1, 1, &csv), 0, "a device that takes everything");
	csv__free(csv);
	tap__equal(csv__create("rows.csv", one, 1, 1, &csv), 0, "replacing a plain file");
	tap__equal_string(folder__read("rows.csv"), "a\r\n", "leaves only the header");
	csv__free(csv);
	csv = NULL;
	tap__equal(csv__create("new.csv", one, 1, 1, &csv), 0, "replacing what is not there");
	tap__ok(stat("new.csv", &st) == 0 && (st.st_mode & 07777) == 0644, "mode 0644");
	csv__free(csv);
}

/* A file may grow to 40 bytes only, so the write of a row ends in its middle. */
static void test_full_file(void)
{
	struct rlimit limit, old;
	struct csv *csv = NULL;
	int err;

	if (csv__create("full.csv", one, 1, 1, &csv) != 0)
		return;
	/* SIGXFSZ would end us; ignored, the write fails with EFBIG */
	(void)signal(SIGXFSZ, SIG_IGN);
	must(getrlimit(RLIMIT_FSIZE, &old));
	limit = old;
	limit.rlim_cur = 40;
	must(setrlimit(RLIMIT_FSIZE, &limit));
	csv__string(csv, "a row that fits");
	err = csv__end_row(csv);
	csv__string(csv, "a row that is too long for the rest");
	(void)(err || (err = csv__end_row(csv)));
	must(setrlimit(RLIMIT_FSIZE, &old));
	tap__equal(err, -EFBIG, "a full file");
	tap__equal_string(folder__read("full.csv"), "a\r\na row that fits\r\n", "has no half row");
	csv__string(csv, "the next");
	tap__equal(csv__end_row(csv), 0, "a row once there is room again");
	csv__free(csv);
	tap__equal_string(folder__read("full.csv"), "a\r\na row that fits\r\nthe next\r\n",
			  "goes where it belongs");
}

/* Writes rows 0, 1, 2, ... for a long time. */
static void write_rows(const char *path)
{
	struct csv *csv = NULL;

	if (csv__create(path, three, 3, 0, &csv) != 0)
		_exit(1);
	for (uint64_t i = 0; i < 1 << 20; i++) {
		csv__u64(csv, i);
		csv__string(csv, "some text");
		csv__string(csv, "end");
		(void)csv__end_row(csv);
	}
	_exit(0);
}

/* A child writes row after row and is killed. Only the last row may be cut off. */
static void test_kill(void)
{
	const struct timespec a_while = {0, 2300000};
	const char *rest = folder_content + strlen(HEADER);
	unsigned int rows = 0;
	struct stat st;
	char row[64];
	pid_t child = fork();

	if (child == 0)
		write_rows("kill.csv");
	for (unsigned int i = 0; i < LIMIT_SECONDS * 1000 / 2; i++) {
		(void)nanosleep(&a_while, NULL);
		if (stat("kill.csv", &st) == 0 && st.st_size > 2300)
			break;
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	/* folder__read may stop inside a row too, which looks the same */
	tap__ok(strncmp(folder__read("kill.csv"), HEADER, strlen(HEADER)) == 0, "a killed writer");
	for (;; rows++) {
		(void)snprintf(row, sizeof(row), "%u,some text,end\r\n", rows);
		if (strncmp(rest, row, strlen(row)) != 0)
			break;
		rest += strlen(row);
	}
	tap__ok(rows > 23 && strncmp(row, rest, strlen(rest)) == 0,
		"leaves whole rows (%u), and at most a part of the next (%zu bytes)", rows,
		strlen(rest));
}

int main(void)
{
	folder__enter("csv_test");
	tap__plan(49);
	test_quoting();
	test_rows();
	test_doubles(NULL);
	test_doubles("de_DE.UTF-8");
	test_long_row();
	test_create();
	test_full_file();
	test_kill();
	folder__remove();
	return tap__done();
}
