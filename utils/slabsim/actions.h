/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The actions of slabsim, for menu and options alike. Each prints its result on stdout, and
 * explains an error of the cache.
 */
#ifndef SLABSIM_ACTIONS_H
#define SLABSIM_ACTIONS_H

#include "simulation.h"

enum { /* limits */
       MOST_OBJECTS = 1000000,
       MOST_OPERATIONS = 1000000,
};

/* All return 0, or -errno after an error, which has been printed. */
int actions__allocate(struct simulation *simulation, uint64_t count);
/* text: the number of an object, "all", or an address after 0x. -EINVAL also for anything else. */
int actions__deallocate(struct simulation *simulation, const char *text);
int actions__status(struct simulation *simulation);
/* Prints a picture after every `every` operations, if that is not 0. */
int actions__run(struct simulation *simulation, uint64_t operations, uint64_t seed, uint64_t every);
int actions__explain(const char *name);

#endif
