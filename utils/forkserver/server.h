/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fork server's side: it has one child that does all runs until it crashes or is killed. Then
 * the server goes on in the dialogue with the fuzzer where the child has left it. If the server's
 * own code is at another place, its calls of read and write do nothing until it has caught up.
 */
#ifndef FORKSERVER_SERVER_H
#define FORKSERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Makes this process a server. Returns 0 or -errno. */
int server__begin(void);

/* In place of fork(2) and wait4(2), whether this process is a server or not. */
pid_t server__fork(void);
pid_t server__wait(pid_t pid, int *status, int options, struct rusage *usage);

/* The server is about to read a command. True if the child has read it already: then it is in
 * *ret_command. */
bool server__command(uint32_t *ret_command);
/* It has read one. */
void server__note_command(void);

/* The server is about to tell a word. True if the child has told it already. */
bool server__is_told(void);
/* It has told it. */
void server__note_told(uint32_t word);

#endif
