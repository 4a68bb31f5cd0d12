/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See report.h. The CSV file is written by csv.h; the columns stand here.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/csv.h"
#include "base/log.h"
#include "report/report.h"

static const char *const columns[] = {
	"run_id",     "seq",           "time_utc",        "pid",           "comm",
	"op",         "engine",        "regions",         "ranges",        "chunks",
	"bytes",      "absent_chunks", "repaired_chunks", "failed_chunks", "copy_ns",
	"latency_ns", "mib_per_s",     "restore_path",    "kernel",        "status",
	"new_chunks", "gone_chunks",   "clean_chunks",    "dirty_way",     "dirty_pages",
};

struct report {
	struct csv *csv;
	struct totals totals[OPERATION_KINDS];
	uint64_t rows_lost;
	bool is_named; /* by the user */
	char path[PATH_MAX];
	char run_id[64];
	char engine[16];
	char regions[32];
	char kernel[65];
};

/* The results folder: of the source tree when the tracer is its build/tracer, else ./results. */
static int find_folder(char *folder, size_t size)
{
	char self[PATH_MAX - 64], *slash;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct stat status;

	if (length > 0) {
		self[length] = '\0';
		slash = strrchr(self, '/');
		if (slash - self > 6 && !strncmp(slash - 6, "/build", 6)) {
			snprintf(slash - 6, 16, "/Makefile");
			if (!access(self, R_OK)) {
				snprintf(slash - 6, 16, "/results");
				if (!stat(self, &status) && S_ISDIR(status.st_mode)) {
					snprintf(folder, size, "%s", self);
					return 0;
				}
			}
		}
	}
	snprintf(folder, size, "results");
	return mkdir(folder, 0755) && errno != EEXIST ? -errno : 0;
}

/* 0, or -errno after an error message. */
static int set_path(struct report *report, const char *path, const char *program)
{
	char folder[PATH_MAX - 64], name[48];
	int err, length;

	if (path) {
		length = snprintf(report->path, sizeof(report->path), "%s", path);
	} else {
		err = find_folder(folder, sizeof(folder));
		if (err) {
			log__error("cannot create the folder %s for the report: %s; name a file "
				   "with --output",
				   folder, strerror(-err));
			return err;
		}
		snprintf(name, sizeof(name), "%.40s", program);
		length = snprintf(report->path, sizeof(report->path), "%s/%s-%s.csv", folder, name,
				  report->run_id);
	}
	if (length >= (int)sizeof(report->path)) {
		log__error("cannot write the report: its path is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

int report__create(const char *path, const char *program, const char *engine, const char *regions,
		   const char *kernel, struct report **ret_report)
{
	struct report *report = calloc(1, sizeof(*report));
	time_t now = time(NULL);
	char stamp[32];
	struct tm utc;
	int err;

	if (!report)
		return -ENOMEM;
	gmtime_r(&now, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
	snprintf(report->run_id, sizeof(report->run_id), "%s-%d", stamp, getpid());
	snprintf(report->engine, sizeof(report->engine), "%s", engine);
	snprintf(report->regions, sizeof(report->regions), "%s", regions);
	snprintf(report->kernel, sizeof(report->kernel), "%s", kernel);
	report->is_named = path != NULL;
	err = set_path(report, path, program);
	if (err)
		goto out;
	err = csv__create(report->path, columns, sizeof(columns) / sizeof(*columns), path != NULL,
			  &report->csv);
	if (err) {
		log__error("cannot write the report %s: %s; name another file with --output",
			   report->path,
			   err == -ELOOP ? "it is a symbolic link, which is not followed"
					 : strerror(-err));
		goto out;
	}
	*ret_report = report;
	report = NULL;
out:
	report__free(report);
	return err;
}

const char *report__path(const struct report *report)
{
	return report->path;
}

static void add_totals(struct totals *totals, const struct operation_row *row)
{
	totals->count++;
	totals->absent += row->absent;
	totals->repaired += row->repaired;
	totals->failed += row->failed;
	totals->gone += row->gone;
	totals->dirty_pages += row->dirty_pages;
	totals->ways[row->dirty_way]++;
	switch (row->status) {
	case STATUS_OK:
		totals->ok++;
		totals->bytes += row->bytes;
		totals->copy_ns += row->copy_ns;
		histogram__add(&totals->latency, row->latency_ns);
		break;
	case STATUS_PARTIAL:
		totals->partial++;
		break;
	case STATUS_FAILED:
		totals->failed_operations++;
	}
}

const char *report__kind_name(enum operation_kind kind)
{
	static const char *const names[OPERATION_KINDS] = {[OPERATION_CHECKPOINT] = "checkpoint",
							   [OPERATION_RESTORE] = "restore",
							   [OPERATION_ROLLBACK] = "rollback"};

	return names[kind];
}

void report__add(struct report *report, const struct operation_row *row)
{
	static const char *const statuses[] = {"ok", "partial", "failed"};
	double seconds = (double)row->copy_ns / 1e9;
	struct csv *csv = report->csv;
	struct timespec now;
	char stamp[64];
	struct tm utc;
	size_t end;
	int err;

	add_totals(&report->totals[row->kind], row);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	end = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + end, sizeof(stamp) - end, ".%06ldZ", now.tv_nsec / 1000);
	csv__string(csv, report->run_id);
	csv__u64(csv, row->sequence);
	csv__string(csv, stamp);
	csv__u64(csv, (uint64_t)row->pid);
	csv__string(csv, row->comm);
	csv__string(csv, report__kind_name(row->kind));
	csv__string(csv, report->engine);
	csv__string(csv, report->regions);
	csv__u64(csv, row->ranges);
	csv__u64(csv, row->chunks);
	csv__u64(csv, row->bytes);
	csv__u64(csv, row->absent);
	csv__u64(csv, row->repaired);
	csv__u64(csv, row->failed);
	csv__u64(csv, row->copy_ns);
	csv__u64(csv, row->latency_ns);
	csv__double(csv, row->copy_ns ? (double)row->bytes / 1048576.0 / seconds : 0);
	csv__string(csv, row->restore_path);
	csv__string(csv, report->kernel);
	csv__string(csv, statuses[row->status]);
	csv__u64(csv, row->fresh);
	csv__u64(csv, row->gone);
	csv__u64(csv, row->clean);
	csv__string(csv, row->dirty_way ? dirty_way__name(row->dirty_way) : "-");
	csv__u64(csv, row->dirty_pages);
	err = csv__end_row(csv);
	if (err && !report->rows_lost++)
		log__warn("cannot write to the report %s: %s; rows are being lost", report->path,
			  strerror(-err));
}

const struct totals *report__totals(const struct report *report, enum operation_kind kind)
{
	return &report->totals[kind];
}

uint64_t report__rows_lost(const struct report *report)
{
	return report->rows_lost;
}

void report__discard(const struct report *report)
{
	if (!report->is_named)
		(void)unlink(report->path);
}

void report__free(struct report *report)
{
	if (!report)
		return;
	csv__free(report->csv);
	free(report);
}
