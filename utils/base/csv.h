/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A CSV file (RFC 4180: CRLF after each record, fields quoted where needed) that grows by whole
 * rows. Each row is one write(2), so a writer that is killed leaves all finished rows. The kernel
 * may cut the write of a dying process at a page boundary. The file then ends with a part of a row,
 * without CRLF; readers drop it.
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
 * Returns 0 and the writer in *ret_csv (owned by the caller, csv__free), or -errno:
 * -EEXIST without replace, -ELOOP for a symbolic link, -EINVAL for another kind of file or no
 * columns. On failure *ret_csv is untouched; an empty file may be left.
 */
int csv__create(const char *path, const char *const *columns, unsigned int count, bool replace,
		struct csv **ret_csv);

/* Append one field to the row being built. They cannot fail: csv__end_row returns a lack of
 * memory. */
void csv__string(struct csv *csv, const char *text); /* NULL is an empty field */
void csv__u64(struct csv *csv, uint64_t value);
/* Three decimals after a point, in any locale; an empty field if not finite. */
void csv__double(struct csv *csv, double value);

/*
 * Writes the row built so far and starts a new one.
 * Returns 0; -EINVAL if the number of fields is not that of the header (the row is dropped);
 * -ENOMEM; or the -errno of the write (a short write is continued). A row that failed is dropped;
 * if a part of it was written, the file is cut back.
 */
int csv__end_row(struct csv *csv);

/* Closes and frees; csv__free(NULL) is harmless. A row that was not ended is dropped. */
void csv__free(struct csv *csv);

#endif
