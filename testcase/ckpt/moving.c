/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program whose memory changes while its image is written, in every place where that may be: the
 * kernel writes to the rseq area of a thread when it moves to another processor, and a thread that
 * has come to the gathering is still on its way to sleep. By chance that happens between the
 * checksum of a page and its write; here it happens each time: libckpt calls the crc32() of this
 * file, which changes those places. Says "ready", and ends when a file "finish" is there.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/rseq.h>
#include <unistd.h>
#include <zlib.h>

enum { THREADS = 3, BELOW = 40 << 10 };

static volatile uint32_t *places[2 * THREADS];
static unsigned int place_count, threads_ready;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

uLong crc32(uLong crc, const Bytef *bytes, uInt count) /* as in zlib.h */
{
	uLong (*real)(uLong, const Bytef *, uInt) = dlsym(RTLD_NEXT, "crc32");
	uLong result = real(crc, bytes, count);

	for (unsigned int i = 0; i < place_count; i++)
		++*places[i];
	return result;
}

/* Waits for the end. Two words change from now on: one below all that is in use of its stack, where
 * the frames of its signal handler will be, and one of its rseq area, the last of 32 bytes, which
 * has no meaning yet. */
static void *wait_for_finish(void *argument)
{
	uintptr_t frames = (uintptr_t)__builtin_frame_address(0) - BELOW;
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	pthread_mutex_lock(&mutex);
	places[place_count++] = (volatile uint32_t *)(frames / 4 * 4); /* NOLINT: an address */
	if (__rseq_size)
		places[place_count++] = (volatile uint32_t *)(void *)(area + 28);
	for (unsigned int i = 0; i < place_count; i++)
		*places[i] = 1; /* not a page of zeros */
	if (++threads_ready == THREADS) {
		printf("ready\n");
		(void)fflush(stdout);
	}
	pthread_mutex_unlock(&mutex);
	while (access("finish", F_OK) != 0)
		(void)usleep(10000);
	return argument;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (unsigned int i = 1; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, wait_for_finish, NULL))
			return EXIT_FAILURE;
	(void)wait_for_finish(NULL);
	for (unsigned int i = 1; i < THREADS; i++)
		if (pthread_join(threads[i], NULL))
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
