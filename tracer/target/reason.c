/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The texts of reasons. A text says what the user can do, if there is something.
 */
#include <errno.h>
#include "image/image_reason.h"
#include "target/reason.h"

#define TEXT(reason) [(reason)-REASON_TRACED]

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): some texts have two lines */
static const char *const texts[] = {
	TEXT(REASON_TRACED) = "another process traces the target (gdb, strace?)",
	TEXT(REASON_PTRACE_FORBIDDEN) = "ptrace of the target is forbidden",
	TEXT(REASON_NOT_STOPPED) = "the target did not stop in time; a parent "
				   "inside vfork(2) cannot be stopped",
	TEXT(REASON_NOT_POLLING) = "the target stopped polling",
	TEXT(REASON_EMULATED) = "the target runs under valgrind, which keeps its registers in "
				"memory: it cannot be rolled back",
	TEXT(REASON_USERFAULT) = "the target serves faults of tracked memory with userfaultfd, and "
				 "could not while it stands still; unregister that memory first",
	TEXT(REASON_MAPPINGS_CHANGING) =
		"the target changed its mappings again and again while they were copied",
	TEXT(REASON_OVERTAKEN) = "the target gave up this request and made a new one",
	TEXT(REASON_EVENTS_LOST) =
		"events were lost and the snapshot with them; ask for a new checkpoint",
	TEXT(REASON_CHUNK_LIMIT) =
		"the limit of the chunk store is reached; allow more with --max-chunks",
	TEXT(REASON_SLAB_LIMIT) = "more than 64 GiB of memory hold data; slabs cannot hold more",
	TEXT(REASON_COPY_BROKEN) = "the copy in the kernel broke off",
	TEXT(REASON_CHUNKS_CUT_OFF) = "the kernel did not list all chunks of the snapshot",
	TEXT(REASON_NO_SNAPSHOT) = "there is no snapshot to restore; ask for a checkpoint first",
	TEXT(REASON_THREADS_CHANGED) =
		"threads have started or ended since the checkpoint, and its memory would not fit "
		"them; let threads wait, or ask for a new checkpoint",
	TEXT(REASON_MAIN_STACK) =
		"--regions has stack, and the target polls on that stack; leave stack out, or ask "
		"on a stack in a shared mapping of a file",
	TEXT(REASON_STACK_TRACKED) =
		"the stack of the thread that polls is in tracked memory (a coroutine, a "
		"goroutine, a signal handler, another thread?) and would be rolled back; ask on "
		"the main thread's own stack, or on one in a shared mapping of a file",
	TEXT(REASON_OWN_USERFAULT) = "the target uses userfaultfd itself",
	TEXT(REASON_CALLS_FILTERED) =
		"the target filters its system calls (seccomp, syscall user dispatch), and the "
		"filter could end it for a call of the tracer",
	TEXT(REASON_CALLS_FOREIGN) = "the target runs 32-bit or x32 code; build it for 64 bits",
	TEXT(REASON_NO_SYSCALL) = "nothing that the target may execute has a syscall instruction",
	TEXT(REASON_SELF) = "it is the tracer itself; name another process",
	TEXT(REASON_KERNEL_THREAD) =
		"it is a thread of the kernel; name a process that runs a program",
	TEXT(REASON_NOT_A_PROCESS) = "it is a thread; name its process",
	TEXT(REASON_LEADER_ENDED) = "the thread that showed its memory has ended; attach anew "
				    "with tracer -p",
	TEXT(REASON_PID_NAMESPACE) = "it is in another PID namespace; run the tracer there",
	TEXT(REASON_OTHER_USER) = "it belongs to another user, or has more rights; run the tracer "
				  "as root",
	TEXT(REASON_YAMA) = "the setting kernel.yama.ptrace_scope forbids it; run the tracer as "
			    "root, or set it to 0",
	TEXT(REASON_EXECED) = "the target runs another program since the checkpoint",
	TEXT(REASON_NO_CHECKPOINT) = "there is no checkpoint; take one first",
	TEXT(REASON_UNKNOWN_NAME) = "there is no checkpoint of that name",
	TEXT(REASON_BAD_NAME) = "a name has letters, digits, '.', '_' and '-', at most 63, and "
				"begins with no '-'",
	TEXT(REASON_NO_COMMAND) = "there is no such command",
	TEXT(REASON_MANY_WORDS) = "too many words",
	TEXT(REASON_FEW_WORDS) = "a word is missing",
	TEXT(REASON_NO_USER) = "there is no such user",
	TEXT(REASON_NO_RUN_FOLDER) =
		"XDG_RUNTIME_DIR is not set; name the control socket with --control-socket PATH",
	TEXT(REASON_NO_SOCKET) = "it is there and is no socket",
	TEXT(REASON_FOLDER_LOCKED) = "another process holds a lock (flock) on its folder",
	TEXT(REASON_THREAD_ENDED) =
		"a thread of the checkpoint has ended, and cannot be made again",
	TEXT(REASON_MEMORY_GONE) = "a mapping of the checkpoint is gone, and cannot be made again",
	TEXT(REASON_PAGES_LOST) =
		"pages of a mapped file were written since the checkpoint, and the "
		"file cannot be opened; root can open a deleted one",
	TEXT(REASON_SEALED) = "a mapping that has changed since the checkpoint is sealed, mseal(2)",
	TEXT(REASON_LIMITED) = "a limit of the process is too low for the mappings of the "
			       "checkpoint; raise it with prlimit(1): AS or DATA",
	TEXT(REASON_FILE_CUT) =
		"a file has been truncated that is mapped, and has pages of the checkpoint",
	TEXT(REASON_STATE_NOT_SAVED) = "a thread uses a shadow stack or AMX tiles, which no image "
				       "holds",
	TEXT(REASON_MEMORY_SHARED) =
		"another process has the same memory (clone(2) with CLONE_VM), and "
		"would be changed with it",
	TEXT(REASON_NOT_WRITTEN) = "the image is not written",
	TEXT(REASON_HALF_DONE) =
		"the rollback broke off half-way; the target is stopped by SIGSTOP "
		"and not usable any more",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */
_Static_assert(sizeof(texts) / sizeof(*texts) == REASONS_END - REASON_TRACED,
	       "a text for each reason");

const char *reason__text(int err)
{
	int number = -err;

	if (number >= REASON_TRACED && number < REASONS_END)
		return texts[number - REASON_TRACED];
	if (number == ESRCH)
		return "the target has ended";
	if (number == ENOMEM)
		return "Cannot allocate memory: a snapshot takes as much as the target's data";
	return image_reason__text(err);
}
