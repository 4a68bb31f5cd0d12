/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of base/log: what each level shows, and that a line is one write without control
 * characters. For a while stderr is a packet socket, where each write is one message, or a
 * pseudo-terminal. The program's own stderr is back when a test reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/progress.h"
#include "tap.h"

static int own_stderr = -1;
static char captured[1 << 16];

/* Makes fd stderr. */
static void redirect(int fd)
{
	if (dup2(fd, STDERR_FILENO) < 0) {
		perror("dup2");
		exit(1);
	}
}

/* Puts stderr back. */
static void restore(void)
{
	redirect(own_stderr);
}

/* Reads one message of fd into captured; its length, 0 when there is none. */
static ssize_t take_message(int fd)
{
	ssize_t n = recv(fd, captured, sizeof(captured) - 1, MSG_DONTWAIT);

	captured[n > 0 ? n : 0] = '\0';
	return n > 0 ? n : 0;
}

/* Counts the messages of the four kinds that a level shows. The last one stays in captured. */
static int count_shown(int sock, int receive, enum log_level level)
{
	int shown = 0;

	log__set_level(level);
	redirect(sock);
	log__error("an error");
	log__warn("a warning");
	log__info("a line");
	log__debug("a step");
	restore();
	while (take_message(receive) > 0)
		shown++;
	return shown;
}

static void test_levels(int sock, int receive)
{
	tap__equal(log__level(), LOG_LEVEL_NORMAL, "the level before any call");
	tap__equal(count_shown(sock, receive, LOG_LEVEL_QUIET), 1, "quiet: errors only");
	tap__equal(count_shown(sock, receive, LOG_LEVEL_NORMAL), 3, "normal: all but steps");
	tap__equal(count_shown(sock, receive, LOG_LEVEL_VERBOSE), 4, "verbose: everything");
	tap__equal(log__level(), LOG_LEVEL_VERBOSE, "the level set is the level read");
}

static void test_text(int sock, int receive)
{
	redirect(sock);
	log__error("number %d", 23);
	take_message(receive);
	tap__equal_string(captured, "tracer: number 23\n", "an error, one message");
	log__warn("lost %s", "it");
	take_message(receive);
	tap__equal_string(captured, "tracer: warning: lost it\n", "a warning");
	log__set_name("testcase");
	log__info("hello");
	take_message(receive);
	tap__equal_string(captured, "testcase: hello\n", "a line under another name");
	log__debug("a\tb\nc\n\n");
	take_message(receive);
	tap__equal_string(captured, "testcase: a\tb\nc\n", "newlines stay inside, go at the end");
	log__info("a\033[2Jb\rc\177d");
	take_message(receive);
	tap__equal_string(captured, "testcase: a?[2Jb?c?d\n", "no terminal controls");
	log__info("%s", "gr\xc3\xbc\xc3\x9f");
	take_message(receive);
	tap__equal_string(captured, "testcase: gr\xc3\xbc\xc3\x9f\n", "UTF-8 gets through");
	log__info("%s", "");
	take_message(receive);
	tap__equal_string(captured, "testcase: \n", "an empty message");
	restore();
}

static void test_long_line(int sock, int receive)
{
	static char text[23001];
	ssize_t n;

	memset(text, 'x', sizeof(text) - 1);
	redirect(sock);
	log__info("%s", text);
	n = take_message(receive);
	restore();
	tap__equal(n, (ssize_t)strlen("testcase: \n") + 23000, "a long line is one message");
	tap__equal(take_message(receive), 0, "and only one");
}

static void test_errno(int sock, int receive)
{
	redirect(sock);
	errno = ENOTTY;
	log__error("%m");
	tap__equal(errno, ENOTTY, "errno is preserved");
	take_message(receive);
	restore();
	tap__ok(strstr(captured, strerror(ENOTTY)) != NULL, "and reaches a %%m");
	(void)close(STDERR_FILENO);
	errno = ENOTTY;
	log__error("into the void");
	tap__equal(errno, ENOTTY, "errno is preserved when stderr is closed");
	restore();
}

/* Reads how an error looks on the terminal with this master side. */
static void read_terminal(int master, int terminal)
{
	ssize_t n;

	redirect(terminal);
	log__error("boo");
	restore();
	n = read(master, captured, sizeof(captured) - 1);
	captured[n > 0 ? n : 0] = '\0';
}

/* A progress line is drawn over, with messages and progress__step, on that terminal. */
static void test_drawn(int master, int terminal)
{
	static const char wanted[] =
		"\r\033[Ktestcase: 22 %\r\033[Ktestcase: 23?%\r\033[Ktestcase: boo\r\n"
		"testcase: boo\r\n\r\033[Ktestcase: gone\r\033[K"
		"\r\033[Ktestcase: work: 30 %\r\033[K";
	struct progress progress = {0};
	size_t length = 0;
	ssize_t n;

	log__set_level(LOG_LEVEL_NORMAL);
	redirect(terminal);
	log__draw("%d %%", 22);
	log__draw("%d\033%%", 23);
	log__info("boo");
	log__info("boo");
	log__draw("gone");
	log__erase();
	log__erase();
	log__set_level(LOG_LEVEL_QUIET);
	log__draw("quiet");
	log__set_level(LOG_LEVEL_NORMAL);
	progress__step(&progress, "work", 0, 23);
	progress__step(&progress, "work", 1, 23); /* not yet */
	progress.start_ns -= 1000000000;
	progress__step(&progress, "work", 7, 23);
	progress__step(&progress, "work", 8, 23); /* just drawn */
	progress__end(&progress);
	progress__end(&progress);
	log__error("end"); /* a terminal may hand over its bytes in pieces */
	restore();
	do {
		n = read(master, captured + length, sizeof(captured) - 1 - length);
		length += n > 0 ? (size_t)n : 0;
		captured[length] = '\0';
	} while (n > 0 && !strstr(captured, "end"));
	*(strstr(captured, "testcase: end") ?: captured) = '\0';
	tap__equal_string(captured, wanted, "lines that are drawn over");
}

static void test_colour(int sock, int receive)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal = -1;
	const char *name = NULL;

	(void)unsetenv("NO_COLOR");
	redirect(sock);
	log__error("boo");
	restore();
	take_message(receive);
	tap__ok(!strchr(captured, '\033'), "no colour into a socket");
	redirect(sock);
	log__draw("boo");
	log__erase();
	restore();
	tap__equal(take_message(receive), 0, "no line that is drawn over into a socket");
	if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)
		name = ptsname(master);
	if (name)
		terminal = open(name, O_RDWR | O_NOCTTY);
	if (terminal < 0) {
		tap__skip(4, "no pseudo-terminal: %s", strerror(errno));
		goto out;
	}
	read_terminal(master, terminal);
	tap__equal_string(captured, "\033[31mtestcase: boo\033[0m\r\n", "red on a terminal");
	(void)setenv("NO_COLOR", "", 1);
	read_terminal(master, terminal);
	tap__ok(strchr(captured, '\033') != NULL, "an empty NO_COLOR means nothing");
	(void)setenv("NO_COLOR", "1", 1);
	read_terminal(master, terminal);
	tap__equal_string(captured, "testcase: boo\r\n", "no colour with NO_COLOR");
	test_drawn(master, terminal);
out:
	if (terminal >= 0)
		(void)close(terminal);
	if (master >= 0)
		(void)close(master);
}

int main(void)
{
	int pair[2];

	tap__plan(23);
	own_stderr = dup(STDERR_FILENO);
	if (own_stderr < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0) {
		perror("log_test");
		return 1;
	}
	test_levels(pair[0], pair[1]);
	test_text(pair[0], pair[1]);
	test_long_line(pair[0], pair[1]);
	test_errno(pair[0], pair[1]);
	test_colour(pair[0], pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(own_stderr);
	return tap__done();
}
