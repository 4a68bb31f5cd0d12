/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ldso_locks.h. dlopen(3), dlclose(3) and dl_iterate_phdr(3), which C++ exceptions use, hold
 * locks in glibc's _rtld_global. Their place in it depends on the version, so they are
 * recognised by what a held lock looks like: a recursive mutex of a thread that was there.
 * Source: glibc, bits/struct_mutex.h.
 */
#include "libckpt/ldso_locks.h"

#include <pthread.h>

void ldso_locks__renumber(const struct ldso_locks *locks, const struct stopped_thread *threads)
{
	for (size_t at = 0; at + sizeof(pthread_mutex_t) <= locks->bytes; at += sizeof(void *)) {
		pthread_mutex_t *lock = (void *)(locks->start + at);

		if (lock->__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP && lock->__data.__lock > 0 &&
		    lock->__data.__count > 0 && lock->__data.__nusers == 1)
			lock->__data.__owner =
				capture_threads__new_tid(threads, lock->__data.__owner);
	}
}
