/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Why an operation fails. A function that knows more than an errno says returns -REASON_...
 * instead, and callers pass it on as they pass on -errno: the numbers of reasons begin where those
 * of errors end. So EPERM is always the kernel's "Operation not permitted", whichever call it comes
 * from.
 *
 *	int err = freeze__stop(freeze, 0);            0, -errno or -REASON_...
 *	if (err == -REASON_TRACED)                    a reason can be compared
 *		...
 *	log__error("cannot stop: %s", reason__text(err));   and told
 *
 * -ESRCH has one meaning in all of tracer/: the target has ended.
 */
#ifndef TRACER_TARGET_REASON_H
#define TRACER_TARGET_REASON_H

enum reason {
	REASON_TRACED = 4096,     /* another process traces the target; errnos end at 4095 */
	REASON_PTRACE_FORBIDDEN,  /* nobody traces it, and yet ptrace(2) refuses */
	REASON_NOT_STOPPED,       /* a thread did not stop in time */
	REASON_NOT_POLLING,       /* the thread that asked does not poll any more */
	REASON_EMULATED,          /* it runs under valgrind */
	REASON_USERFAULT,         /* it serves its own page faults */
	REASON_MAPPINGS_CHANGING, /* between any two polls of a copy */
	REASON_OVERTAKEN,         /* the target has given up the request and asked anew */
	REASON_EVENTS_LOST,       /* so that no one knows what the snapshot belongs to */
	REASON_CHUNK_LIMIT,       /* --max-chunks */
	REASON_SLAB_LIMIT,        /* more than the slab table can address */
	REASON_COPY_BROKEN,       /* a program in the kernel gave up */
	REASON_CHUNKS_CUT_OFF,    /* the kernel ended its list of a chunk store within a record */
	REASON_NO_SNAPSHOT,       /* to be restored */
	REASON_THREADS_CHANGED,   /* since the checkpoint */
	REASON_MAIN_STACK,        /* it polls on the main stack, which is tracked */
	REASON_STACK_TRACKED,     /* the stack of the thread that polls would be rolled back */
	REASON_OWN_USERFAULT,     /* it has a userfaultfd of its own */
	REASON_CALLS_FILTERED,    /* seccomp or syscall user dispatch could end it for a call */
	REASON_CALLS_FOREIGN,     /* it runs 32-bit or x32 code */
	REASON_NO_SYSCALL,        /* no place that it may execute has the instruction */
	REASON_SELF,              /* the caller itself */
	REASON_KERNEL_THREAD,     /* a thread of the kernel, without memory of its own */
	REASON_NOT_A_PROCESS,     /* the id of a thread, not of a process */
	REASON_LEADER_ENDED,      /* or the thread in its place, and others run on */
	REASON_PID_NAMESPACE,     /* it is in another PID namespace */
	REASON_OTHER_USER,        /* it belongs to another user */
	REASON_YAMA,              /* the setting kernel.yama.ptrace_scope forbids ptrace(2) */
	REASON_EXECED,            /* it runs another program than at the checkpoint */
	REASON_NO_CHECKPOINT,     /* to roll back to */
	REASON_UNKNOWN_NAME,      /* no checkpoint has this name */
	REASON_BAD_NAME,          /* no checkpoint can have this name */
	REASON_NO_COMMAND,        /* of tracer ctl has this name */
	REASON_MANY_WORDS,        /* after a command */
	REASON_FEW_WORDS,
	REASON_NO_USER,         /* of that name */
	REASON_NO_RUN_FOLDER,   /* for control sockets */
	REASON_NO_SOCKET,       /* something else lies at the path of the control socket */
	REASON_FOLDER_LOCKED,   /* the folder of the control socket */
	REASON_THREAD_ENDED,    /* a thread of the checkpoint */
	REASON_MEMORY_GONE,     /* a mapping that cannot be made again */
	REASON_PAGES_LOST,      /* written since, in a mapping whose file cannot be opened */
	REASON_SEALED,          /* a mapping that cannot be changed, mseal(2) */
	REASON_LIMITED,         /* a limit of setrlimit(2) is too low to map memory again */
	REASON_FILE_CUT,        /* a mapped file is too short for a page of the checkpoint */
	REASON_STATE_NOT_SAVED, /* a thread has registers that no image holds */
	REASON_MEMORY_SHARED,   /* another process has the same memory */
	REASON_NOT_WRITTEN,     /* an image, into its file */
	REASON_HALF_DONE,       /* a rollback failed after it had changed something */
	REASONS_END,
};

/* The text for a message, of a -REASON_..., a -IMAGE_... (image_reason.h), a -PROCFS_...
 * (procfs_reason.h) or an -errno. Valid until the next call. */
const char *reason__text(int err);

#endif
