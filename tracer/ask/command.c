/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See command.h. Members are only ever added to answers, for scripts read them.
 */
#include "ask/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/procfs.h"
#include "base/text.h"
#include "ask/word.h"
#include "diff/diff.h"
#include "save/save.h"
#include "target/reason.h"

enum { FILES_MAX = 64 }; /* descriptors in an answer */

static void put_text(FILE *out, const char *name, const char *text)
{
	(void)fprintf(out, "\"%s\":\"", name);
	text__put_json(out, text);
	(void)fputc('"', out);
}

static void put_number(FILE *out, const char *name, uint64_t number)
{
	(void)fprintf(out, ",\"%s\":%" PRIu64, name, number);
}

/* Begins the answer of a command that has succeeded. */
static void begin(FILE *out, const char *op)
{
	(void)fprintf(out, "{\"ok\":true,\"op\":\"%s\"", op);
}

static void put_failure(FILE *out, const char *op, const char *error)
{
	(void)fputs("{\"ok\":false,", out);
	if (op) {
		put_text(out, "op", op);
		(void)fputc(',', out);
	}
	put_text(out, "error", error);
	(void)fputc('}', out);
}

static void put_error(struct commands *commands, FILE *out, const char *op, int err)
{
	const char *detail = commands->attach ? attach__detail(commands->attach) : "";
	char both[512];

	(void)snprintf(both, sizeof(both), "%s%s%s", reason__text(err), *detail ? ": " : "",
		       detail);
	if (err == -REASON_HALF_DONE) {
		commands->has_broken = true;
		log__error("%s: %s", op, both);
	} else {
		log__debug("%s: %s", op, both);
	}
	put_failure(out, op, both);
}

/* How a checkpoint or a rollback has found what to copy. */
static void put_found(FILE *out, enum attach_found found)
{
	static const char *const names[] = {[ATTACH_COMPARED] = "compare",
					    [ATTACH_SOFT_DIRTY] = "soft",
					    [ATTACH_SCANNED] = "scan",
					    [ATTACH_LISTED] = "faults"};

	(void)fprintf(out, ",\"dirty_way\":\"%s\"", names[found]);
}

/* What commands that copy have in common. */
static void put_result(FILE *out, const char *op, const struct attach_result *result)
{
	begin(out, op);
	(void)fputc(',', out);
	put_text(out, "name", result->name);
	put_number(out, "pages", result->pages);
	put_number(out, "bytes", result->bytes);
	put_number(out, "threads", result->threads);
	put_number(out, "stop_ns", result->stop_ns);
	log__debug("%s %s: %" PRIu64 " pages, %" PRIu64 " us", op, result->name, result->pages,
		   result->stop_ns / 1000);
}

struct items { /* of an array that is being written */
	FILE *out;
	size_t count; /* so far, of an array that is cut at FILES_MAX */
	bool has_one;
};

static void next_item(struct items *items)
{
	if (items->has_one)
		(void)fputc(',', items->out);
	items->has_one = true;
}

static void put_left_alone(const struct mapping *mapping, void *argument)
{
	struct items *items = argument;
	const char *path = *mapping->path ? mapping->path : "shared memory without a name";

	next_item(items);
	(void)fputc('{', items->out);
	put_text(items->out, "path", path);
	put_number(items->out, "bytes", mapping->end - mapping->start);
	(void)fputc('}', items->out);
	log__info("left alone: %s, %" PRIu64 " bytes at %#" PRIx64, path,
		  mapping->end - mapping->start, mapping->start);
}

static void checkpoint(struct commands *commands, char *const *words, FILE *out)
{
	struct attach_result result;
	struct items items = {.out = out};
	int err = attach__checkpoint(commands->attach, words[0], &result);

	if (err) {
		put_error(commands, out, "checkpoint", err);
		return;
	}
	put_result(out, "checkpoint", &result);
	put_found(out, result.found);
	(void)fputs(",\"left_alone\":[", out);
	attach__name_left_alone(commands->attach, put_left_alone, &items);
	(void)fputs("]}", out);
}

static void put_file(const struct attach_file *file, void *argument)
{
	static const char *const states[] = {
		[ATTACH_FILE_OPENED] = "opened",
		[ATTACH_FILE_ENDED] = "closed by the rollback",
		[ATTACH_FILE_CLOSED] = "closed",
	};
	struct items *items = argument;

	if (++items->count > FILES_MAX)
		return;
	next_item(items);
	(void)fprintf(items->out, "{\"fd\":%d,\"state\":\"%s\"", file->fd, states[file->state]);
	if (*file->name) {
		(void)fputc(',', items->out);
		put_text(items->out, "name", file->name);
	}
	(void)fputc('}', items->out);
}

static void rollback(struct commands *commands, char *const *words, FILE *out)
{
	struct attach_result result;
	struct items items = {.out = out};
	int err = commands->closes ? attach__rollback_and_close(commands->attach, words[0], &result)
				   : attach__rollback(commands->attach, words[0], &result);
	if (err) {
		put_error(commands, out, "rollback", err);
		return;
	}
	put_result(out, "rollback", &result);
	put_found(out, result.found);
	put_number(out, "ended", result.ended);
	put_number(out, "unmapped", result.unmapped);
	put_number(out, "mapped", result.mapped);
	(void)fputs(",\"files\":[", out);
	attach__visit_files(commands->attach, put_file, &items);
	(void)fputc(']', out);
	put_number(out, "more_files", items.count > FILES_MAX ? items.count - FILES_MAX : 0);
	(void)fputc('}', out);
}

static void put_checkpoint(const struct attach_checkpoint *checkpoint, void *argument)
{
	struct items *items = argument;

	next_item(items);
	(void)fputc('{', items->out);
	put_text(items->out, "name", checkpoint->name);
	put_number(items->out, "time_ns", checkpoint->time_ns);
	put_number(items->out, "pages", checkpoint->pages);
	put_number(items->out, "own_bytes", checkpoint->own_bytes);
	put_number(items->out, "threads", checkpoint->threads);
	(void)fputc('}', items->out);
}

static void list(struct commands *commands, char *const *words, FILE *out)
{
	struct items items = {.out = out};

	(void)words;
	begin(out, "list");
	(void)fputs(",\"checkpoints\":[", out);
	if (commands->attach)
		attach__visit(commands->attach, put_checkpoint, &items);
	(void)fputs("]}", out);
}

static void delete (struct commands *commands, char *const *words, FILE *out)
{
	int err = commands->attach ? attach__delete(commands->attach, words[0])
				   : -REASON_UNKNOWN_NAME;

	if (err) {
		put_error(commands, out, "delete", err);
		return;
	}
	begin(out, "delete");
	(void)fputc(',', out);
	put_text(out, "name", words[0]);
	(void)fputc('}', out);
}

static void status(struct commands *commands, char *const *words, FILE *out)
{
	static const char *const ways[] = {[WRITE_TRACKING_NONE] = "compare",
					   [WRITE_TRACKING_SOFT_DIRTY] = "soft-dirty",
					   [WRITE_TRACKING_PROTECT] = "userfaultfd"};
	struct attach_status status = {.pid = commands->pid};

	(void)words;
	if (commands->attach)
		status = attach__status(commands->attach);
	begin(out, "status");
	put_number(out, "pid", (uint64_t)status.pid);
	(void)fprintf(out, ",\"tracking\":\"%s\"",
		      !commands->attach ? "none"
		      : status.has_list ? "faults"
					: ways[status.way]);
	put_number(out, "checkpoints", status.checkpoints);
	put_number(out, "store_bytes", status.store_bytes);
	put_number(out, "rollbacks", status.rollbacks);
	(void)fprintf(out, ",\"stopped\":%s}", commands->has_broken ? "true" : "false");
}

static void detach(struct commands *commands, char *const *words, FILE *out)
{
	(void)words;
	if (commands->stays) {
		put_failure(out, "detach", commands->stays);
		return;
	}
	list_sharing__close(commands->sharing);
	attach__close(commands->attach);
	commands->sharing = NULL;
	commands->attach = NULL;
	commands->is_detached = true;
	begin(out, "detach");
	(void)fputc('}', out);
}

/* The share of a cell that has changed, as one of 64 characters: 'A' is nothing. */
static void put_cells(FILE *out, const struct diff *diff, const struct diff_mapping *item)
{
	static const char levels[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint64_t chunks = diff->cell_bytes / DIFF_CHUNK_BYTES;
	const uint64_t most = sizeof(levels) - 2;

	(void)fputs(",\"cells\":\"", out);
	for (size_t i = 0; i < item->cells && item->bytes; i++) {
		const uint64_t changed = diff->changed[item->first_cell + i];

		(void)fputc(levels[(changed * most + chunks - 1) / chunks], out);
	}
	(void)fputc('"', out);
}

static void put_difference(FILE *out, const struct diff *diff, const struct diff_mapping *item)
{
	static const char *const states[] = {
		[DIFF_SAME] = "same", [DIFF_NEW] = "new", [DIFF_GONE] = "gone"};

	(void)fputc('{', out);
	put_text(out, "name", item->label);
	put_number(out, "start", item->mapping.start);
	put_number(out, "end", item->mapping.end);
	(void)fprintf(out, ",\"state\":\"%s\"", states[item->state]);
	put_number(out, "pages", item->pages);
	put_number(out, "bytes", item->bytes);
	put_cells(out, diff, item);
	(void)fputc('}', out);
}

static void put_range(FILE *out, const struct diff_range *range)
{
	(void)fprintf(out, "{\"start\":%" PRIu64, range->start);
	put_number(out, "bytes", range->end - range->start);
	if (*range->symbol) {
		(void)fputc(',', out);
		put_text(out, "symbol", range->symbol);
	}
	(void)fputc('}', out);
}

static void put_diff(FILE *out, const struct diff *diff)
{
	struct items items = {.out = out}, ranges = {.out = out};

	begin(out, "diff");
	(void)fputc(',', out);
	put_text(out, "from", diff->from);
	if (*diff->to) {
		(void)fputc(',', out);
		put_text(out, "to", diff->to);
	}
	put_number(out, "pages", diff->pages);
	put_number(out, "bytes", diff->bytes);
	put_number(out, "stop_ns", diff->stop_ns);
	put_number(out, "cell_bytes", diff->cell_bytes);
	(void)fputs(",\"mappings\":[", out);
	for (size_t i = 0; i < diff->mapping_count; i++) {
		next_item(&items);
		put_difference(out, diff, &diff->mappings[i]);
	}
	(void)fputs("],\"ranges\":[", out);
	for (size_t i = 0; i < diff->range_count; i++) {
		next_item(&ranges);
		put_range(out, &diff->ranges[i]);
	}
	(void)fputc(']', out);
	put_number(out, "more_mappings", diff->mappings_left_out);
	put_number(out, "more_ranges", diff->ranges_left_out);
	(void)fputc('}', out);
}

static void compare(struct commands *commands, char *const *words, FILE *out)
{
	struct diff *diff = NULL;
	int err = diff__compare(commands->attach, words[0], words[0] ? words[1] : NULL, &diff);

	if (err)
		put_error(commands, out, "diff", err);
	else
		put_diff(out, diff);
	diff__free(diff);
}

/* The path is absolute, for the tracer and its client have folders of their own. */
static void save(struct commands *commands, char *const *words, FILE *out)
{
	struct attach_result result;
	int err;

	if (word__decode(words[0])) {
		put_failure(out, "save", "FILE has a '%' without two hexadecimal digits, or %00");
		return;
	}
	if (*words[0] != '/') {
		put_failure(out, "save", "FILE is no absolute path");
		return;
	}
	err = save__image(commands->attach, words[0], words[1], &result);
	if (err) {
		put_error(commands, out, "save", err);
		return;
	}
	put_result(out, "save", &result);
	(void)fputc(',', out);
	put_text(out, "file", words[0]);
	(void)fputc('}', out);
}

static const struct command {
	const char *name, *words; /* words: those after it, for people */
	unsigned int least, most; /* how many these may be */
	bool attaches;            /* it needs an attached process */
	void (*carry_out)(struct commands *commands, char *const *words, FILE *out);
} list_of_all[] = {
	{"checkpoint", " [NAME]", 0, 1, true, checkpoint},
	{"rollback", " [" COMMAND_CLOSE_NEW_FDS "] [NAME]", 0, 1, true, rollback},
	{"list", "", 0, 0, false, list},
	{"delete", " NAME", 1, 1, false, delete},
	{"diff", " [NAME [NAME]]", 0, 2, true, compare},
	{"save", " FILE [NAME]", 1, 2, true, save},
	{"status", "", 0, 0, false, status},
	{"detach", "", 0, 0, false, detach},
};

const char *command__usage(size_t number, const char **ret_words)
{
	if (number >= sizeof(list_of_all) / sizeof(*list_of_all))
		return NULL;
	*ret_words = list_of_all[number].words;
	return list_of_all[number].name;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(list_of_all) / sizeof(*list_of_all); i++) {
		if (!strcmp(list_of_all[i].name, name))
			return &list_of_all[i];
	}
	return NULL;
}

int command__check(const char *name, unsigned int words)
{
	const struct command *command = find(name);

	if (!command)
		return -REASON_NO_COMMAND;
	if (words > command->most)
		return -REASON_MANY_WORDS;
	return words < command->least ? -REASON_FEW_WORDS : 0;
}

/* Returns the descriptor of the list or -errno. */
static int begin_list(struct commands *commands)
{
	int err = 0;

	if (commands->sharing && list_sharing__is_stale(commands->sharing)) {
		list_sharing__close(commands->sharing);
		commands->sharing = NULL;
	}
	if (!commands->sharing)
		err = list_sharing__open(&commands->sharing);
	return err ? err : list_sharing__begin(commands->sharing, commands->pid);
}

/* May the client look at the process as it is now? A child may have inherited the connection, and
 * the process may have executed a program with more rights since. The files of such a program in
 * /proc belong to root (proc(5)). */
static bool may_look(const struct socket_request *request)
{
	struct stat status;

	if (!request->uid)
		return true;
	return !procfs__stat(request->pid, "status", &status) && status.st_uid == request->uid;
}

/* As begin_list(); -EPERM if the client may not have the list. An exec after may_look() ends the
 * list. */
static int begin_own_list(struct commands *commands, const struct socket_request *request)
{
	const int fd = begin_list(commands);

	if (fd < 0 || may_look(request))
		return fd;
	list_sharing__end(commands->sharing);
	(void)close(fd);
	return -EPERM;
}

/* Carries out COMMAND_FAULT_LIST, which only the process itself may ask for
 * (utils/rollback/listed_pages.h). words: "end", or none. */
static void share_list(struct commands *commands, struct socket_request *request,
		       char *const *words, FILE *out)
{
	const bool ends = words[0] && !strcmp(words[0], "end");

	if (!request->pid || request->pid != commands->pid) {
		put_failure(out, COMMAND_FAULT_LIST, "only the process itself may ask for it");
		return;
	}
	if (!ends)
		request->fd = begin_own_list(commands, request);
	else if (commands->sharing)
		list_sharing__end(commands->sharing);
	if (!ends && request->fd < 0) {
		put_failure(out, COMMAND_FAULT_LIST, reason__text(request->fd));
		return;
	}
	begin(out, COMMAND_FAULT_LIST);
	(void)fputc('}', out);
}

void command__answer(void *context, struct socket_request *request, FILE *out)
{
	struct commands *commands = context;
	char *words[COMMAND_WORDS + 2] = {NULL}; /* one too many, and a NULL */
	char *rest = NULL, *op = strtok_r(request->line, " ", &rest);
	unsigned int count = 0;
	int err;

	commands->closes = false;
	while (count <= COMMAND_WORDS && (words[count] = strtok_r(NULL, " ", &rest))) {
		if (!strcmp(words[count], COMMAND_CLOSE_NEW_FDS))
			commands->closes = true;
		else
			count++;
	}
	err = op ? command__check(op, count) : -REASON_NO_COMMAND;
	if (commands->is_detached) {
		put_failure(out, op, "the process is detached");
		return;
	}
	if (op && !strcmp(op, COMMAND_FAULT_LIST)) {
		share_list(commands, request, words, out);
		return;
	}
	if (!request->may_command) {
		put_failure(out, op, "only root and the user of the tracer may ask");
		return;
	}
	if (commands->closes && op && strcmp(op, "rollback") != 0) {
		put_failure(out, op, COMMAND_CLOSE_NEW_FDS " is for rollback");
		return;
	}
	if (err) {
		put_failure(out, op, reason__text(err));
		return;
	}
	if (find(op)->attaches && !commands->attach)
		err = commands->open(commands);
	if (err)
		put_error(commands, out, op, err);
	else
		find(op)->carry_out(commands, words, out);
}
