/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A word in shared memory that says whose turn it is: the child's, or the fork server's. Each side
 * waits until the other one passes the turn. A child that dies gives it up: the kernel marks the
 * word and wakes the server (a robust futex, see set_robust_list(2)).
 */
#ifndef FORKSERVER_TURN_H
#define FORKSERVER_TURN_H

#include <stdint.h>
#include <sys/types.h>

struct turn {
	/* The number of the child's thread while it is its turn; 0 if it is the server's.
	 * FUTEX_WAITERS is set if the side whose turn it is not sleeps. FUTEX_OWNER_DIED: the child
	 * died in its turn. */
	uint32_t word;
	/* A lock of the C library's has its place in the list of robust locks 32 bytes behind the
	 * word. The pointer before that is the C library's own. */
	uint32_t unused[5];
	void *previous, *next;
};

enum turn_state {
	TURN_CHILD,
	TURN_SERVER,
	TURN_DEAD, /* the child is dead, or will soon be */
};

/* It is the turn of a child that is not born yet. */
void turn__begin(struct turn *turn);
/* In the child: it is the turn of the calling thread. The kernel knows of the word until the thread
 * ends. If it cannot, nobody is woken when the child dies in its turn. */
void turn__adopt(struct turn *turn, pid_t thread);
/* In the child, which has adopted it: takes the turn back. */
void turn__take(struct turn *turn, pid_t thread);
/* In the child: it is the server's turn now. */
void turn__pass(struct turn *turn);
/* In the child: waits until turn__give. */
void turn__await(struct turn *turn, unsigned int spins);
/* In the server: it is the child's turn now. */
void turn__give(struct turn *turn, pid_t thread);
/* In the server: whose turn it is. While it is the child's, waits up to ms milliseconds for a
 * change; 0: does not wait. May return TURN_CHILD earlier. */
enum turn_state turn__look(struct turn *turn, unsigned int spins, int ms);

#endif
