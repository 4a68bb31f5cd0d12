/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ctl.h. What the user types is checked here, so that a word can never be two requests.
 */
#include "ctl/ctl.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "ctl/json_object.h"
#include "ask/command.h"
#include "ask/socket.h"
#include "ask/socket_file.h"
#include "ask/word.h"
#include "base/help.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/progress.h"
#include "base/text.h"
#include "ctl/show.h"
#include "ctl/show_diff.h"
#include "ctl/starting.h"
#include "target/reason.h"

enum {
	LOOK_MS = 20,       /* how often a socket that is not there yet is looked for */
	AT_LEAST_MS = 200,  /* a shell takes so long to start what it has put into the background */
	AT_MOST_MS = 30000, /* for a tracer that is there, and does not listen */
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	WORDS_MAX = 1 + COMMAND_WORDS,
	KEY_CONTROL_SOCKET = 256,
	KEY_JSON,
	KEY_MAP,
	KEY_CLOSE
};

struct request {
	const char *path; /* of the socket; NULL: the default */
	pid_t pid;
	unsigned int words; /* with the command */
	const char *word[WORDS_MAX];
	const char *map; /* where a heat map is to be drawn */
	bool closes;     /* new descriptors, at a rollback */
	bool is_raw;     /* the answer is shown as it comes */
};

static void read_word(struct argp_state *state, char *text, struct request *request)
{
	uint64_t pid;

	if (!request->pid) {
		if (parse__u64(text, 1, INT32_MAX, &pid))
			argp_error(state, "'%s' is no process id", text);
		request->pid = (pid_t)pid;
		return;
	}
	if (request->words == WORDS_MAX)
		argp_error(state, "too many words: '%s'", text);
	request->word[request->words++] = text;
}

static bool is_path(const struct request *request, unsigned int number)
{
	return number == 1 && !strcmp(request->word[0], "save");
}

static void check_words(struct argp_state *state, const struct request *request)
{
	for (unsigned int i = 0; i < request->words; i++) {
		const char *text = request->word[i], *at = text;

		while (*at && (is_path(request, i) || (*at > ' ' && *at <= '~')))
			at++;
		if (!*text || *at)
			argp_error(state,
				   "'%s': only letters, digits, '.', '_' and '-' can be used",
				   text);
	}
}

/* What can be asked, a line for each command. */
static const char *list_commands(void)
{
	static char text[1024];
	const char *name, *words;
	size_t used = 0;

	for (size_t i = 0; (name = command__usage(i, &words)) && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s\n", name, words);
	return text;
}

static void check(struct argp_state *state, const struct request *request)
{
	int err;

	if (!request->pid)
		argp_error(state, "PID and COMMAND are needed");
	if (!request->words)
		argp_error(state, "COMMAND is needed; the commands are:\n%s", list_commands());
	if (request->closes && strcmp(request->word[0], "rollback") != 0)
		argp_error(state, "--close-new-fds is for rollback");
	if (request->map && (request->is_raw || strcmp(request->word[0], "diff") != 0))
		argp_error(state, "--map is for diff, and not with --json");
	check_words(state, request);
	err = command__check(request->word[0], request->words - 1);
	if (err == -REASON_NO_COMMAND)
		argp_error(state, "there is no command '%s'; the commands are:\n%s",
			   request->word[0], list_commands());
	if (err)
		argp_error(state, "%s: %s", request->word[0], reason__text(err));
}

static error_t read_option(int key, char *text, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case KEY_CONTROL_SOCKET:
		request->path = text;
		break;
	case KEY_CLOSE:
		request->closes = true;
		break;
	case KEY_MAP:
		if (!show_diff__is_map(text))
			argp_error(state, "'%s': a map is '-', or ends in .svg or .png", text);
		request->map = text;
		break;
	case KEY_JSON:
		request->is_raw = true;
		break;
	case ARGP_KEY_ARG:
		read_word(state, text, request);
		break;
	case ARGP_KEY_END:
		check(state, request);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option option_list[] = {
	{"control-socket", KEY_CONTROL_SOCKET, "PATH", 0,
	 "Where the tracer listens (default /run/tracer/PID.sock for root, "
	 "$XDG_RUNTIME_DIR/tracer/PID.sock for others)",
	 1},
	{"close-new-fds", KEY_CLOSE, NULL, 0,
	 "With rollback: close descriptors that were opened since the checkpoint", 1},
	{"map", KEY_MAP, "FILE", 0,
	 "Draw what differs as a heat map: FILE.svg, FILE.png, or - for the terminal", 1},
	{"json", KEY_JSON, NULL, 0, "Print the answer as it comes, a JSON object in one line", 1},
	{0},
};

static const char help_text[] =
	"Ask the tracer of process PID (tracer -p PID, PROGRAM or --wait NAME).\v"
	"Commands:\n"
	"  checkpoint [NAME]  save memory and registers (without NAME: 1, 2, ...)\n"
	"  rollback [NAME]    go back to that instant (without NAME: the newest)\n"
	"  list               show the checkpoints\n"
	"  delete NAME        forget a checkpoint\n"
	"  diff [A [B]]       show what has changed from A (the newest) to B (now)\n"
	"  save FILE [NAME]   write an image for restart (without NAME: of now)\n"
	"  status             show what the tracer does\n"
	"  detach             end the tracer; the process runs on\n\n"
	"Exit status: 0; 1 if it was refused or failed; 2 for wrong usage.";

/* Adds the path of a file, from the root folder on. */
static int add_path(const char *path, char *line, size_t size)
{
	char whole[PATH_MAX] = "";
	size_t used;

	if (*path != '/') {
		if (!getcwd(whole, sizeof(whole)))
			return -errno;
		used = strlen(whole);
		if (snprintf(whole + used, sizeof(whole) - used, "/%s", path) >=
		    (int)(sizeof(whole) - used))
			return -ENAMETOOLONG;
		path = whole;
	}
	return word__encode(path, line, size);
}

/* Adds a word, as it is or as a path, and what comes before it. Returns 0 or -errno. */
static int add_word(const char *before, const char *word, bool is_a_path, char *line, size_t size)
{
	const size_t used = strlen(line);
	const int length =
		snprintf(line + used, size - used, "%s%s", before, is_a_path ? "" : word);

	if (length >= (int)(size - used))
		return -ENAMETOOLONG;
	return is_a_path ? add_path(word, line + used + length, size - used - (size_t)length) : 0;
}

/* Writes the line that asks. Returns its length, or -errno. */
static int make_line(const struct request *request, char *line, size_t size)
{
	int err = add_word("", request->word[0], false, line, size);

	if (err)
		return err;
	if (request->closes)
		err = add_word(" ", COMMAND_CLOSE_NEW_FDS, false, line, size);
	for (unsigned int i = 1; i < request->words && !err; i++)
		err = add_word(" ", request->word[i], is_path(request, i), line, size);
	if (err)
		return err;
	err = add_word("\n", "", false, line, size);
	return err ? err : (int)strlen(line);
}

/* Connects. Waits if nobody listens there, but a tracer of that process is being started. Returns
 * the socket or -errno. */
static int connect_to(const struct sockaddr_un *address, const struct request *request)
{
	for (unsigned int waited_ms = 0;; waited_ms += LOOK_MS) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

		if (fd < 0)
			return -errno;
		if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
			return fd;
		err = -errno;
		close(fd);
		if ((err != -ENOENT && err != -ECONNREFUSED) || waited_ms >= AT_MOST_MS ||
		    (waited_ms >= AT_LEAST_MS && !starting__is(request->pid)))
			return err;
		if (!request->path && !procfs__is_there(request->pid))
			return err;
		(void)poll(NULL, 0, LOOK_MS);
	}
}

/* Nobody listens there: says whether there is the process. */
static void tell_nobody(const struct request *request, const char *path)
{
	const pid_t pid = request->pid;
	const char *was_killed = "";

	if (request->path) {
		log__error("no tracer listens at %s; start one with: tracer -p %d", path, pid);
		return;
	}
	if (socket_file__remove_dead(path))
		was_killed = " any more: the tracer that did was killed";
	if (procfs__is_there(pid))
		log__error("no tracer serves process %d%s; start one with: tracer -p %d", pid,
			   was_killed, pid);
	else
		log__error("there is no process %d", pid);
}

/* Why the tracer cannot be asked, or does not answer. */
static const char *text_of_failure(int error)
{
	return error == EPIPE || error == ECONNRESET ? "the tracer has ended" : strerror(error);
}

/* Where the tracer listens. */
static int find_address(const struct request *request, struct sockaddr_un *address)
{
	const size_t size = sizeof(address->sun_path);

	if (!request->path)
		return socket_file__default_path(request->pid, address->sun_path, size);
	if (snprintf(address->sun_path, size, "%s", request->path) >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}

/* Connects and sends. Returns the socket or -errno. */
static int send_line(const struct sockaddr_un *address, const struct request *request,
		     const char *line, size_t length)
{
	int fd = connect_to(address, request), err;

	if (fd < 0 || send(fd, line, length, MSG_NOSIGNAL) == (ssize_t)length)
		return fd;
	if (errno == EPIPE) /* it may have answered before it hung up */
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Returns the socket, or -1 after saying why. */
static int ask(const struct request *request)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char line[SOCKET_LINE_BYTES] = "";
	int err = find_address(request, &address), length, fd;

	if (err) {
		log__error("cannot find the control socket: %s", reason__text(err));
		return -1;
	}
	length = make_line(request, line, sizeof(line));
	if (length < 0) {
		log__error("%s: %s", request->word[request->words - 1], strerror(-length));
		return -1;
	}
	fd = send_line(&address, request, line, (size_t)length);
	if (fd >= 0)
		return fd;
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		tell_nobody(request, address.sun_path);
	else
		log__error("cannot ask at %s: %s%s", address.sun_path, text_of_failure(-fd),
			   fd == -EACCES ? "; the tracer belongs to another user" : "");
	return -1;
}

/* Reads the answer to its newline, which it drops. The caller frees it; NULL after saying why. */
static char *hear(int fd, const char *what)
{
	struct progress progress = {0};
	size_t used = 0, size = 0;
	ssize_t bytes = 0;
	char *answer = NULL;

	while (!used || answer[used - 1] != '\n') {
		struct pollfd source = {.fd = fd, .events = POLLIN};
		char *larger;

		progress__step(&progress, what, 0, 0);
		if (!poll(&source, 1, 200))
			continue;
		if (size - used < 2) {
			size = size ? 2 * size : 4096;
			larger = realloc(answer, size);
			if (!larger) {
				errno = ENOMEM;
				bytes = -1;
				break;
			}
			answer = larger;
		}
		bytes = recv(fd, answer + used, size - used - 1, 0);
		if (bytes == 0 || (bytes < 0 && errno != EINTR))
			break;
		used += bytes > 0 ? (size_t)bytes : 0;
	}
	progress__end(&progress);
	if (used && answer[used - 1] == '\n') {
		answer[used - 1] = '\0';
		return answer;
	}
	log__error("%s: no answer: %s", what, text_of_failure(bytes ? errno : EPIPE));
	free(answer);
	return NULL;
}

static void tell_refusal(const char *op, const char *answer)
{
	char error[TEXT_MAX];

	(void)json_object__text(answer, "error", error, sizeof(error));
	log__error("%s: %s", op, error);
}

int ctl__main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = read_option,
		.children = help__options,
		.args_doc = "PID COMMAND [WORD...]",
		.doc = help_text,
	};
	struct request request = {0};
	int status = EXIT_REFUSED, fd;
	char *answer;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &request);
	log__set_name("tracer ctl");
	fd = ask(&request);
	if (fd < 0)
		return status;
	answer = hear(fd, request.word[0]);
	close(fd);
	if (!answer)
		return status;
	if (json_object__is_true(answer, "ok"))
		status = 0;
	if (request.is_raw)
		(void)puts(answer);
	else if (!status && request.map)
		status = show_diff__map(answer, request.map) ? EXIT_REFUSED : 0;
	else if (!status)
		show__answer(request.word[0], answer);
	else
		tell_refusal(request.word[0], answer);
	free(answer);
	return fflush(stdout) || ferror(stdout) ? EXIT_REFUSED : status;
}
