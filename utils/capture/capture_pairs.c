/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_pairs.h. Source: sock_diag(7), unix(7), recv(2); proc(5).
 */
#include "capture/capture_pairs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/proc_text.h"

/* What the kernel tells of one end. */
struct end {
	uint32_t peer; /* the inode of the other end; 0: it is closed */
	bool has_peer;
	uint8_t shutdown; /* IMAGE_SHUT_... */
};

/* ---- the other end ---- */

/* Reads the attributes behind a struct unix_diag_msg. */
static void read_attributes(const char *at, size_t bytes, struct end *ret)
{
	struct nlattr head;
	size_t taken;

	while (bytes >= sizeof(head)) {
		memcpy(&head, at, sizeof(head));
		if (head.nla_len < sizeof(head) || head.nla_len > bytes)
			return;
		if (head.nla_type == UNIX_DIAG_PEER &&
		    head.nla_len == NLA_HDRLEN + sizeof(ret->peer)) {
			memcpy(&ret->peer, at + NLA_HDRLEN, sizeof(ret->peer));
			ret->has_peer = true;
		} else if (head.nla_type == UNIX_DIAG_SHUTDOWN &&
			   head.nla_len == NLA_HDRLEN + sizeof(ret->shutdown)) {
			memcpy(&ret->shutdown, at + NLA_HDRLEN, sizeof(ret->shutdown));
		}
		taken = NLA_ALIGN(head.nla_len);
		if (taken >= bytes)
			return;
		at += taken;
		bytes -= taken;
	}
}

static bool ask(int netlink, uint64_t inode, struct end *ret)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = AF_UNIX,
			 .udiag_states = UINT32_MAX,
			 .udiag_ino = (uint32_t)inode,
			 .udiag_show = UDIAG_SHOW_PEER,
			 .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
	};
	const size_t head_bytes = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct unix_diag_msg));
	struct unix_diag_msg body;
	struct nlmsghdr head;
	char answer[512];
	long n;

	if (syscall(SYS_sendto, netlink, &request, sizeof(request), 0, NULL, 0) < 0)
		return false;
	n = syscall(SYS_recvfrom, netlink, answer, sizeof(answer), MSG_DONTWAIT, NULL, NULL);
	if (n < (long)head_bytes)
		return false;
	memcpy(&head, answer, sizeof(head));
	memcpy(&body, answer + NLMSG_HDRLEN, sizeof(body));
	if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || body.udiag_ino != inode)
		return false;
	*ret = (struct end){0};
	read_attributes(answer + head_bytes, (size_t)n - head_bytes, ret);
	return ret->has_peer;
}

static const struct image_file *find_socket(const struct image *image, uint64_t inode)
{
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];

		if (S_ISSOCK(file->mode) && file->inode == inode && file->same_as < 0)
			return file;
	}
	return NULL;
}

/* Returns whether both ends are known. The file of the other end, or NULL if that is closed, is in
 * *ret_other. A socket for datagrams may be connected to one that is connected elsewhere. */
static bool find_other(const struct image *image, const struct image_file *file, struct end *ret,
		       const struct image_file **ret_other)
{
	const struct image_file *other = NULL;
	bool is_known = false;
	struct end back;
	int netlink =
		(int)syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (netlink < 0)
		return false;
	if (!ask(netlink, file->inode, ret))
		goto out;
	if (ret->peer) {
		other = find_socket(image, ret->peer);
		if (!other || other == file || !ask(netlink, other->inode, &back) ||
		    back.peer != file->inode)
			goto out;
	}
	*ret_other = other;
	is_known = true;
out:
	(void)nocancel__close(netlink);
	return is_known;
}

/* ---- children ---- */

/* A child that is over, and was not waited for, has no files. */
static bool is_over(uint64_t pid)
{
	char path[64], text[1024];

	proc_text__make_path(path, "/proc/", pid, 10, "/stat");
	return proc_text__read(path, text, sizeof(text)) < 0 || strstr(text, ") Z ");
}

/* Has a child the file with this link, such as "socket:[23]"? If it cannot be known: yes. */
static bool child_has(uint64_t pid, const char *link)
{
	_Alignas(struct dirent64) char entries[1024];
	const size_t length = strlen(link);
	char path[64], text[64];
	bool has = false;
	int folder;
	long n = 0;

	if (is_over(pid))
		return false;
	proc_text__make_path(path, "/proc/", pid, 10, "/fd");
	folder = nocancel__open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (folder < 0)
		return errno != ENOENT;
	while (!has && (n = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < n && !has;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const long bytes =
				syscall(SYS_readlinkat, folder, entry->d_name, text, sizeof(text));

			has = bytes == (long)length && memcmp(text, link, length) == 0;
			at += entry->d_reclen;
		}
	}
	has = has || (n < 0 && errno != ENOENT); /* ENOENT: the child has ended */
	(void)nocancel__close(folder);
	return has;
}

static bool is_shared(const struct image *image, const struct image_file *file)
{
	const char *link = image->strings + file->path;
	char path[64], text[4096];

	for (size_t i = 0; i < image->thread_count; i++) {
		const char *at = text;
		uint64_t pid;
		ssize_t n;

		proc_text__make_path(path, "/proc/self/task/", (uint64_t)image->threads[i].tid, 10,
				     "/children");
		n = proc_text__read(path, text, sizeof(text));
		if (n == -EFBIG)
			return true;
		for (; n > 0 && (pid = proc_text__take_number(&at, 10)) != 0; at += *at == ' ') {
			if (child_has(pid, link))
				return true;
		}
	}
	return false;
}

/* ---- what is in it ---- */

static int get_option(int fd, int name)
{
	socklen_t bytes = sizeof(int);
	int value = 0;

	return syscall(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &bytes) < 0 ? 0 : value;
}

static bool set_peek_offset(int fd, int offset)
{
	return syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0;
}

/*
 * Peeks at what follows the last peek (SO_PEEK_OFF). Returns its bytes, or -errno. -EBADMSG: there
 * is no room, or descriptors come with it. The kernel then makes no copies of these, for want of
 * room.
 */
static long peek(int fd, bool has_credentials, unsigned char *to, size_t room)
{
	char credentials[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec part = {to, room};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	long n;

	if (has_credentials) {
		message.msg_control = credentials;
		message.msg_controllen = sizeof(credentials);
	}
	n = syscall(SYS_recvmsg, fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : n;
}

/* Copies all of a stream, which is total bytes, or all packets. Returns the bytes in room, or -1 if
 * not all could be copied. */
static long copy_all(const struct image_object *object, int type, size_t total, unsigned char *room,
		     size_t room_bytes)
{
	const bool is_stream = type == SOCK_STREAM;
	const size_t head = is_stream ? 0 : sizeof(uint32_t);
	const bool has_credentials = object->values[3] & IMAGE_PASS_CREDENTIALS;
	size_t done = 0, copied = 0;

	while (!is_stream || copied < total) {
		uint32_t length;
		long n;

		if (room_bytes - done <= head)
			return -1;
		n = peek(object->fd, has_credentials, room + done + head, room_bytes - done - head);
		/* Nothing of packets in order (SOCK_SEQPACKET) is an empty one, or the end. */
		if (!is_stream &&
		    (n == -EAGAIN || (n == 0 && copied == total && type == SOCK_SEQPACKET &&
				      object->values[1] >> 32 & IMAGE_SHUT_READ)))
			break;
		if (n < 0 || (is_stream && n == 0))
			return -1;
		length = (uint32_t)n;
		memcpy(room + done, &length, head);
		done += head + (size_t)n;
		copied += (size_t)n;
	}
	return type == SOCK_DGRAM || copied == total ? (long)done : -1;
}

/* Reading would take an error that waits. A second peek does not see an empty packet again. */
static bool copy_contents(struct image_object *object, int type, unsigned char *room,
			  size_t room_bytes)
{
	const bool may_be_at_end = object->values[1] >> 32 & IMAGE_SHUT_READ;
	struct pollfd poll = {.fd = object->fd, .events = POLLIN};
	int total = 0;
	long bytes;

	if (syscall(SYS_poll, &poll, 1, 0) < 0 || (poll.revents & POLLERR) ||
	    ioctl(object->fd, FIONREAD, &total) < 0 || total < 0)
		return false;
	if (!(poll.revents & POLLIN) || (may_be_at_end && total == 0 && type != SOCK_DGRAM))
		return true;
	if (get_option(object->fd, SO_PEEK_OFF) != -1 || !set_peek_offset(object->fd, 0))
		return false;
	bytes = copy_all(object, type, (size_t)total, room, room_bytes);
	(void)set_peek_offset(object->fd, -1);
	if (bytes < 0)
		return false;
	object->bytes = (uint32_t)bytes;
	return bytes > 0 || may_be_at_end;
}

bool capture_pairs__take(const struct image *image, const struct image_file *file, int type,
			 unsigned char *room, size_t room_bytes, struct image_object *object)
{
	const struct image_file *other = NULL;
	struct end end;

	if (!find_other(image, file, &end, &other) || is_shared(image, file))
		return false;
	object->kind = IMAGE_PAIR;
	object->values[0] = other ? (uint64_t)other->fd : IMAGE_CLOSED_END;
	object->values[1] = (uint64_t)type |
			    (uint64_t)(end.shutdown & (IMAGE_SHUT_READ | IMAGE_SHUT_WRITE)) << 32;
	object->values[2] = (uint64_t)get_option(file->fd, SO_SNDBUF) |
			    (uint64_t)get_option(file->fd, SO_RCVBUF) << 32;
	object->values[3] = get_option(file->fd, SO_PASSCRED) ? IMAGE_PASS_CREDENTIALS : 0;
	return copy_contents(object, type, room, room_bytes);
}
