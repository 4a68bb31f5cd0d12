/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands of the control socket for a process that is attached. Each request is one of them.
 * Its answer is one JSON object (docs/socket.md).
 */
#ifndef TRACER_ASK_COMMAND_H
#define TRACER_ASK_COMMAND_H

#include <stdbool.h>
#include <stdio.h>
#include "ask/socket.h"
#include "attach/attach.h"
#include "kernel/list_sharing.h"

#define COMMAND_CLOSE_NEW_FDS "--close-new-fds" /* a word of rollback */
#define COMMAND_FAULT_LIST    "fault-list"      /* no command of tracer ctl */

enum { COMMAND_WORDS = 2 }; /* after a command, at most */

/* What they work on. */
struct commands {
	struct attach *attach; /* NULL: not attached yet, or not any more */
	/* Attaches before the first command that needs it. Returns 0, or why not, as
	 * attach__open(). NULL: attached from the start. */
	int (*open)(struct commands *commands);
	struct list_sharing *sharing; /* with the process itself; NULL: it has not asked */
	const char *stays;            /* why "detach" is refused; NULL: it is not */
	pid_t pid;
	bool closes;      /* the request has COMMAND_CLOSE_NEW_FDS */
	bool is_detached; /* by the command "detach" */
	bool has_broken;  /* a rollback broke off: the process is stopped */
};

/*
 * Does a command have this name, and so many words after it? Returns 0, -REASON_NO_COMMAND,
 * -REASON_MANY_WORDS or -REASON_FEW_WORDS.
 */
int command__check(const char *name, unsigned int words);

/* Command number 0, 1, ... and the words after it as one text (" FILE [NAME]"), for messages; NULL
 * behind the last. */
const char *command__usage(size_t number, const char **ret_words);

/* Carries out a request, for socket__serve(), and writes the answer to out. context: a struct
 * commands. The line of the request is changed. */
void command__answer(void *context, struct socket_request *request, FILE *out);

#endif
