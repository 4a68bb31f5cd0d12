/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the control socket: its file, its answers, and clients that behave badly. Server and
 * clients are this process: connect(2) and send(2) of a unix socket do not wait.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask/socket.h"
#include "ask/socket_file.h"
#include "base/log.h"
#include "folder.h"
#include "tap.h"
#include "target/reason.h"

static struct socket *server;
static const char *path;    /* of the socket */
static unsigned int asked;  /* requests that were carried out */
static size_t answer_bytes; /* of the answers, at least */
static int sent_fd = -1;    /* goes with the next answer */
static pid_t asker;         /* who has asked last */

/* Answers with the request. */
static void echo(void *context, struct socket_request *request, FILE *out)
{
	must(context != &asked);
	asked++;
	asker = request->pid;
	request->fd = sent_fd;
	sent_fd = -1;
	(void)fprintf(out, "{\"line\":\"%s\"", request->line);
	for (size_t i = 0; i < answer_bytes; i++)
		(void)fputc(' ', out);
	(void)fputc('}', out);
}

/* Until nothing is left to do; two rounds, for the second hears of those who have gone. */
static void serve(void)
{
	for (int round = 0; round < 2; round++) {
		while (socket__serve(server, echo, &asked))
			;
	}
}

static int open_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	must(fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)));
	serve();
	return fd;
}

static void ask(int fd, const char *text)
{
	must(send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text));
	serve();
}

/* All that a client can read now; "" for nothing, NULL when it was cut off before anything. */
static const char *hear(int fd)
{
	static char text[1 << 14];
	ssize_t bytes = recv(fd, text, sizeof(text) - 1, 0);

	if (bytes == 0 || (bytes < 0 && errno != EAGAIN))
		return NULL;
	text[bytes > 0 ? bytes : 0] = '\0';
	return text;
}

static void test_file(void)
{
	struct socket *second = NULL;
	struct stat status;
	const char *plain = "plain", *link_path = "link";
	int fd;

	tap__equal(socket__open(path, 0, &server), 0, "a socket");
	tap__ok(!lstat(path, &status) && (status.st_mode & 0777) == 0600 &&
			S_ISSOCK(status.st_mode),
		"only its user may connect");
	tap__equal_string(socket__path(server), path, "its path");
	tap__equal(socket__open(path, 0, &second), -EADDRINUSE, "no second one beside it");
	tap__ok(!second && !lstat(path, &status), "which leaves the first alone");
	fd = open(plain, O_CREAT | O_WRONLY, 0600);
	must(fd < 0 || close(fd) || symlink(path, link_path));
	tap__equal(socket__open(plain, 0, &second), -REASON_NO_SOCKET, "no plain file is replaced");
	tap__equal(socket__open(link_path, 0, &second), -REASON_NO_SOCKET, "nor a link");
	tap__equal(socket__open("none/socket", 0, &second), -ENOENT, "no folder");
	tap__equal(socket__open("0123456789012345678901234567890123456789012345678901234567890123"
				"45678901234567890123456789012345678901234567890",
				0, &second),
		   -ENAMETOOLONG, "a path that is too long");
}

/* A socket at that path that nobody has open any more. */
static void leave_dead(const char *at)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", at);
	must(fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || close(fd));
}

/* A dead tracer leaves its socket behind. */
static void test_stale(void)
{
	struct socket *heir = NULL;
	int fd;

	leave_dead("stale");
	tap__equal(socket__open("stale", 0, &heir), 0, "the socket of a dead tracer is replaced");
	must(unlink("stale"));
	fd = open("stale", O_CREAT | O_WRONLY, 0600);
	must(fd < 0 || close(fd));
	socket__close(heir);
	tap__ok(!unlink("stale"), "a file that is not its own stays");
}

static void test_requests(void)
{
	int fd = open_client(), other = open_client();

	tap__equal_string(hear(fd), "", "silence is answered by silence");
	ask(fd, "status\n");
	tap__equal_string(hear(fd), "{\"line\":\"status\"}\n", "a line");
	ask(fd, "check");
	ask(other, "other\n");
	tap__equal_string(hear(other), "{\"line\":\"other\"}\n", "half a line keeps nobody up");
	tap__equal_string(hear(fd), "", "and is not carried out");
	ask(fd, "point 1\nlist\n\n");
	tap__equal_string(hear(fd),
			  "{\"line\":\"checkpoint 1\"}\n{\"line\":\"list\"}\n{\"line\":\"\"}\n",
			  "its rest, a second one, and an empty one");
	asked = 0;
	ask(fd, "never");
	must(close(fd));
	serve();
	tap__equal(asked, 0, "half a line of a client that has gone is not carried out");
	must(send(other, "last\n", 5, 0) != 5 || close(other));
	serve();
	tap__equal(asked, 1, "a whole one is");
}

/* Of the answer that a client can read now: the first byte of its file; 0 if it has none. */
static char hear_file(int fd)
{
	char text[64], byte = 0;
	struct iovec to = {text, sizeof(text)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr message = {.msg_iov = &to,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int got;

	must(recvmsg(fd, &message, 0) <= 0);
	if (!message.msg_controllen)
		return 0;
	memcpy(&got, CMSG_DATA(&control.header), sizeof(got));
	must(pread(got, &byte, 1, 0) != 1 || close(got));
	return byte;
}

static void test_descriptor(void)
{
	int fd = open_client(), file = memfd_create("file", MFD_CLOEXEC), next;

	must(file < 0 || write(file, "x", 1) != 1);
	sent_fd = file;
	ask(fd, "a\n");
	tap__equal(hear_file(fd), 'x', "a descriptor goes with an answer");
	tap__equal(fcntl(file, F_GETFD), -1, "and is closed");
	tap__equal(asker, getpid(), "it is known who asks");
	ask(fd, "b\n");
	tap__equal(hear_file(fd), 0, "the next answer has none");
	must(close(fd));
	fd = open_client();
	sent_fd = next = memfd_create("file", MFD_CLOEXEC);
	must(next < 0 || send(fd, "c\n", 2, 0) != 2 || close(fd));
	serve();
	tap__equal(fcntl(next, F_GETFD), -1, "it is closed if the client has gone");
}

static void test_half_close(void)
{
	int fd = open_client();

	must(send(fd, "a\nb\nc", 5, 0) != 5 || shutdown(fd, SHUT_WR));
	serve();
	tap__equal_string(hear(fd), "{\"line\":\"a\"}\n{\"line\":\"b\"}\n",
			  "a client that sends nothing more gets its answers");
	tap__ok(!hear(fd), "and is let go");
	must(close(fd));
}

static void test_long_lines(void)
{
	static char line[2 * SOCKET_LINE_BYTES];
	int fd = open_client();

	memset(line, 'x', sizeof(line));
	line[SOCKET_LINE_BYTES - 1] = '\n';
	line[SOCKET_LINE_BYTES] = '\0';
	ask(fd, line);
	tap__equal(strlen(hear(fd)), SOCKET_LINE_BYTES - 1 + strlen("{\"line\":\"\"}\n"),
		   "the longest line");
	line[SOCKET_LINE_BYTES - 1] = 'x';
	asked = 0;
	ask(fd, line);
	tap__ok(strstr(hear(fd), "\"ok\":false"), "a line that is too long is refused");
	tap__ok(!hear(fd) && !asked, "and the client is let go");
	must(close(fd));
	fd = open_client();
	must(send(fd, "a\0b\nstatus\n", 11, 0) != 11);
	serve();
	tap__ok(strstr(hear(fd), "NUL") && !asked, "a NUL byte is refused");
	must(close(fd));
}

/* The server must not wait for it, nor take ever more memory. */
static void test_deaf_client(void)
{
	int deaf = open_client(), other;
	size_t bytes = 0;

	answer_bytes = 1 << 22; /* more than a socket holds */
	asked = 0;
	must(send(deaf, "a\nb\n", 4, 0) != 4);
	serve();
	tap__equal(asked, 1, "a client that does not read its answer gets no second one");
	answer_bytes = 0;
	other = open_client();
	ask(other, "status\n");
	tap__equal_string(hear(other), "{\"line\":\"status\"}\n", "the others do");
	for (const char *text; (text = hear(deaf)) && *text; serve())
		bytes += strlen(text);
	tap__ok(bytes > 1 << 22 && asked == 3, "once it reads, it gets both");
	answer_bytes = 1 << 22;
	ask(deaf, "a\n");
	must(close(deaf));
	serve();
	answer_bytes = 0;
	ask(other, "status\n");
	tap__equal_string(hear(other), "{\"line\":\"status\"}\n", "it goes with an answer owed");
	must(close(other));
}

static void test_many_clients(void)
{
	int fds[2 * SOCKET_CLIENTS + 1], last = 2 * SOCKET_CLIENTS, cut = 0;

	for (int i = 0; i <= last; i++) {
		fds[i] = open_client();
		if (i < last)
			ask(fds[0], "status\n");
	}
	ask(fds[last], "status\n");
	tap__ok(hear(fds[last]), "a new client is answered, however many are silent");
	tap__ok(hear(fds[0]), "one that asks now and then stays");
	for (int i = 1; i < last; i++)
		cut += !hear(fds[i]);
	tap__equal(cut, SOCKET_CLIENTS + 1, "those that were silent for longest make room");
	for (int i = 0; i <= last; i++)
		must(close(fds[i]));
	serve();
}

static void test_stranger(void)
{
	pid_t child;
	int status = 0;

	if (geteuid()) {
		tap__skip(1, "needs root");
		return;
	}
	must(chmod(path, 0666) || chmod(".", 0711));
	asked = 0;
	child = fork();
	if (!child) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		char text[256] = "";
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		if (setuid(65534) || connect(fd, (struct sockaddr *)&address, sizeof(address)))
			_exit(1);
		(void)send(fd, "status\n", 7, MSG_NOSIGNAL);
		_exit(recv(fd, text, sizeof(text) - 1, 0) > 0 && strstr(text, "only root") ? 0 : 2);
	}
	while (!waitpid(child, &status, WNOHANG))
		serve();
	tap__ok(!status && !asked, "another user is refused, even where the file allows it");
}

/* Connects as another user, and waits for the refusal. */
static int connect_once(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char byte;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (setuid(65534) || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return 1;
	return recv(fd, &byte, 1, 0) == 1 ? 0 : 2;
}

static void test_stranger_among_many(void)
{
	int fds[SOCKET_CLIENTS], kept = 0, status = 0;
	pid_t child;

	if (geteuid()) {
		tap__skip(1, "needs root");
		return;
	}
	for (int i = 0; i < SOCKET_CLIENTS; i++)
		fds[i] = open_client();
	serve();
	child = fork();
	if (!child)
		_exit(connect_once());
	while (!waitpid(child, &status, WNOHANG))
		serve();
	for (int i = 0; i < SOCKET_CLIENTS; i++) {
		kept += hear(fds[i]) != NULL;
		must(close(fds[i]));
	}
	serve();
	tap__ok(!status && kept == SOCKET_CLIENTS, "another user pushes out nobody who may ask");
}

/* Connects once more than there are places, as another user. */
static int connect_often(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1;
	char byte;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (setuid(65534))
		return 1;
	for (int i = 0; i <= SOCKET_CLIENTS; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			return 2;
	}
	return send(fd, "a\n", 2, MSG_NOSIGNAL) == 2 && recv(fd, &byte, 1, 0) == 1 ? 0 : 3;
}

/* It may ask for its list of faults. */
static void test_process_of_another_user(void)
{
	struct socket *const first = server;
	const char *const first_path = path;
	int go[2], fd, status = 0;
	pid_t child;

	if (geteuid()) {
		tap__skip(2, "needs root");
		return;
	}
	path = "another.sock";
	must(pipe(go));
	child = fork();
	if (!child) {
		char byte;

		_exit(read(go[0], &byte, 1) == 1 ? connect_often() : 4);
	}
	must(child < 0 || socket__open(path, child, &server) || chmod(path, 0666));
	fd = open_client();
	must(write(go[1], "", 1) != 1 || close(go[0]) || close(go[1]));
	while (!waitpid(child, &status, WNOHANG))
		serve();
	tap__equal(status, 0, "the process is answered, though it is of another user");
	ask(fd, "status\n");
	tap__ok(hear(fd), "it pushes out nobody, however often it connects");
	must(close(fd));
	socket__close(server);
	server = first;
	path = first_path;
}

/* Dead sockets of default paths are removed; all else stays, and all stays under the lock. */
static void test_sweep(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "swept/2.sock"};
	int bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, lock;
	struct socket *live = NULL;

	must(mkdir("swept", 0700) || bound < 0);
	must(socket__open("swept/1.sock", 0, &live));
	must(bind(bound, (struct sockaddr *)&address, sizeof(address))); /* does not listen yet */
	leave_dead("swept/3.sock");
	leave_dead("swept/4.sock");
	leave_dead("swept/other.sock");
	fd = open("swept/5.sock", O_CREAT | O_WRONLY, 0600);
	must(fd < 0 || close(fd));
	lock = open("swept", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(lock < 0 || flock(lock, LOCK_EX));
	tap__equal(socket_file__sweep("swept"), 0,
		   "under the lock of another one nothing is removed");
	must(close(lock));
	tap__equal(socket_file__sweep("swept"), 2, "two dead sockets are removed");
	tap__ok(!access("swept/1.sock", F_OK) && !access("swept/2.sock", F_OK) &&
			!access("swept/5.sock", F_OK) && !access("swept/other.sock", F_OK),
		"sockets in use, files, and other names stay");
	socket__close(live);
	must(close(bound) || unlink("swept/2.sock") || unlink("swept/5.sock") ||
	     unlink("swept/other.sock") || rmdir("swept"));
	tap__equal(socket_file__sweep("swept"), 0, "no folder, nothing to do");
}

static void test_default_path(void)
{
	char text[64];

	if (geteuid()) {
		must(setenv("XDG_RUNTIME_DIR", "/run/user/23", 1));
		tap__ok(!socket_file__default_path(42, text, sizeof(text)) &&
				!strcmp(text, "/run/user/23/tracer/42.sock"),
			"the default path of a user");
	} else {
		tap__ok(!socket_file__default_path(42, text, sizeof(text)) &&
				!strcmp(text, "/run/tracer/42.sock"),
			"the default path of root");
	}
	tap__equal(socket_file__default_path(42, text, 12), -ENAMETOOLONG, "a buffer too small");
}

int main(void)
{
	log__set_level(LOG_LEVEL_QUIET);
	log__set_name("# socket_test");
	path = "control.sock";
	folder__enter("socket_test");
	tap__plan(47);
	test_file();
	test_stale();
	test_sweep();
	test_requests();
	test_descriptor();
	test_half_close();
	test_long_lines();
	test_deaf_client();
	test_many_clients();
	test_stranger();
	test_stranger_among_many();
	test_process_of_another_user();
	test_default_path();
	socket__close(server);
	tap__ok(access(path, F_OK) && errno == ENOENT, "nothing is left");
	folder__remove();
	return tap__done();
}
