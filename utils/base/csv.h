/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A CSV file (RFC 4180: CRLF after each record, fields quoted where they need it) that grows by
 * whole rows: each row is one write(2), so a writer that is killed leaves every row it finished.
 * The kernel may end a dying process's write at a page boundary: after those rows there can be the
 * beginning of one more, which lacks its CRLF. A reader drops it.
 */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include <stdbool.h>
#include <stdint.h>

struct csv;

/*
 * Creates the file and writes the header row.
 * path: a new file, made with O_EXCL|O_NOFOLLOW and mode 0644. With replace an existing plain file
 * is truncated instead, or a character device such as /dev/null written to; never a symbolic link.
 * columns: count names (at least one), borrowed for the call only.
 * Returns 0 and the writer in *ret_csv (owned by the caller, csv__free), or -errno, among them
 * -EEXIST without replace, -ELOOP for a symbolic link, -EINVAL for another kind of file or no columns. *ret_csv
 * is then untouched, and nothing is left behind but, possibly, an empty file.
 */
int csv__create(const char *path, const char *const *columns, unsigned int count, bool replace,
		struct csv **ret_csv);

/* Append one field to the row being built. They cannot fail; lack of memory is remembered and
 * returned by csv__end_row. */
void csv__string(struct csv *csv, const char *text); /* NULL is an empty field */
void csv__u64(struct csv *csv, uint64_t value);
/* Three decimals, always with a point, whatever the locale; an empty field if not finite. */
void csv__double(struct csv *csv, double value);

/*
 * Writes the row built so far and starts a new one.
 * Returns 0; -EINVAL if the number of fields is not that of the header (the row is dropped);
 * -ENOMEM; or the -errno of the write (a short write is continued). A row that failed is dropped,
 * and what a failed write left of it in the file is cut off.
 */
int csv__end_row(struct csv *csv);

/* Closes and frees; csv__free(NULL) is harmless. A row that was not ended is dropped. */
void csv__free(struct csv *csv);

#endif
