/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes about open files without a name: pipes, eventfds, timers, epoll instances, sockets.
 */
#include "work.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

/* ---- pipes ---- */

static void *write_later(void *argument)
{
	wait_for_finish();
	must(write(*(const int *)argument, "x", 1) == 1);
	return argument;
}

/* A read that waits is begun anew. */
static void in_read(void)
{
	pthread_t id;
	int ends[2];
	char byte;

	must(pipe2(ends, O_CLOEXEC) == 0);
	must(pthread_create(&id, NULL, write_later, &ends[1]) == 0);
	say("ready");
	check(read(ends[0], &byte, 1) == 1 && byte == 'x');
	check(pthread_join(id, NULL) == 0);
}

enum { PIPE_BYTES = 1 << 17, BYTES = 100000 };

struct pipes {
	int full[2], empty[2], copy;
	unsigned char bytes[BYTES];
};

static void make_pipes(struct pipes *p)
{
	fill(p->bytes, BYTES, 23);
	must(pipe2(p->full, O_NONBLOCK) == 0 && pipe2(p->empty, O_CLOEXEC) == 0);
	must(fcntl(p->full[1], F_SETPIPE_SZ, PIPE_BYTES) == PIPE_BYTES);
	must(write(p->full[1], p->bytes, BYTES) == BYTES);
	p->copy = fcntl(p->full[1], F_DUPFD_CLOEXEC, 230);
	must(p->copy == 230);
}

static void check_pipes(struct pipes *p)
{
	unsigned char back[BYTES];
	size_t done = 0;
	ssize_t n;

	check(fcntl(p->full[0], F_GETPIPE_SZ) == PIPE_BYTES);
	check(fcntl(p->full[0], F_GETFD) == 0 && fcntl(p->copy, F_GETFD) == FD_CLOEXEC);
	while (done < BYTES && (n = read(p->full[0], back + done, BYTES - done)) > 0)
		done += (size_t)n;
	check(done == BYTES && memcmp(back, p->bytes, BYTES) == 0);
	check(read(p->full[0], back, 1) == -1 && errno == EAGAIN);
	check(write(p->copy, "x", 1) == 1 && read(p->full[0], back, 1) == 1 && back[0] == 'x');
	check(close(p->full[1]) == 0 && close(p->copy) == 0 && read(p->full[0], back, 1) == 0);
	check(write(p->empty[1], "y", 1) == 1 && read(p->empty[0], back, 1) == 1);
	check(back[0] == 'y' && fcntl(p->empty[0], F_GETFL) == O_RDONLY);
}

/* ---- what is read from a descriptor ---- */

struct counters {
	int event, semaphore, periodic, expired, stepped, signals;
};

static void make_counters(struct counters *c)
{
	const struct itimerspec period = {{0, 10000000}, {0, 10000000}}, once = {{0, 0}, {0, 1}};
	const int notice = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	struct itimerspec tomorrow = {0};
	sigset_t set;

	c->event = eventfd(23, EFD_CLOEXEC);
	c->semaphore = eventfd(23, EFD_SEMAPHORE | EFD_NONBLOCK);
	c->periodic = timerfd_create(CLOCK_MONOTONIC, 0);
	c->expired = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	must(c->event >= 0 && c->semaphore >= 0 && c->periodic >= 0 && c->expired >= 0);
	must(timerfd_settime(c->periodic, 0, &period, NULL) == 0);
	must(timerfd_settime(c->expired, 0, &once, NULL) == 0);
	c->stepped = timerfd_create(CLOCK_REALTIME, 0);
	must(c->stepped >= 0 && clock_gettime(CLOCK_REALTIME, &tomorrow.it_value) == 0);
	tomorrow.it_value.tv_sec += 86400;
	must(timerfd_settime(c->stepped, notice, &tomorrow, NULL) == 0);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	c->signals = signalfd(-1, &set, SFD_NONBLOCK);
	must(c->signals >= 0);
}

static uint64_t read_count(int fd)
{
	uint64_t count = 0;

	check(read(fd, &count, sizeof(count)) == sizeof(count));
	return count;
}

static bool tells(int fd, const char *what)
{
	char path[64], text[512] = "";
	int info;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	must(info >= 0 && read(info, text, sizeof(text) - 1) > 0 && close(info) == 0);
	return strstr(text, what);
}

/* Does the kernel say that it is one (Linux 6.5)? */
static bool is_known_semaphore(int fd)
{
	return tells(fd, "eventfd-semaphore:");
}

static void check_counters(const struct counters *c)
{
	struct signalfd_siginfo info;
	struct itimerspec time;

	check(read_count(c->event) == 23);
	check(read_count(c->semaphore) == (is_known_semaphore(c->semaphore) ? 1 : 23));
	check(fcntl(c->semaphore, F_GETFL) & O_NONBLOCK);
	check(read_count(c->periodic) >= 1 && read_count(c->periodic) >= 1);
	check(timerfd_gettime(c->periodic, &time) == 0 && time.it_interval.tv_nsec == 10000000);
	check(read_count(c->expired) == 1);
	check(timerfd_gettime(c->stepped, &time) == 0 && time.it_value.tv_sec <= 86400);
	check(time.it_value.tv_sec > 80000 && tells(c->stepped, "settime flags: 03"));
	check(read(c->signals, &info, sizeof(info)) == -1 && errno == EAGAIN);
	check(raise(SIGUSR1) == 0 && read(c->signals, &info, sizeof(info)) == sizeof(info));
	check(info.ssi_signo == SIGUSR1);
}

/* ---- epoll ---- */

struct watchers {
	int inner, outer, ready;
};

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void make_watchers(struct watchers *w)
{
	w->outer = epoll_create1(EPOLL_CLOEXEC);
	w->inner = epoll_create1(0);
	w->ready = eventfd(1, 0);
	must(w->outer >= 0 && w->inner >= 0 && w->ready >= 0);
	watch(w->outer, w->inner, EPOLLIN, UINT64_MAX - 23);
	watch(w->inner, w->ready, EPOLLIN | EPOLLET, 0x2323232323232323);
}

static void check_watchers(const struct watchers *w)
{
	struct epoll_event event;

	check(epoll_wait(w->outer, &event, 1, -1) == 1 && event.data.u64 == UINT64_MAX - 23);
	check(epoll_wait(w->inner, &event, 1, -1) == 1 && event.events == EPOLLIN);
	check(event.data.u64 == 0x2323232323232323);
	check(epoll_wait(w->inner, &event, 1, 0) == 0); /* once: it is edge-triggered */
	check(epoll_ctl(w->inner, EPOLL_CTL_DEL, w->ready, NULL) == 0);
}

/* ---- pairs of sockets ---- */

/* Stream, packets in order, datagrams. */
static const int pair_types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

enum { PAIR_TYPES = 3, PACKETS = 5, PACKET_BYTES = 2300, SEND_BUFFER = 150000 };

struct pairs {
	int full[PAIR_TYPES][2], copies[PAIR_TYPES], ended[PAIR_TYPES], half[2];
	size_t stream_bytes; /* as many as there is room for */
	unsigned char bytes[PACKETS * PACKET_BYTES];
};

/* The lengths of packets: 2300, 0, 766, ... */
static size_t packet_length(size_t i)
{
	return i == 1 ? 0 : PACKET_BYTES / (i + 1);
}

static const unsigned char *packet(const struct pairs *p, size_t i)
{
	return p->bytes + i * PACKET_BYTES;
}

static void send_packets(const struct pairs *p, int fd, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		must(send(fd, packet(p, i), packet_length(i), 0) == (ssize_t)packet_length(i));
}

/* In pieces of odd sizes, until no more fit. */
static size_t fill_stream(const struct pairs *p, int fd)
{
	size_t done = 0;
	ssize_t n;

	while ((n = send(fd, p->bytes + done % PACKET_BYTES, PACKET_BYTES - done % PACKET_BYTES,
			 MSG_DONTWAIT)) > 0)
		done += (size_t)n;
	must(errno == EAGAIN && done > PACKET_BYTES);
	return done;
}

static void make_pairs(struct pairs *p)
{
	const int send_buffer = SEND_BUFFER, one = 1;

	fill(p->bytes, sizeof(p->bytes), 23);
	for (size_t i = 0; i < PAIR_TYPES; i++) {
		int *ends = p->full[i], both[2];

		must(socketpair(AF_UNIX, pair_types[i] | SOCK_CLOEXEC, 0, ends) == 0);
		must(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
		must(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &send_buffer,
				sizeof(send_buffer)) == 0);
		p->copies[i] = fcntl(ends[1], F_DUPFD, 240);
		must(p->copies[i] >= 240);
		send_packets(p, ends[0], 3, PACKETS);
		must(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
		if (pair_types[i] == SOCK_STREAM)
			p->stream_bytes = fill_stream(p, ends[1]);
		else
			send_packets(p, ends[1], 0, 3);
		must(socketpair(AF_UNIX, pair_types[i], 0, both) == 0);
		send_packets(p, both[0], 0, 2);
		must(close(both[0]) == 0);
		p->ended[i] = both[1];
	}
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p->half) == 0);
	must(write(p->half[0], "last", 4) == 4 && shutdown(p->half[0], SHUT_WR) == 0);
}

/* A stream has no bounds. */
static void check_packets(const struct pairs *p, int fd, size_t from, size_t to)
{
	unsigned char back[PACKET_BYTES + 1];
	int type = 0;
	socklen_t bytes = sizeof(type);

	must(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0);
	for (size_t i = from; i < to; i++) {
		const size_t length = packet_length(i);
		const size_t room = type == SOCK_STREAM ? length : sizeof(back);

		check(recv(fd, back, room, MSG_DONTWAIT) == (ssize_t)length);
		check(memcmp(back, packet(p, i), length) == 0);
	}
}

/* The kernel gives twice what it was told. */
static void check_options(const int ends[2])
{
	int value = 0;
	socklen_t bytes = sizeof(value);

	check(fcntl(ends[0], F_GETFL) & O_NONBLOCK && !(fcntl(ends[1], F_GETFL) & O_NONBLOCK));
	check(fcntl(ends[0], F_GETFD) == FD_CLOEXEC && fcntl(ends[1], F_GETFD) == FD_CLOEXEC);
	check(getsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &value, &bytes) == 0);
	check(value == 2 * SEND_BUFFER);
	check(getsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &value, &bytes) == 0 && value == 1);
	check(getsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &value, &bytes) == 0 && value == 0);
}

/* The process that has the socket now has sent the data in it. */
static void check_credentials(int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct ucred credentials;

	check(recvmsg(fd, &message, MSG_PEEK) == 1 && CMSG_FIRSTHDR(&message));
	check(control.head.cmsg_type == SCM_CREDENTIALS);
	memcpy(&credentials, CMSG_DATA(&control.head), sizeof(credentials));
	check(credentials.pid == getpid() && credentials.uid == getuid());
}

static void check_pairs(const struct pairs *p)
{
	unsigned char byte;
	char text[8];

	for (size_t i = 0; i < PAIR_TYPES; i++) {
		const int *ends = p->full[i], ended = p->ended[i];
		const bool is_stream = pair_types[i] == SOCK_STREAM;

		check_options(ends);
		check_credentials(ends[0]);
		check_packets(p, ends[1], 3, PACKETS);
		check(recv(ends[1], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
		for (size_t k = 0; is_stream && k < p->stream_bytes; k++)
			check(read(ends[0], &byte, 1) == 1 && byte == p->bytes[k % PACKET_BYTES]);
		if (!is_stream)
			check_packets(p, ends[0], 0, 3);
		check(recv(ends[0], &byte, 1, 0) == -1 && errno == EAGAIN);
		check(fcntl(p->copies[i], F_GETFD) == 0 && close(ends[1]) == 0);
		check(write(p->copies[i], "z", 1) == 1);
		check(read(ends[0], &byte, 1) == 1 && byte == 'z');
		check_packets(p, ended, 0, 2);
		check(recv(ended, &byte, 1, MSG_DONTWAIT) ==
		      (pair_types[i] == SOCK_DGRAM ? -1 : 0));
		check(send(ended, "x", 1, MSG_NOSIGNAL) == -1);
		check(errno == (pair_types[i] == SOCK_DGRAM ? ECONNREFUSED : EPIPE));
	}
	check(read(p->half[1], text, sizeof(text)) == 4 && memcmp(text, "last", 4) == 0);
	check(read(p->half[1], text, sizeof(text)) == 0);
	check(send(p->half[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	check(write(p->half[1], "back", 4) == 4 && read(p->half[0], text, sizeof(text)) == 4);
}

static void pairs(void)
{
	static struct pairs pairs;

	make_pairs(&pairs);
	say("ready");
	wait_for_finish();
	check_pairs(&pairs);
}

/* ---- all ---- */

static void objects(void)
{
	static struct pipes pipes;
	struct counters counters;
	struct watchers watchers;

	make_pipes(&pipes);
	make_counters(&counters);
	make_watchers(&watchers);
	say("ready");
	wait_for_finish();
	check_pipes(&pipes);
	check_counters(&counters);
	check_watchers(&watchers);
}

/* ---- sockets ---- */

enum { SERVERS = 4 };

struct server {
	int fd, type;
	socklen_t bytes;
	struct sockaddr_storage address;
};

static void serve(struct server *s, int type, const void *address, socklen_t bytes)
{
	const int one = 1;

	memcpy(&s->address, address, bytes);
	s->type = type;
	s->fd = socket(s->address.ss_family, type | SOCK_CLOEXEC, 0);
	must(s->fd >= 0 && setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	must(bind(s->fd, (const struct sockaddr *)&s->address, bytes) == 0);
	must(type == SOCK_DGRAM || listen(s->fd, 23) == 0);
	s->bytes = sizeof(s->address);
	must(getsockname(s->fd, (struct sockaddr *)&s->address, &s->bytes) == 0);
}

/* Somebody connects, and sends a byte. */
static void check_server(const struct server *s)
{
	int client = socket(s->address.ss_family, s->type | SOCK_CLOEXEC, 0), peer = s->fd;
	char byte = 0;

	check(client >= 0 && connect(client, (const struct sockaddr *)&s->address, s->bytes) == 0);
	if (s->type == SOCK_STREAM)
		peer = accept(s->fd, NULL, NULL);
	check(peer >= 0 && write(client, "z", 1) == 1 && read(peer, &byte, 1) == 1 && byte == 'z');
	check(close(client) == 0 && (peer == s->fd || close(peer) == 0));
}

static void turn_on(int fd, int level, int name)
{
	const int one = 1;

	must(setsockopt(fd, level, name, &one, sizeof(one)) == 0);
}

static bool is_on(int fd, int level, int name)
{
	socklen_t bytes = sizeof(int);
	int value = 0;

	must(getsockopt(fd, level, name, &value, &bytes) == 0);
	return value;
}

/* A socket for datagrams without a port. */
static int make_unbound(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(fd >= 0);
	turn_on(fd, SOL_SOCKET, SO_BROADCAST);
	turn_on(fd, IPPROTO_IP, IP_PKTINFO);
	return fd;
}

static void check_unbound(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t bytes = sizeof(address);

	check(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 && !address.sin_port);
	check(is_on(fd, SOL_SOCKET, SO_BROADCAST) && is_on(fd, IPPROTO_IP, IP_PKTINFO));
}

static void servers(void)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = "socket"};
	const struct sockaddr_un nameless = {.sun_family = AF_UNIX};
	const int unbound = make_unbound();
	struct server all[SERVERS];
	struct stat st;

	serve(&all[0], SOCK_STREAM, &v4, sizeof(v4));
	serve(&all[1], SOCK_DGRAM, &v4, sizeof(v4));
	serve(&all[2], SOCK_STREAM, &named, sizeof(named));
	must(chmod("socket", 0640) == 0);
	turn_on(all[0].fd, SOL_SOCKET, SO_KEEPALIVE);
	turn_on(all[0].fd, IPPROTO_TCP, TCP_NODELAY);
	turn_on(all[2].fd, SOL_SOCKET, SO_PASSCRED);
	serve(&all[3], SOCK_STREAM, &nameless, sizeof(sa_family_t)); /* the kernel gives it one */
	say("ready");
	wait_for_finish();
	for (size_t i = 0; i < SERVERS; i++)
		check_server(&all[i]);
	check(stat("socket", &st) == 0 && (st.st_mode & 07777) == 0640);
	check(is_on(all[0].fd, SOL_SOCKET, SO_KEEPALIVE));
	check(is_on(all[0].fd, IPPROTO_TCP, TCP_NODELAY));
	check(is_on(all[2].fd, SOL_SOCKET, SO_PASSCRED));
	check_unbound(unbound);
}

/* The queue is not a part of the process: what was sent is still in it. */
static void queue(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 23};
	char name[64], text[23];
	mqd_t fd;

	(void)snprintf(name, sizeof(name), "/tracer-%d", getpid());
	fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (fd == (mqd_t)-1)
		end(0, "ready\nnone: %m\nok\n");
	must(mq_send(fd, "before", 7, 1) == 0);
	say("ready");
	wait_for_finish();
	check(mq_receive(fd, text, sizeof(text), NULL) == 7 && strcmp(text, "before") == 0);
	must(mq_unlink(name) == 0);
}

/* ---- what is open as a place in a folder only (O_PATH) ---- */

static void places(void)
{
	int folder, link, fifo;
	char to[8] = "";
	struct stat st;

	must(mkdir("folder", 0700) == 0 && symlink("nowhere", "folder/link") == 0);
	must(mkfifo("folder/fifo", 0600) == 0);
	folder = open("folder", O_PATH | O_DIRECTORY);
	link = open("folder/link", O_PATH | O_NOFOLLOW);
	fifo = open("folder/fifo", O_PATH | O_CLOEXEC);
	must(folder >= 0 && link >= 0 && fifo >= 0);
	say("ready");
	wait_for_finish();
	check(fstatat(folder, "fifo", &st, 0) == 0 && S_ISFIFO(st.st_mode));
	check(readlinkat(link, "", to, sizeof(to) - 1) == 7 && strcmp(to, "nowhere") == 0);
	check(fstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
	check((fcntl(fifo, F_GETFL) & O_PATH) && fcntl(fifo, F_GETFD) == FD_CLOEXEC);
}

const struct work_scene work_objects[] = {
	{"queue", queue}, {"read", in_read},  {"objects", objects}, {"servers", servers},
	{"pairs", pairs}, {"places", places}, {NULL, NULL},
};
