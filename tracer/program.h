/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The traced program as a child process. It is held before its exec until it is released. So the
 * hooks are in place and know its pid before its first instruction.
 */
#ifndef TRACER_PROGRAM_H
#define TRACER_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct program;

/* Looks for a program where execvp(3) does. Returns 0 if it can be run; -ENOENT or -ENOTDIR if it
 * is not found; or another -errno. What another user may do is known after program__release. */
int program__look_up(const char *name);

/* Forks the child, which waits. argv: the program and its arguments, borrowed until
 * program__release. user: name or number of the user to run it as; NULL: the user who called sudo,
 * else the caller. control_dir: TRACER_CONTROL_DIR in its environment. mask: its signal mask.
 * Returns 0 and *ret_program; -REASON_NO_USER; or -errno. */
int program__start(char **argv, const char *user, const char *control_dir, const sigset_t *mask,
		   struct program **ret_program);

pid_t program__pid(const struct program *program);

/*
 * Lets it exec and waits until it has. Returns 0, or the -errno of what failed: of execvp (-ENOENT
 * and -ENOTDIR: not found), or of becoming the user (*ret_what says which, a static string).
 */
int program__release(struct program *program, const char **ret_what);

/* Has it ended? Collects its status once it has. */
bool program__has_ended(struct program *program);

/* Its exit status as a shell tells it: 0 to 255, 128 + N for signal N. Only after it has ended. */
int program__exit_status(const struct program *program);

/* The signal that ended it; 0: none, or it has not ended. */
int program__signal(const struct program *program);

/* Kills a program that was never released; frees. program__free(NULL) is harmless. */
void program__free(struct program *program);

#endif
