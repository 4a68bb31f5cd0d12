/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See objects.h. The image is not believed: an object that the kernel refuses is missing.
 */
#include "reopen/objects.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "image/image_pair.h"
#include "process/socket_options.h"
#include "reopen/high_files.h"

#ifndef TFD_IOC_SET_TICKS /* of linux/timerfd.h, which does not go with the C library's */
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

enum { SECOND_NS = 1000000000 };

const struct image_object *objects__find(const struct image *image, int fd)
{
	for (size_t i = 0; i < image->object_count; i++) {
		if (image->objects[i].fd == fd)
			return &image->objects[i];
	}
	return NULL;
}

/* ---- the kinds ---- */

static int make_eventfd(const struct image_object *object)
{
	const uint64_t count = object->values[0];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (object->values[1] ? EFD_SEMAPHORE : 0));

	if (fd >= 0 && count && write(fd, &count, sizeof(count)) != sizeof(count)) {
		(void)close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)};
}

/* The moment at which a timer that notices steps of its clock expires: it has no other kind. */
static struct timespec moment_of(int clock, uint64_t left)
{
	struct timespec now = {0};

	(void)clock_gettime(clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : clock, &now);
	return time_of((uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec + left);
}

/* A timer of a moment goes on with the time that was left, as all timers do. One that repeats, and
 * whose expiration was not read, has none left: it expires at once, and goes on from then. */
static int make_timerfd(const struct image_object *object)
{
	const uint64_t left = object->values[1], interval = object->values[2];
	const uint64_t ticks = object->values[3];
	const bool has_expired = !left && interval && ticks;
	const bool is_cancelled = left && object->values[0] >> 32 & IMAGE_CANCEL_ON_SET;
	const int clock = (int)(object->values[0] & UINT32_MAX);
	struct itimerspec time = {.it_value = time_of(has_expired ? 1 : left),
				  .it_interval = time_of(interval)};
	int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -1;
	if (is_cancelled)
		time.it_value = moment_of(clock, left);
	(void)timerfd_settime(fd, is_cancelled ? TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET : 0,
			      &time, NULL);
	if (ticks && !has_expired)
		(void)ioctl(fd, TFD_IOC_SET_TICKS, &ticks);
	return fd;
}

/* The kernel's own call: of a sigset_t the C library takes some signals out. */
static int make_signalfd(const struct image_object *object)
{
	return (int)syscall(SYS_signalfd4, -1, &object->values[0], sizeof(uint64_t),
			    SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Returns the reading end, and the writing end in *ret_writing. */
static int make_pipe(const struct image *image, const struct image_object *object, int *ret_writing)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	(void)fcntl(ends[1], F_SETPIPE_SZ, (int)object->values[1]);
	if (write(ends[1], image->contents + object->contents, object->bytes) !=
	    (ssize_t)object->bytes) {
		(void)close(ends[0]);
		(void)close(ends[1]);
		errno = ENOSPC;
		return -1;
	}
	*ret_writing = ends[1];
	return ends[0];
}

static void pass_credentials(int fd, bool pass)
{
	const int value = pass;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, sizeof(value));
}

static bool passes_credentials(const struct image_object *pair)
{
	return pair->values[3] & IMAGE_PASS_CREDENTIALS;
}

/* Packets have the credentials of who sends them if the other end passes them. An end that passes
 * them itself would be given an address when it sends. */
static bool send_all(int from, int to, const struct image *image, const struct image_object *pair)
{
	struct image_packet packet;
	size_t at = 0;

	pass_credentials(from, false);
	pass_credentials(to, passes_credentials(pair));
	while (image_pair__next(image, pair, &at, &packet)) {
		const ssize_t n = send(from, packet.bytes, packet.length, MSG_NOSIGNAL);

		if (n >= 0 && (size_t)n != packet.length)
			errno = ENOSPC;
		if (n < 0 || (size_t)n != packet.length)
			return false;
	}
	return true;
}

/* Without rights, a buffer is not larger than net.core.wmem_max. The kernel doubles what it is
 * told. */
static void set_buffer(int fd, int name, int forced_name, int bytes)
{
	const int half = bytes / 2;

	if (setsockopt(fd, SOL_SOCKET, forced_name, &half, sizeof(half)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, name, &half, sizeof(half));
}

static void set_options(int fd, const struct image_object *pair)
{
	pass_credentials(fd, passes_credentials(pair));
	set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, (int)(pair->values[2] & UINT32_MAX));
	set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, (int)(pair->values[2] >> 32));
}

static void shut_down(int fd, const struct image_object *pair)
{
	const unsigned int shut = image_pair__shutdown(pair);

	if (shut & IMAGE_SHUT_READ)
		(void)shutdown(fd, SHUT_RD);
	if (shut & IMAGE_SHUT_WRITE)
		(void)shutdown(fd, SHUT_WR);
}

/* Returns this end, and the other one in *ret_other. What is in a pair was sent in pieces of other
 * sizes, which may have taken less room: it is filled with larger buffers than it had. */
static int make_pair(const struct image *image, const struct image_object *pair, int *ret_other)
{
	const struct image_object *other = image_pair__other(image, pair);
	int ends[2], kept;

	if (socketpair(AF_UNIX, image_pair__type(pair) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++)
		set_buffer(ends[i], SO_SNDBUF, SO_SNDBUFFORCE, INT_MAX);
	if (!send_all(ends[1], ends[0], image, pair) ||
	    (other && !send_all(ends[0], ends[1], image, other))) {
		kept = errno;
		(void)close(ends[0]);
		(void)close(ends[1]);
		errno = kept;
		return -1;
	}
	set_options(ends[0], pair);
	shut_down(ends[0], pair);
	if (other) {
		set_options(ends[1], other);
		shut_down(ends[1], other);
		*ret_other = ends[1];
	} else {
		(void)close(ends[1]);
	}
	return ends[0];
}

static bool listens(const struct image_object *object)
{
	return (object->values[1] & UINT32_MAX) != SOCK_DGRAM;
}

/* The file of a socket that nobody listens at any more, as the process has left it. Returns its
 * permissions, or 0 if there is none. */
static mode_t remove_stale(const struct image_object *object,
			   const struct sockaddr_storage *address)
{
	const struct sockaddr_un *local = (const struct sockaddr_un *)address;
	struct stat st;
	int fd;

	if (address->ss_family != AF_UNIX || !local->sun_path[0] ||
	    lstat(local->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	fd = socket(AF_UNIX, (int)(object->values[1] & UINT32_MAX) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)address, object->bytes) < 0 &&
	    errno == ECONNREFUSED)
		(void)unlink(local->sun_path);
	(void)close(fd);
	return st.st_mode & 07777;
}

/* A socket for datagrams that has no port yet: bind(2) would give it one. */
static bool is_unbound(const struct image_object *object, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	return !listens(object) && ((address->ss_family == AF_INET && !v4->sin_port) ||
				    (address->ss_family == AF_INET6 && !v6->sin6_port));
}

static int make_socket(const struct image *image, const struct image_object *object)
{
	const int type = (int)(object->values[1] & UINT32_MAX);
	struct sockaddr_storage address = {0};
	int fd, kept, one = 1;
	mode_t mode;

	if (object->bytes >= sizeof(address)) { /* a path in it ends with a NUL */
		errno = EINVAL;
		return -1;
	}
	memcpy(&address, image->contents + object->contents, object->bytes);
	fd = socket((int)object->values[0], type | SOCK_CLOEXEC, (int)(object->values[1] >> 32));
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < SOCKET_OPTIONS; i++) {
		const struct socket_option *option = &socket_options__all[i];

		if (object->values[3] & option->bit)
			(void)setsockopt(fd, option->level, option->name, &one, sizeof(one));
	}
	mode = remove_stale(object, &address);
	if (is_unbound(object, &address))
		return fd;
	if (bind(fd, (const struct sockaddr *)&address, object->bytes) == 0 &&
	    (!mode || chmod(((const struct sockaddr_un *)&address)->sun_path, mode) == 0) &&
	    (!listens(object) || listen(fd, (int)object->values[2]) == 0))
		return fd;
	kept = errno;
	(void)close(fd);
	errno = kept;
	return -1;
}

/* ---- all ---- */

static size_t index_of(const struct image *image, int fd)
{
	size_t i = 0;

	while (i < image->file_count && image->files[i].fd != fd)
		i++;
	return i;
}

/* Takes a new descriptor, or what errno says. */
static void take(const struct image *image, int fd, int made, int first_fd, int *ret_made,
		 int *errors)
{
	const size_t i = index_of(image, fd);
	int moved = made < 0 ? -errno : high_files__move_one(made, first_fd);

	if (i < image->file_count && moved >= 0) {
		const int flags = (int)image->files[i].flags & (O_NONBLOCK | O_DIRECT);

		(void)fcntl(moved, F_SETFL, flags);
		ret_made[i] = moved;
	} else if (i < image->file_count) {
		errors[i] = moved;
	}
	if (moved < 0 && made >= 0)
		(void)close(made);
}

static void make_one(const struct image *image, const struct image_object *object, int first_fd,
		     int *ret_made, int *errors)
{
	int fd = -1, other = -1;

	switch (object->kind) {
	case IMAGE_EVENTFD:
		fd = make_eventfd(object);
		break;
	case IMAGE_TIMERFD:
		fd = make_timerfd(object);
		break;
	case IMAGE_SIGNALFD:
		fd = make_signalfd(object);
		break;
	case IMAGE_EPOLL:
		fd = epoll_create1(EPOLL_CLOEXEC);
		break;
	case IMAGE_PIPE:
		fd = make_pipe(image, object, &other);
		take(image, (int)object->values[0], other, first_fd, ret_made, errors);
		break;
	case IMAGE_PAIR:
		if (object->values[0] < (uint64_t)object->fd) /* it came with the other end */
			return;
		fd = make_pair(image, object, &other);
		if (object->values[0] != IMAGE_CLOSED_END)
			take(image, (int)object->values[0], other, first_fd, ret_made, errors);
		break;
	case IMAGE_SOCKET:
		fd = make_socket(image, object);
		break;
	default: /* the writing end of a pipe comes with the reading end */
		return;
	}
	take(image, object->fd, fd, first_fd, ret_made, errors);
}

void objects__make(const struct image *image, int first_fd, int *ret_made, int *errors)
{
	for (size_t i = 0; i < image->file_count; i++) {
		ret_made[i] = -1;
		errors[i] = 0;
	}
	for (size_t i = 0; i < image->object_count; i++)
		make_one(image, &image->objects[i], first_fd, ret_made, errors);
}

/* What cannot be watched has not come back: that was said. */
void objects__watch(const struct image *image)
{
	for (size_t i = 0; i < image->watch_count; i++) {
		const struct image_watch *watch = &image->watches[i];
		struct epoll_event event = {.events = watch->events, .data.u64 = watch->data};

		(void)epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->fd, &event);
	}
}

const char *objects__name(const struct image *image, const struct image_object *object,
			  char *buffer, size_t bytes)
{
	struct sockaddr_storage address = {0};
	const struct sockaddr_in *v4 = (const void *)&address;
	const struct sockaddr_in6 *v6 = (const void *)&address;
	const struct sockaddr_un *local = (const void *)&address;
	char text[INET6_ADDRSTRLEN] = "";

	if (object->kind != IMAGE_SOCKET || object->bytes > sizeof(address))
		return NULL;
	memcpy(&address, image->contents + object->contents, object->bytes);
	if (address.ss_family == AF_INET)
		(void)snprintf(buffer, bytes, "a socket of %s:%u",
			       inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)),
			       ntohs(v4->sin_port));
	else if (address.ss_family == AF_INET6)
		(void)snprintf(buffer, bytes, "a socket of [%s]:%u",
			       inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)),
			       ntohs(v6->sin6_port));
	else
		(void)snprintf(buffer, bytes, "a socket of %.*s",
			       (int)(sizeof(local->sun_path) - 1),
			       local->sun_path[0] ? local->sun_path : local->sun_path + 1);
	return buffer;
}
