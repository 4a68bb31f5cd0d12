/* SPDX-License-Identifier: BSD-2-Clause
 *
 * System calls that are no cancellation points (pthreads(7)), for libckpt's signal handler. At a
 * cancellation point the C library sets a mark in the thread's control block. The mark would be
 * saved in the image, and the restarted thread could be cancelled anywhere. After it, glibc 2.36
 * waits for a cancellation that has begun: for ever, if the handler has interrupted the thread that
 * cancels. All return as the C library's functions do, with errno. Source: glibc,
 * sysdeps/unix/sysdep.h and nptl/cancellation.c.
 */
#ifndef BASE_NOCANCEL_H
#define BASE_NOCANCEL_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline int nocancel__open(const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline int nocancel__close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static inline ssize_t nocancel__read(int fd, void *buffer, size_t bytes)
{
	return syscall(SYS_read, fd, buffer, bytes);
}

static inline ssize_t nocancel__write(int fd, const void *buffer, size_t bytes)
{
	return syscall(SYS_write, fd, buffer, bytes);
}

static inline ssize_t nocancel__read_at(int fd, void *buffer, size_t bytes, off_t offset)
{
	return syscall(SYS_pread64, fd, buffer, bytes, offset);
}

static inline ssize_t nocancel__write_at(int fd, const void *buffer, size_t bytes, off_t offset)
{
	return syscall(SYS_pwrite64, fd, buffer, bytes, offset);
}

static inline int nocancel__fsync(int fd)
{
	return (int)syscall(SYS_fsync, fd);
}

static inline pid_t nocancel__wait(pid_t pid, int *status, int options)
{
	return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

static inline ssize_t nocancel__random(void *bytes, size_t count, unsigned int flags)
{
	return syscall(SYS_getrandom, bytes, count, flags);
}

#endif
