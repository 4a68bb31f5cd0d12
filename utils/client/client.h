/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asks the tracer for a checkpoint or a restore of this process's own memory, from any C or C++
 * program. It is one header and one object (client.c needs only the C library). docs/protocol.md
 * describes the protocol, small files in a control folder.
 *
 *	if (savecontext() == 0) {	// memory is saved as it is here
 *		try_something(input);
 *		recovercontext();	// memory is back; execution continues here
 *	}
 *
 * client__save_whole() and client__rollback() take all of the process back, and execution with it:
 *
 *	if (client__save_whole(0) == 0) {	// CLIENT_BACK: we have come back
 *		try_something(input);
 *		client__rollback(0);		// returns only if it has failed
 *	}
 *
 * A restore rolls back only memory: anonymous mappings, heap and bss. The stack, the registers and
 * kernel state (files, offsets, sockets, signals) stay as they are. Hence:
 * - keep counters that must survive a restore on the stack of the main thread;
 * - flush stdio before a checkpoint, because its buffers are on the heap;
 * - call from the main thread: stacks of other threads are anonymous mappings, and would be rolled
 *   back during the call;
 * - the compiler does not know that a restore changes memory. As with setjmp(3), it may keep data
 *   in a register across the call. Access such data through a volatile, or through a pointer that
 *   other functions know.
 *
 * The directory is /tmp, or $TRACER_CONTROL_DIR (absolute), which the tracer sets for its program.
 * One request at a time for each directory. No call writes to stdout or stderr, allocates memory,
 * or keeps state between calls.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#ifdef __cplusplus
extern "C" {
#endif

#define CLIENT_TIMEOUT_MS     10000 /* how long a tracer may stay silent, unless told otherwise */
#define CLIENT_TIMEOUT_MAX_MS 86400000 /* a day */

/*
 * Takes a checkpoint (client__save) or puts the last checkpoint back (client__restore).
 * timeout_ms: how long to wait for an answer, 1 to CLIENT_TIMEOUT_MAX_MS; 0 means
 * $TRACER_TIMEOUT_MS, or CLIENT_TIMEOUT_MS without it. Time in which the tracer visibly works (it
 * copies inside our system calls, or has stopped the process) does not count.
 *
 * Returns 0 once the tracer has done it, or
 * - -ETIMEDOUT: nobody answered in time: no tracer, a dead one, or another control folder;
 * - -EIO: the tracer refused or failed, such as a restore without a checkpoint; its own message
 *   tells the reason. After a failed restore memory may be partly restored;
 * - -EEXIST: a control file exists that is not a plain file of ours (a link, a directory, or
 *   somebody else's): nothing was asked;
 * - -EPERM: the answer is not a plain file with one name, owned by us or by root, so it was not
 *   believed;
 * - -EINVAL: timeout_ms or $TRACER_TIMEOUT_MS is not a number in the range, or $TRACER_CONTROL_DIR
 *   is not absolute;
 * - -ENAMETOOLONG: $TRACER_CONTROL_DIR is too long;
 * - another -errno of creating the request file: -ENOENT (the control folder does not exist),
 *   -EACCES, -ENOSPC, -EROFS, -EMFILE, ...
 *
 * In any case the request and the completion file are gone afterwards. A completion file that only
 * root can remove stays, and the next call returns -EEXIST.
 * The client itself changes no memory except the stack and errno, whose value is meaningless.
 */
int client__save(unsigned int timeout_ms);
int client__restore(unsigned int timeout_ms);

/*
 * Takes a checkpoint of the whole process, for client__rollback(): memory with all stacks,
 * mappings, registers and threads. Returns 0 once it is taken, and CLIENT_BACK each time that a
 * rollback has come back to it. All variables are then as they were. On failure as client__save().
 */
#define CLIENT_BACK 1
int client__save_whole(unsigned int timeout_ms);

/*
 * Goes back to the last client__save_whole(), which then returns CLIENT_BACK. Files, sockets and
 * time are not rolled back. Any thread may call it. Returns only if that has failed. -EIO: there is
 * no such checkpoint, or one of its threads has ended (the tracer says which). Else as
 * client__save().
 */
int client__rollback(unsigned int timeout_ms);

/*
 * Removes the control files that are plain files of ours. Safe in a signal handler.
 * For a program that is about to die during a call; not needed after calls that returned.
 * Returns 0, -EINVAL or -ENAMETOOLONG for $TRACER_CONTROL_DIR, or the -errno of the first file that
 * could not be removed (the others are still tried).
 */
int client__cleanup(void);

/*
 * A sentence in English for a result of the calls above, and what to do about it.
 * err: 0, -errno, or errno. Returns a string that is never NULL and must not be freed; for codes
 * that are not listed above, that of strerror(3).
 */
const char *client__strerror(int err);

/*
 * Short names for client__save(0), client__restore(0) and client__cleanup(). A program with
 * functions of these names defines CLIENT_NO_SHORT_NAMES before it includes this file. The symbols
 * are weak, so they do not clash at link time either.
 */
#ifndef CLIENT_NO_SHORT_NAMES
int savecontext(void);
int recovercontext(void);
int cleanup(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
