/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints of a running process, taken from outside, and the way back to them. They have its
 * private memory, its mappings, and the registers of all its threads. The process needs no
 * preparation, and runs at full speed between two operations: nobody traces it then.
 *
 *	attach__open(PID)
 *	attach__checkpoint(NAME)   stops all threads, saves, lets go
 *	attach__rollback(NAME)     back to that instant, as often as wanted
 *	attach__close()            nothing of us remains in the process
 *
 * Always holds: a rollback that fails before it has changed anything leaves the process as it was.
 * One that fails later leaves it stopped (-REASON_HALF_DONE). If the caller is killed while it
 * changes the process, the process is killed too: it never runs half restored. If the caller is
 * killed at any other instant, the process goes on as if it had never been attached.
 *
 * One thread is to call all functions: for ptrace(2), a single thread is the tracer.
 */
#ifndef TRACER_ATTACH_ATTACH_H
#define TRACER_ATTACH_ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "attach/attach_result.h"
#include "base/procfs.h"
#include "pages/write_tracking.h"

struct attach;
struct hooks;

/*
 * Attaches to process pid.
 * best: the best way of write tracking that may be used. If it does not work here, the next one
 * does: WRITE_TRACKING_PROTECT, _SOFT_DIRTY, _NONE.
 * hooks: with the list of faults (kernel/fault_list.h), which spares a scan; NULL: none; borrowed.
 * Returns 0 and *ret_attach; -ENOMEM; what may_attach__check() returns (may_attach.h), each refusal
 * with a reason of its own; -REASON_NOT_STOPPED; or another -errno.
 */
int attach__open(pid_t pid, enum write_tracking_way best, const struct hooks *hooks,
		 struct attach **ret_attach);

/* To be called when the caller has written to the process by other means, or is about to: the list
 * of faults does not have those pages. The next operation scans. */
void attach__distrust_list(struct attach *attach);

/*
 * Takes a checkpoint.
 * name: letters, digits and "._-", the first no '-', less than ATTACH_NAME_BYTES. NULL: the
 * lowest number that is no name yet. A checkpoint that has this name already is replaced.
 * Returns 0 and *ret_result; -REASON_BAD_NAME; -ESRCH; -REASON_EXECED; -REASON_MEMORY_SHARED; what
 * freeze__stop() returns; or -errno. On failure all checkpoints are as before.
 */
int attach__checkpoint(struct attach *attach, const char *name, struct attach_result *ret_result);

/*
 * Goes back.
 * name: NULL is the newest checkpoint.
 * Returns 0 and *ret_result; -REASON_UNKNOWN_NAME; -REASON_NO_CHECKPOINT; -ESRCH; -REASON_EXECED;
 * -REASON_THREAD_ENDED, -REASON_MEMORY_GONE (shared memory, or a file, that was mapped and is not
 * any more), -REASON_SEALED, -REASON_LIMITED, -REASON_FILE_CUT, and what inject__open() and
 * freeze__stop() return: nothing has changed; -REASON_HALF_DONE: the process is stopped by SIGSTOP,
 * half restored; or -errno.
 */
int attach__rollback(struct attach *attach, const char *name, struct attach_result *ret_result);

/* The same, and closes descriptors that were opened since the checkpoint. */
int attach__rollback_and_close(struct attach *attach, const char *name,
			       struct attach_result *ret_result);

/* Sets what is called at each rollback that succeeds; NULL: nothing. */
void attach__on_return(struct attach *attach, attach_return *call, void *argument);

/* A descriptor that was not the same at the checkpoint and at the last rollback. */
struct attach_file {
	int fd;
	enum attach_file_state {
		ATTACH_FILE_OPENED, /* since the checkpoint; it still is */
		ATTACH_FILE_ENDED,  /* opened since, and closed by the rollback */
		ATTACH_FILE_CLOSED, /* open at the checkpoint, not any more, or another file now */
	} state;
	char name[256]; /* of ATTACH_FILE_OPENED: what it is now; cut; else "" */
};

/* Calls each for every such descriptor. To be called after a rollback. */
void attach__visit_files(const struct attach *attach,
			 void (*each)(const struct attach_file *file, void *argument),
			 void *argument);

/* More about the last failure: which threads, which mapping. "" if there is nothing to say. Valid
 * until the next operation. */
const char *attach__detail(const struct attach *attach);

/* Forgets a checkpoint. The others stay right. Returns 0 or -REASON_UNKNOWN_NAME. */
int attach__delete(struct attach *attach, const char *name);

/* One checkpoint, as attach__visit() shows it. */
struct attach_checkpoint {
	const char *name;
	uint64_t time_ns;   /* CLOCK_REALTIME */
	uint64_t pages;     /* that hold data */
	uint64_t own_bytes; /* what goes free when it is deleted */
	uint32_t threads;
};

/* Calls each for every checkpoint, oldest first. */
void attach__visit(const struct attach *attach,
		   void (*each)(const struct attach_checkpoint *checkpoint, void *argument),
		   void *argument);

struct attach_status {
	pid_t pid;
	enum write_tracking_way way;
	bool has_list; /* of faults: memory need not be scanned */
	uint32_t checkpoints;
	uint64_t store_bytes; /* that all checkpoints take together */
	uint64_t rollbacks;   /* since attach__open */
};

struct attach_status attach__status(const struct attach *attach);

/* Calls each for every mapping that is left alone (shared memory, devices) and that no call has
 * named before. To be called after a checkpoint. */
void attach__name_left_alone(struct attach *attach,
			     void (*each)(const struct mapping *mapping, void *argument),
			     void *argument);

/* Lets go of threads that have stopped later than an operation waited for them, such as a parent
 * that was inside vfork(2). Returns whether some have not stopped yet: to be called again after a
 * while. */
bool attach__release_late(struct attach *attach);

/* A pidfd of the process, which becomes readable when the process ends. Borrowed. */
int attach__pidfd(const struct attach *attach);

/* Lets go: forgets all checkpoints and ends write tracking. The process runs on.
 * attach__close(NULL) is harmless. */
void attach__close(struct attach *attach);

#endif
