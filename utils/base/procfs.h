/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What /proc tells about a process: its files there, its mappings, its threads.
 * Source: proc(5). procfs_reason.h has the reasons.
 */
#ifndef BASE_PROCFS_H
#define BASE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Files below /proc/PID, named from there ("maps", "fd/3"). pid 0 means the caller. Functions that
 * return a number return -ESRCH when there is no such file, since the process, thread, descriptor
 * or mapping is gone; or another -errno. */

/* Writes the path of a file into ret_path, cut at size - 1 bytes, and returns it. */
const char *procfs__path(pid_t pid, const char *name, char *ret_path, size_t size);

/* Opens a file; O_CLOEXEC is added to flags. Returns the descriptor. */
int procfs__open(pid_t pid, const char *name, int flags);

/* Reads the first bytes of a file: at most size. Returns their number. */
ssize_t procfs__read(pid_t pid, const char *name, void *bytes, size_t size);

/* Reads the beginning of a file into ret_text as a string, cut at size - 1 bytes; untouched on
 * failure. Returns its length. */
ssize_t procfs__string(pid_t pid, const char *name, char *ret_text, size_t size);

/* Reads a link into ret_text as a string, cut at size - 1 bytes; untouched on failure. Returns its
 * length. */
ssize_t procfs__readlink(pid_t pid, const char *name, char *ret_text, size_t size);

/* stat(2). Returns 0. */
int procfs__stat(pid_t pid, const char *name, struct stat *ret_status);

/* struct mapping, flags */
enum {
	MAPPING_READ = 1 << 0,
	MAPPING_WRITE = 1 << 1,
	MAPPING_EXEC = 1 << 2,
	MAPPING_SHARED = 1 << 3,
};

/* One line of /proc/PID/maps. */
struct mapping {
	uint64_t start, end; /* bytes, page-aligned */
	uint64_t offset;     /* bytes into the file */
	uint64_t inode;      /* 0: no file */
	uint32_t dev_major, dev_minor;
	uint32_t flags;
	/* As the kernel writes it: "", "[heap]", "/dev/zero (deleted)"; a newline is "\012". Part
	 * of the block that struct mappings owns. */
	char *path;
};

struct mappings {
	struct mapping *items; /* in address order */
	size_t count;
};

/*
 * Reads all of /proc/PID/maps. pid 0 means the caller. The list is complete and of one address
 * space, even if the process dies or execs meanwhile. If the process runs and changes its mappings,
 * the list is not that of one moment. But it has all mappings that did not change, and no two items
 * overlap. A kernel thread has none. Returns 0 and fills *ret (free it with procfs__free_mappings);
 * -ESRCH when the process is gone or a zombie, or its first thread has ended; -PROCFS_MALFORMED for
 * a line that cannot be parsed; or another -errno. *ret is untouched on failure.
 */
int procfs__mappings(pid_t pid, struct mappings *ret);

/* The same from a text in that format. */
int procfs__parse_mappings(const char *text, struct mappings *ret);

/* The number of the first mapping that ends above address; mappings->count if none does. */
size_t procfs__first_above(const struct mappings *mappings, uint64_t address);

/* Copies a list. Returns 0 and fills *ret, or -ENOMEM. */
int procfs__copy_mappings(const struct mappings *mappings, struct mappings *ret);

/* Frees what *m holds and empties it; harmless on a zeroed struct and twice. */
void procfs__free_mappings(struct mappings *m);

/* Writes "map_files/START-END", the name below /proc/PID of the link to the mapped file, and
 * returns name. The link works even if that file has been deleted, or has no name. */
enum { PROCFS_MAP_FILE_BYTES = 48 };
char *procfs__map_file(const struct mapping *mapping, char name[PROCFS_MAP_FILE_BYTES]);

/*
 * Lists the threads of a process: *ret_tids is a malloc'ed array of *ret_count ids in no particular
 * order, owned by the caller. Threads that start or end meanwhile may be listed or not.
 * Returns 0, -ESRCH or another -errno; on failure both are untouched.
 */
int procfs__threads(pid_t pid, pid_t **ret_tids, size_t *ret_count);

enum { PROCFS_FIELDS = 53 };

struct procfs_fields {
	char name[64];
	/* By their numbers in proc_pid_stat(5), from 3 on; that of the state is its letter. */
	uint64_t items[PROCFS_FIELDS];
};

/* Reads /proc/PID/FILE: "stat", or that of a thread. pid 0 means the caller. Returns 0; -ESRCH;
 * -PROCFS_MALFORMED; or another -errno. On failure *ret is untouched. */
int procfs__fields(pid_t pid, const char *file, struct procfs_fields *ret);

/* Is there such a process? True of one that has ended while its parent has not waited for it. */
bool procfs__is_there(pid_t pid);

/*
 * One number of /proc/PID/status by its key, such as "VmHWM" (kB), "TracerPid" or "Threads".
 * pid 0 means the caller. Returns 0; -ESRCH; -ENOENT if there is no such key; -PROCFS_MALFORMED if
 * its value is no number; or another -errno. On failure *ret_value is untouched.
 */
int procfs__status_u64(pid_t pid, const char *key, uint64_t *ret_value);

/* Bytes of kernel memory of a BPF map that the caller has open as fd, from its fdinfo; 0 if the
 * kernel does not tell. */
uint64_t procfs__map_memory(int fd);

/* Bytes of memory that are available without swapping (MemAvailable of /proc/meminfo); the largest
 * number if the kernel does not tell. */
uint64_t procfs__available_memory(void);

#endif
