/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See socket.h. A client either owes us the rest of a line, or is owed the rest of an answer:
 * while it is owed one, nothing more is read from it. So a client takes a bounded amount of memory.
 */
#include "ask/socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ask/socket_file.h"
#include "base/log.h"
#include "base/procfs.h"
#include "target/reason.h"

enum {
	STRANGER = SOCKET_CLIENTS, /* the place of a client that may not command */
	PLACES,
	LISTENER = PLACES, /* to epoll; a client is the index of its place */
};

struct client {
	int fd;              /* -1: this place is free */
	bool has_ended;      /* it sends nothing more, or nothing more is wanted of it */
	bool is_slow;        /* epoll watches whether it takes more of its answer */
	uint64_t last_heard; /* the count of struct socket */
	size_t in_bytes;     /* of in */
	size_t out_bytes;    /* of out, which is NULL if it is owed nothing */
	size_t out_sent;
	char *out;
	pid_t pid;
	uid_t uid;
	bool may_command;
	int sent_fd; /* to be sent with the answer; -1: none */
	char in[SOCKET_LINE_BYTES];
};

struct socket {
	struct sockaddr_un address;
	dev_t device; /* of the socket's file */
	ino_t inode;
	pid_t process; /* that is traced */
	int listener;
	int epoll;
	uint64_t heard; /* counts what was heard, of all clients */
	struct client clients[PLACES];
};

static int watch(struct socket *s, int operation, int fd, uint32_t events, uint64_t what)
{
	struct epoll_event event = {.events = events, .data.u64 = what};

	return epoll_ctl(s->epoll, operation, fd, &event) ? -errno : 0;
}

/* Lets the process connect. Only root shares lists of faults. */
static void let_in(const struct socket *s)
{
	uint64_t user;

	if (geteuid() || procfs__status_u64(s->process, "Uid", &user) || !user)
		return;
	if (lchown(s->address.sun_path, (uid_t)user, (gid_t)-1))
		log__debug("process %d cannot connect to %s: %s", s->process, s->address.sun_path,
			   strerror(errno));
}

/* is_shared: the process itself may ask, too. It is let in before listen(2), so once somebody
 * listens, it can connect. */
static int start_listening(struct socket *s, bool is_shared)
{
	struct stat status;
	int err;

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->listener < 0 || s->epoll < 0)
		return -errno;
	err = socket_file__bind(s->listener, &s->address);
	if (err)
		return err;
	if (is_shared)
		let_in(s);
	if (lstat(s->address.sun_path, &status) || listen(s->listener, SOCKET_CLIENTS))
		return -errno;
	s->device = status.st_dev;
	s->inode = status.st_ino;
	return watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN, LISTENER);
}

/* Who listens at the address; 0: nobody, or not known. */
static pid_t find_other(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes))
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

/* Says why, and what to do if another tracer listens there. */
static void tell_failure(const struct socket *s, pid_t pid, int err)
{
	char who[64] = "another tracer";
	pid_t other = err == -EADDRINUSE ? find_other(&s->address) : 0;

	if (other)
		(void)snprintf(who, sizeof(who), "another tracer (process %d)", other);
	if (err == -EADDRINUSE)
		log__error("cannot listen at %s: %s listens there; ask that one, end it with "
			   "tracer ctl %d detach, or choose another place with --control-socket",
			   s->address.sun_path, who, pid);
	else
		log__error("cannot listen at %s: %s", s->address.sun_path, reason__text(err));
}

/* Makes the folder of the default paths, and removes what killed tracers have left in it. */
static int prepare_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int err = socket_file__make_folder(path);

	if (err)
		return err;
	err = socket_file__default_folder(folder, sizeof(folder));
	if (!err)
		(void)socket_file__sweep(folder);
	return err;
}

int socket__open(const char *path, pid_t pid, struct socket **ret_socket)
{
	struct socket *s = calloc(1, sizeof(*s));
	size_t size = sizeof(s->address.sun_path);
	int err;

	if (!s)
		return -ENOMEM;
	s->address.sun_family = AF_UNIX;
	s->listener = s->epoll = -1;
	for (int i = 0; i < PLACES; i++)
		s->clients[i].fd = -1;
	if (!path)
		err = socket_file__default_path(pid, s->address.sun_path, size);
	else
		err = snprintf(s->address.sun_path, size, "%s", path) < (int)size ? 0
										  : -ENAMETOOLONG;
	if (err) {
		log__error("cannot place the control socket: %s", reason__text(err));
		goto out;
	}
	s->process = pid;
	err = path ? 0 : prepare_folder(s->address.sun_path);
	if (err)
		goto out;
	err = start_listening(s, !path);
	if (err) {
		tell_failure(s, pid, err);
		goto out;
	}
	*ret_socket = s;
	s = NULL;
out:
	socket__close(s);
	return err;
}

const char *socket__path(const struct socket *socket)
{
	return socket->address.sun_path;
}

int socket__fd(const struct socket *socket)
{
	return socket->epoll;
}

static void close_sent(struct client *client)
{
	if (client->sent_fd >= 0)
		close(client->sent_fd);
	client->sent_fd = -1;
}

static void drop(struct client *client)
{
	if (client->fd < 0)
		return;
	close(client->fd); /* which ends the watch of epoll, too */
	close_sent(client);
	free(client->out);
	client->fd = -1;
	client->out = NULL;
}

/* Sends what can be sent now, with the descriptor before anything else. Returns as send(2). */
static ssize_t send_some(struct client *client)
{
	struct iovec text = {client->out + client->out_sent, client->out_bytes - client->out_sent};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
	ssize_t sent;

	if (client->sent_fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &client->sent_fd, sizeof(client->sent_fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		close_sent(client);
	return sent;
}

/* A client that has read its answer is listened to again; one that has ended goes. */
static void send_answer(struct socket *s, struct client *client)
{
	while (client->out && client->out_sent < client->out_bytes) {
		const ssize_t sent = send_some(client);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			client->is_slow = true;
			(void)watch(s, EPOLL_CTL_MOD, client->fd, EPOLLOUT,
				    (uint64_t)(client - s->clients));
			return;
		}
		if (sent < 0) {
			drop(client);
			return;
		}
		client->out_sent += (size_t)sent;
	}
	free(client->out);
	client->out = NULL;
	if (client->is_slow || client->has_ended)
		(void)watch(s, EPOLL_CTL_MOD, client->fd, client->has_ended ? 0 : EPOLLIN,
			    (uint64_t)(client - s->clients));
	client->is_slow = false;
}

/* Gives the client the answer that write_answer writes to a stream. */
static void give(struct socket *s, struct client *client, socket_answer *write_answer,
		 void *context, char *line)
{
	struct socket_request request = {.line = line,
					 .pid = client->pid,
					 .uid = client->uid,
					 .may_command = client->may_command,
					 .fd = -1};
	FILE *out = open_memstream(&client->out, &client->out_bytes);
	bool is_bad;

	if (!out) {
		drop(client);
		return;
	}
	write_answer(context, &request, out);
	client->sent_fd = request.fd;
	(void)fputc('\n', out);
	is_bad = ferror(out);
	is_bad |= fclose(out) != 0;
	client->out_sent = 0;
	if (is_bad)
		drop(client);
	else
		send_answer(s, client);
}

static void write_refusal(void *context, struct socket_request *request, FILE *out)
{
	(void)request;
	(void)fprintf(out, "{\"ok\":false,\"error\":\"%s\"}", (const char *)context);
}

/* Tells why, and hears nothing more. */
static void refuse(struct socket *s, struct client *client, const char *why)
{
	client->has_ended = true;
	client->in_bytes = 0;
	give(s, client, write_refusal, (void *)why, NULL);
}

/* Carries out the first line that the client has sent, if that is whole. */
static void serve_line(struct socket *s, struct client *client, socket_answer *answer,
		       void *context)
{
	char *newline = memchr(client->in, '\n', client->in_bytes);
	size_t bytes;

	if (!newline) {
		if (client->in_bytes == sizeof(client->in))
			refuse(s, client, "a request has at most 4095 bytes and a newline");
		return;
	}
	bytes = (size_t)(newline - client->in) + 1;
	*newline = '\0';
	if (strlen(client->in) + 1 != bytes) {
		refuse(s, client, "a request is text, without NUL bytes");
		return;
	}
	give(s, client, answer, context, client->in);
	client->in_bytes -= bytes;
	memmove(client->in, client->in + bytes, client->in_bytes);
}

static void hear(struct socket *s, struct client *client)
{
	ssize_t bytes;

	if (client->has_ended || client->out || client->in_bytes == sizeof(client->in))
		return;
	bytes = recv(client->fd, client->in + client->in_bytes,
		     sizeof(client->in) - client->in_bytes, MSG_DONTWAIT);
	if (bytes > 0) {
		client->in_bytes += (size_t)bytes;
		client->last_heard = ++s->heard;
	} else if (!bytes || (errno != EAGAIN && errno != EINTR)) {
		client->has_ended = true;
		(void)watch(s, EPOLL_CTL_MOD, client->fd, 0, (uint64_t)(client - s->clients));
	}
}

static bool has_line(const struct client *client)
{
	return client->fd >= 0 && !client->out && memchr(client->in, '\n', client->in_bytes);
}

/* A free place. If there is none, the client that has been silent for longest makes room. Those
 * that may not command share one place, so they push out nobody who may. */
static struct client *find_place(struct socket *s, bool may_command)
{
	struct client *place = may_command ? s->clients : &s->clients[STRANGER];

	for (int i = 1; may_command && place->fd >= 0 && i < SOCKET_CLIENTS; i++)
		if (s->clients[i].fd < 0 || s->clients[i].last_heard < place->last_heard)
			place = &s->clients[i];
	drop(place);
	return place;
}

static void accept_client(struct socket *s)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	struct client *client;
	bool is_known, may_command;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	is_known = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	may_command = is_known && (!peer.uid || peer.uid == geteuid());
	client = find_place(s, may_command);
	*client = (struct client){.fd = fd,
				  .sent_fd = -1,
				  .pid = peer.pid,
				  .uid = peer.uid,
				  .may_command = may_command,
				  .last_heard = ++s->heard};
	if (watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)(client - s->clients)))
		drop(client);
	else if (!client->may_command && (!is_known || peer.pid != s->process))
		refuse(s, client, "only root and the user of the tracer may ask");
}

static void handle(struct socket *s, const struct epoll_event *event)
{
	struct client *client;

	if (event->data.u64 == LISTENER) {
		accept_client(s);
		return;
	}
	client = &s->clients[event->data.u64];
	if (client->fd < 0)
		return;
	hear(s, client);
	if (client->out)
		send_answer(s, client);
}

bool socket__serve(struct socket *socket, socket_answer *answer, void *context)
{
	struct epoll_event events[PLACES + 1];
	int count = epoll_wait(socket->epoll, events, PLACES + 1, 0);
	bool has_more = false;

	for (int i = 0; i < count; i++)
		handle(socket, &events[i]);
	for (int i = 0; i < PLACES; i++) {
		struct client *client = &socket->clients[i];

		if (client->fd >= 0 && !client->out)
			serve_line(socket, client, answer, context);
		has_more |= has_line(client);
		if (client->fd >= 0 && client->has_ended && !client->out && !has_line(client))
			drop(client);
	}
	return has_more;
}

void socket__close(struct socket *socket)
{
	struct stat status;

	if (!socket)
		return;
	for (int i = 0; i < PLACES; i++)
		drop(&socket->clients[i]);
	if (socket->inode && !lstat(socket->address.sun_path, &status) &&
	    status.st_dev == socket->device && status.st_ino == socket->inode)
		(void)unlink(socket->address.sun_path);
	if (socket->listener >= 0)
		close(socket->listener);
	if (socket->epoll >= 0)
		close(socket->epoll);
	free(socket);
}
