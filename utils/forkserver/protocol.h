/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The protocol between afl-fuzz and the fork server in its target, as far as it matters here. For
 * each run the server reads 4 bytes from COMMAND_FD. If they are not 0, the fuzzer has killed the
 * child of the last run. The server forks, writes the number of the child to ANSWER_FD, waits for
 * the child, and writes its status. See __afl_start_forkserver in AFL++'s afl-compiler-rt.o.c.
 */
#ifndef FORKSERVER_PROTOCOL_H
#define FORKSERVER_PROTOCOL_H

enum { COMMAND_FD = 198, ANSWER_FD = 199 };

#endif
