/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A CSV file that grows by whole rows, see csv.h; RFC 4180 for the format.
 * Always holds: the file ends after a whole record, unless this process was killed during write(2)
 * (generic_perform_write stops between pages for a fatal signal). The row being built lives in
 * memory only.
 */
#include "base/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct csv {
	char *row; /* the row being built, without its line end */
	size_t length, capacity;
	off_t file_bytes; /* up to the end of the last whole record */
	int fd;
	int error; /* 0, or the -errno that spoilt the row being built */
	unsigned int columns;
	unsigned int fields; /* in the row being built */
};

static void append_bytes(struct csv *csv, const char *bytes, size_t length)
{
	if (csv->error || length == 0)
		return;
	if (length > csv->capacity - csv->length) {
		size_t capacity = 2 * (csv->capacity + length);
		char *row = realloc(csv->row, capacity);

		if (!row) {
			csv->error = -ENOMEM;
			return;
		}
		csv->row = row;
		csv->capacity = capacity;
	}
	memcpy(csv->row + csv->length, bytes, length);
	csv->length += length;
}

static void begin_field(struct csv *csv)
{
	if (csv->fields++ > 0)
		append_bytes(csv, ",", 1);
}

void csv__string(struct csv *csv, const char *text)
{
	if (!text)
		text = "";
	begin_field(csv);
	/* An empty field alone in its row would be an empty line, which readers skip. */
	if (!text[strcspn(text, ",\"\r\n")] && (*text || csv->columns > 1)) {
		append_bytes(csv, text, strlen(text));
		return;
	}
	append_bytes(csv, "\"", 1);
	while (*text) {
		size_t plain = strcspn(text, "\"");

		append_bytes(csv, text, plain);
		text += plain;
		if (*text) {
			append_bytes(csv, "\"\"", 2);
			text++;
		}
	}
	append_bytes(csv, "\"", 1);
}

void csv__u64(struct csv *csv, uint64_t value)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, value);

	begin_field(csv);
	append_bytes(csv, digits, (size_t)length);
}

void csv__double(struct csv *csv, double value)
{
	char digits[352]; /* DBL_MAX has 309 digits before the point */
	int length;
	size_t kept = 0;

	begin_field(csv);
	if (!__builtin_isfinite(value))
		return; /* an empty field: there is no such number in CSV */
	length = snprintf(digits, sizeof(digits), "%.3f", value);
	/* The locale's own decimal point, of one byte or several, becomes a point. */
	for (int i = 0; i < length; i++) {
		if ((digits[i] >= '0' && digits[i] <= '9') || digits[i] == '-')
			digits[kept++] = digits[i];
		else if (kept > 0 && digits[kept - 1] != '.')
			digits[kept++] = '.';
	}
	append_bytes(csv, digits, kept);
}

/* Writes the whole row. Cuts the file back after a failure. */
static int write_row(struct csv *csv)
{
	size_t done = 0;
	int err = 0;

	while (done < csv->length) {
		ssize_t n = write(csv->fd, csv->row + done, csv->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	if (err && done > 0 && ftruncate(csv->fd, csv->file_bytes) == 0)
		done = 0;
	csv->file_bytes += (off_t)done;
	return err;
}

int csv__end_row(struct csv *csv)
{
	int err;

	append_bytes(csv, "\r\n", 2);
	err = csv->error;
	if (err)
		goto out;
	err = csv->fields == csv->columns ? write_row(csv) : -EINVAL;
out:
	csv->length = 0;
	csv->fields = 0;
	csv->error = 0;
	return err;
}

/* O_NONBLOCK: opening a pipe without a reader must fail, not wait. */
static int open_file(const char *path, bool replace, int *ret_fd)
{
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct stat st;
	int fd, err = 0;

	fd = open(path, replace ? flags : flags | O_EXCL, 0644);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (S_ISCHR(st.st_mode))
		err = fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ? -errno : 0;
	else if (S_ISREG(st.st_mode))
		err = ftruncate(fd, 0) ? -errno : 0;
	else
		err = -EINVAL;
	if (err)
		goto out;
	*ret_fd = fd;
	fd = -1;
out:
	if (fd >= 0)
		(void)close(fd);
	return err;
}

int csv__create(const char *path, const char *const *columns, unsigned int count, bool replace,
		struct csv **ret_csv)
{
	struct csv *csv;
	int err;

	if (count == 0)
		return -EINVAL;
	csv = calloc(1, sizeof(*csv));
	if (!csv)
		return -ENOMEM;
	csv->fd = -1;
	csv->columns = count;
	err = open_file(path, replace, &csv->fd);
	if (err)
		goto out;
	for (unsigned int i = 0; i < count; i++)
		csv__string(csv, columns[i]);
	err = csv__end_row(csv);
	if (err)
		goto out;
	*ret_csv = csv;
	csv = NULL;
out:
	csv__free(csv);
	return err;
}

void csv__free(struct csv *csv)
{
	if (!csv)
		return;
	if (csv->fd >= 0)
		(void)close(csv->fd);
	free(csv->row);
	free(csv);
}
