/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ask the tracer for a checkpoint or a restore of this process's own memory, from any C or C++
 * program: one header, one object (client.c needs nothing but the C library). The protocol, four
 * small files in a control directory, is told in docs/protocol.md.
 *
 *	if (savecontext() == 0) {	// memory is held from here on
 *		try_something(input);
 *		recovercontext();	// ... and is back as it was; execution goes on here
 *	}
 *
 * What is rolled back is memory: anonymous mappings, heap and bss. The stack, the registers and all
 * that the kernel keeps (files, offsets, sockets, signals) go on as they are. Hence:
 * - keep counters that must survive a restore on the stack of the main thread;
 * - flush stdio before a checkpoint, because its buffers are on the heap;
 * - call from the main thread: the stack of any other is an anonymous mapping and would be rolled
 *   back under the call;
 * - the compiler does not know that a restore changes memory. As with setjmp(3), data that it could
 *   keep in a register across the call must be reached through a volatile, or through a pointer
 *   that other functions know.
 *
 * The directory is /tmp, or $TRACER_CONTROL_DIR (absolute), which the tracer sets for its program.
 * One request at a time for each directory. No call writes to stdout or stderr, allocates memory or
 * keeps any state between calls.
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
 * $TRACER_TIMEOUT_MS, or CLIENT_TIMEOUT_MS without it. Time in which the tracer is seen to work
 * (it copies inside our system calls, or holds the process stopped) does not count.
 *
 * Returns 0 once the tracer has done it, or
 * - -ETIMEDOUT: nobody answered in time: no tracer, a dead one, or another control directory;
 * - -EIO: the tracer answered that it could not do it (its own message says why), such as a restore
 *   without a checkpoint. After a failed restore memory may be restored in part;
 * - -EEXIST: a control file is in the way that is not a plain file of ours (a link, a directory, or
 *   somebody else's): nothing was asked;
 * - -EPERM: what appeared as the answer is not a plain file with one name, owned by us or by root,
 *   so it was not believed;
 * - -EINVAL: timeout_ms or $TRACER_TIMEOUT_MS is not a number in the range, or $TRACER_CONTROL_DIR
 *   is not absolute;
 * - -ENAMETOOLONG: $TRACER_CONTROL_DIR is too long;
 * - another -errno of creating the request: -ENOENT (the control directory does not exist),
 *   -EACCES, -ENOSPC, -EROFS, -EMFILE, ...
 *
 * Whatever is returned, the request file is gone, if it was made, and so is the completion file. A
 * completion file that only root can remove stays, and the next call says -EEXIST.
 * The client itself changes no memory but the stack and errno, which is not meaningful after it.
 */
int client__save(unsigned int timeout_ms);
int client__restore(unsigned int timeout_ms);

/*
 * Removes the four control files, those that are plain files of ours; leaves any others alone. Safe
 * in a signal handler. Not needed after calls that returned: it is for a program that is about to
 * die in the middle of one.
 * Returns 0, -EINVAL or -ENAMETOOLONG for $TRACER_CONTROL_DIR, or the -errno of the first file that
 * could not be removed (the others are tried all the same).
 */
int client__cleanup(void);

/*
 * A sentence in English for a result of the calls above, that says what to do about it.
 * err: 0 or -errno (errno itself is understood as well). Returns a string that is never NULL and
 * must not be freed; for codes not listed above it is that of strerror(3).
 */
const char *client__strerror(int err);

/*
 * The three historic names: client__save(0), client__restore(0), client__cleanup(). A program that
 * has a function of such a name itself defines CLIENT_NO_SHORT_NAMES before including this; the
 * symbols are weak, so there is no clash at link time either.
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
