/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_objects.h. Source: proc(5), /proc/PID/fdinfo; tee(2); socket(7), tcp(7).
 */
#include "capture/capture_objects.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "capture/capture_pairs.h"
#include "base/proc_text.h"
#include "process/socket_options.h"

enum {
	TEXT_BYTES = 4 << 20, /* some 50000 watched descriptors */
	CONTENTS_BYTES = 16 << 20,
	SECOND_NS = 1000000000,
	COMPARED_MAX = 1000, /* watched descriptors */
};

struct walk {
	struct image *image;
	char *text; /* of fdinfo */
	size_t watch_room;
	unsigned char *contents;
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool read_info(const struct walk *w, int fd)
{
	char path[64];

	proc_text__make_path(path, "/proc/self/fdinfo/", (uint64_t)fd, 10, "");
	return proc_text__read(path, w->text, TEXT_BYTES) > 0;
}

static unsigned char *make_room(const struct walk *w, struct image_object *object, size_t bytes)
{
	const size_t used = w->image->contents_bytes;

	if (bytes > CONTENTS_BYTES - used)
		return NULL;
	object->contents = (uint32_t)used;
	object->bytes = (uint32_t)bytes;
	return w->contents + used;
}

/* ---- files of /proc/PID/fdinfo ---- */

static bool take_eventfd(const struct walk *w, struct image_object *object)
{
	object->kind = IMAGE_EVENTFD;
	object->values[0] = proc_text__find_number(w->text, "eventfd-count:", 16);
	object->values[1] = proc_text__find_number(w->text, "eventfd-semaphore:", 10);
	return true;
}

/* "it_value: (SECONDS, NANOSECONDS)" */
static uint64_t find_time(const char *text, const char *word)
{
	const char *p = strstr(text, word);
	uint64_t seconds;

	if (!p)
		return 0;
	p += strlen(word);
	seconds = proc_text__take_number(&p, 10);
	p += strncmp(p, ", ", 2) == 0 ? 2 : 0;
	return seconds * SECOND_NS + proc_text__take_number(&p, 10);
}

static bool take_timerfd(const struct walk *w, struct image_object *object)
{
	const uint64_t flags = proc_text__find_number(w->text, "settime flags:", 8);

	object->kind = IMAGE_TIMERFD;
	object->values[0] = proc_text__find_number(w->text, "clockid:", 10) |
			    (flags & TFD_TIMER_CANCEL_ON_SET ? IMAGE_CANCEL_ON_SET : 0ULL) << 32;
	object->values[1] = find_time(w->text, "it_value: (");
	object->values[2] = find_time(w->text, "it_interval: (");
	object->values[3] = proc_text__find_number(w->text, "ticks:", 10);
	return true;
}

static bool take_signalfd(const struct walk *w, struct image_object *object)
{
	object->kind = IMAGE_SIGNALFD;
	object->values[0] = proc_text__find_number(w->text, "sigmask:", 16);
	return true;
}

static uint32_t count_before(const char *text, const char *end, int fd)
{
	uint32_t count = 0;

	for (const char *line = strstr(text, "tfd:"); line < end; line = strstr(line + 1, "tfd:"))
		count += (int)proc_text__find_number(line, "tfd:", 10) == fd;
	return count;
}

/* Is the descriptor in a line of an epoll instance still the file that is watched? The number may
 * have been closed, or be another file, while a copy of that file is open. Eventfds and their like
 * all have one inode, so kcmp(2) must tell. It takes longer the more is watched. */
static bool is_watched_file(const struct walk *w, int epoll, const char *line)
{
	const int fd = (int)proc_text__find_number(line, "tfd:", 10);
	struct kcmp_epoll_slot slot = {.efd = (uint32_t)epoll, .tfd = (uint32_t)fd};
	const pid_t pid = getpid();

	for (size_t i = 0; i < w->image->file_count; i++) {
		const struct image_file *file = &w->image->files[i];

		if (file->fd != fd)
			continue;
		if (file->inode != proc_text__find_number(line, "ino:", 16))
			return false;
		if (!begins(w->image->strings + file->path, "anon_inode:") ||
		    w->image->watch_count > COMPARED_MAX)
			return true;
		slot.toff = count_before(w->text, line, fd);
		/* Negative where kcmp(2) is forbidden. */
		return syscall(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, fd, &slot) <= 0;
	}
	return false;
}

static void mark_closed(const struct image *image, int epoll)
{
	for (size_t i = 0; i < image->file_count; i++) {
		if (image->files[i].fd == epoll)
			image->files[i].held |= IMAGE_WATCHES_CLOSED;
	}
}

/* "tfd: 5 events: 1d data: ff pos:0 ino:61af sdev:7", each in a line. */
static bool take_epoll(struct walk *w, struct image_object *object)
{
	struct image *image = w->image;

	object->kind = IMAGE_EPOLL;
	for (const char *line = strstr(w->text, "tfd:"); line; line = strstr(line + 1, "tfd:")) {
		struct image_watch *watch = &image->watches[image->watch_count];

		if (!is_watched_file(w, object->fd, line)) {
			mark_closed(image, object->fd);
			continue;
		}
		if (image->watch_count == w->watch_room)
			return false;
		*watch = (struct image_watch){
			.epoll = object->fd,
			.fd = (int)proc_text__find_number(line, "tfd:", 10),
			.events = (uint32_t)proc_text__find_number(line, "events:", 16),
			.data = proc_text__find_number(line, "data:", 16),
		};
		image->watch_count++;
	}
	return true;
}

/* ---- pipes ---- */

/* The first open file of a pipe that is open so, or NULL. */
static const struct image_file *find_end(const struct image *image, uint64_t inode, uint32_t access)
{
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		if (S_ISFIFO(file->mode) && file->inode == inode && file->same_as < 0 &&
		    (file->flags & O_ACCMODE) == access &&
		    begins(image->strings + file->path, "pipe:"))
			return file;
	}
	return NULL;
}

/* Copies the bytes in a pipe, without taking them, by a pipe of our own. Not if they are packets
 * (O_DIRECT), whose bounds would be lost. */
static bool copy_contents(struct walk *w, struct image_object *object, bool has_packets)
{
	const int capacity = (int)object->values[1];
	unsigned char *to;
	bool is_done = false;
	size_t done = 0;
	int bytes = 0, ends[2];
	ssize_t n;

	if (ioctl(object->fd, FIONREAD, &bytes) < 0)
		return false;
	if (bytes == 0)
		return true;
	if (has_packets)
		return false;
	to = make_room(w, object, (size_t)bytes);
	if (!to || syscall(SYS_pipe2, ends, O_CLOEXEC) < 0)
		return false;
	if (syscall(SYS_fcntl, ends[1], F_SETPIPE_SZ, capacity) < 0 ||
	    syscall(SYS_tee, object->fd, ends[1], capacity, SPLICE_F_NONBLOCK) != bytes)
		goto out;
	while (done < (size_t)bytes) {
		n = nocancel__read(ends[0], to + done, (size_t)bytes - done);
		if (n <= 0)
			goto out;
		done += (size_t)n;
	}
	w->image->contents_bytes += (size_t)bytes;
	is_done = true;
out:
	(void)nocancel__close(ends[0]);
	(void)nocancel__close(ends[1]);
	return is_done;
}

static bool take_pipe(struct walk *w, const struct image_file *file, struct image_object *object)
{
	const struct image_file *reading = find_end(w->image, file->inode, O_RDONLY);
	const struct image_file *writing = find_end(w->image, file->inode, O_WRONLY);
	long capacity;

	if (!reading || !writing || (file != reading && file != writing))
		return false;
	if (file == writing) {
		object->kind = IMAGE_PIPE_END;
		object->values[0] = (uint64_t)reading->fd;
		return true;
	}
	capacity = syscall(SYS_fcntl, file->fd, F_GETPIPE_SZ);
	if (capacity < 0)
		return false;
	object->kind = IMAGE_PIPE;
	object->values[0] = (uint64_t)writing->fd;
	object->values[1] = (uint64_t)capacity;
	return copy_contents(w, object, writing->flags & O_DIRECT);
}

/* ---- sockets ---- */

static int get_option(int fd, int level, int name)
{
	socklen_t bytes = sizeof(int);
	int value = 0;

	return syscall(SYS_getsockopt, fd, level, name, &value, &bytes) < 0 ? 0 : value;
}

/* The kernel tells it of TCP alone, in a field that means something else for a connection. */
static int find_backlog(int fd)
{
	struct tcp_info info = {0};
	socklen_t bytes = sizeof(info);

	return syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 ||
			       !info.tcpi_sacked
		       ? SOMAXCONN
		       : (int)info.tcpi_sacked;
}

static bool is_connected(int fd)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);

	return syscall(SYS_getpeername, fd, &address, &bytes) == 0;
}

static bool has_name(int fd, long call)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);

	return syscall(call, fd, &address, &bytes) < 0 || bytes > sizeof(sa_family_t);
}

/* Neither end has an address, unlike those of connect(2). */
static bool take_pair(struct walk *w, const struct image_file *file, int type,
		      struct image_object *object)
{
	const size_t used = w->image->contents_bytes;

	if (has_name(file->fd, SYS_getsockname) || has_name(file->fd, SYS_getpeername) ||
	    !capture_pairs__take(w->image, file, type, w->contents + used, CONTENTS_BYTES - used,
				 object))
		return false;
	object->contents = (uint32_t)used;
	w->image->contents_bytes += object->bytes;
	return true;
}

static bool take_socket(struct walk *w, const struct image_file *file, struct image_object *object)
{
	const int fd = object->fd, domain = get_option(fd, SOL_SOCKET, SO_DOMAIN);
	const int type = get_option(fd, SOL_SOCKET, SO_TYPE);
	const bool listens = get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	unsigned char *to;

	if (domain == AF_UNIX && !listens && is_connected(fd))
		return take_pair(w, file, type, object);
	if ((domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) ||
	    (!listens && (type != SOCK_DGRAM || is_connected(fd))) ||
	    syscall(SYS_getsockname, fd, &address, &bytes) < 0 || bytes <= sizeof(sa_family_t))
		return false;
	to = make_room(w, object, bytes);
	if (!to)
		return false;
	memcpy(to, &address, bytes);
	w->image->contents_bytes += bytes;
	object->kind = IMAGE_SOCKET;
	object->values[0] = (uint64_t)domain;
	object->values[1] = (uint64_t)type | (uint64_t)get_option(fd, SOL_SOCKET, SO_PROTOCOL)
						     << 32;
	object->values[2] = listens ? (uint64_t)find_backlog(fd) : 0;
	for (size_t i = 0; i < SOCKET_OPTIONS; i++) {
		const struct socket_option *option = &socket_options__all[i];

		if (get_option(fd, option->level, option->name))
			object->values[3] |= option->bit;
	}
	return true;
}

/* ---- all ---- */

/* Returns whether it can be made anew, and fills in *object. */
static bool take(struct walk *w, const struct image_file *file, struct image_object *object)
{
	static const char prefix[] = "anon_inode:[";
	const char *path = w->image->strings + file->path;

	*object = (struct image_object){.fd = file->fd};
	if (S_ISFIFO(file->mode))
		return take_pipe(w, file, object);
	if (S_ISSOCK(file->mode))
		return take_socket(w, file, object);
	if (!begins(path, prefix) || !read_info(w, file->fd))
		return false;
	path += sizeof(prefix) - 1;
	return (begins(path, "eventfd]") && take_eventfd(w, object)) ||
	       (begins(path, "timerfd]") && take_timerfd(w, object)) ||
	       (begins(path, "signalfd]") && take_signalfd(w, object)) ||
	       (begins(path, "eventpoll]") && take_epoll(w, object));
}

static bool has_object(const struct image *image, enum image_object_kind kind, uint64_t fd)
{
	for (size_t i = 0; i < image->object_count; i++) {
		const struct image_object *object = &image->objects[i];

		if (object->kind == kind && (uint64_t)object->fd == fd)
			return true;
	}
	return false;
}

static bool is_lone_end(const struct image *image, const struct image_object *object)
{
	const uint64_t other = object->values[0];

	switch (object->kind) {
	case IMAGE_PIPE_END:
		return !has_object(image, IMAGE_PIPE, other);
	case IMAGE_PAIR:
		return other != IMAGE_CLOSED_END && !has_object(image, IMAGE_PAIR, other);
	default:
		return false;
	}
}

/* A pipe or pair whose contents cannot be copied is missing with both ends. */
static void drop_lone_ends(struct image *image)
{
	size_t kept = 0;

	for (size_t i = 0; i < image->object_count; i++) {
		const struct image_object *object = &image->objects[i];

		if (!is_lone_end(image, object))
			image->objects[kept++] = *object;
	}
	image->object_count = kept;
}

int capture_objects__add(struct capture *c)
{
	struct image *image = c->image;
	struct walk w = {.image = image, .watch_room = TEXT_BYTES / sizeof(struct image_watch)};

	image->objects = arena__take(c->arena, (image->file_count + 1) * sizeof(*image->objects));
	image->watches = arena__take(c->arena, w.watch_room * sizeof(*image->watches));
	w.text = arena__take(c->arena, TEXT_BYTES);
	w.contents = arena__take(c->arena, CONTENTS_BYTES);
	if (!image->objects || !image->watches || !w.text || !w.contents)
		return -ENOMEM;
	image->contents = w.contents;
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		if (file->same_as < 0 && !S_ISREG(file->mode) && !S_ISDIR(file->mode) &&
		    take(&w, file, &image->objects[image->object_count]))
			image->object_count++;
	}
	drop_lone_ends(image);
	return 0;
}
