/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the commands of the control socket: each answer, word for word, and each mistake. The
 * process that is attached is played by functions of this file.
 */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "ctl/json_object.h"
#include "ask/command.h"
#include "diff/diff.h"
#include "save/save.h"
#include "base/log.h"
#include "tap.h"
#include "target/reason.h"
#include "valgrind.h"

struct attach { /* what was asked last, and what is answered to it */
	char name[ATTACH_NAME_BYTES], path[64];
	const char *detail;
	int result;
	unsigned int checkpoints, files;
	bool closes, is_closed, left_alone_told;
};

static struct attach process = {.detail = ""};
static struct commands commands = {.attach = &process};
static char *answer;
static struct socket_request question = {.pid = 23, .may_command = true, .fd = -1};

static int take(struct attach *attach, const char *name, struct attach_result *ret_result)
{
	(void)snprintf(attach->name, sizeof(attach->name), "%s", name ? name : "(none)");
	if (attach->result)
		return attach->result;
	*ret_result = (struct attach_result){.pages = 4,
					     .bytes = 16384,
					     .stop_ns = 123456,
					     .threads = 2,
					     .ended = 1,
					     .unmapped = 5,
					     .mapped = 6};
	(void)snprintf(ret_result->name, sizeof(ret_result->name), "%s", name ? name : "1");
	return 0;
}

int attach__checkpoint(struct attach *attach, const char *name, struct attach_result *ret_result)
{
	return take(attach, name, ret_result);
}

int attach__rollback(struct attach *attach, const char *name, struct attach_result *ret_result)
{
	return take(attach, name, ret_result);
}

int save__image(struct attach *attach, const char *path, const char *name,
		struct attach_result *ret_result)
{
	(void)snprintf(attach->path, sizeof(attach->path), "%s", path);
	return take(attach, name, ret_result);
}

int diff__compare(struct attach *attach, const char *from, const char *to, struct diff **ret_diff)
{
	static char none[] = "";
	struct attach_result result;
	int err = take(attach, from, &result);
	struct diff *diff;

	if (err)
		return err;
	diff = calloc(1, sizeof(*diff));
	must(!diff);
	diff->mappings = calloc(2, sizeof(*diff->mappings));
	diff->changed = calloc(3, sizeof(*diff->changed));
	must(!diff->mappings || !diff->changed);
	(void)snprintf(diff->from, sizeof(diff->from), "%s", from ? from : "1");
	(void)snprintf(diff->to, sizeof(diff->to), "%s", to ? to : "");
	diff->cell_bytes = 4096;
	diff->bytes = 4352;
	diff->pages = diff->mapping_count = 2;
	diff->mappings[0] = (struct diff_mapping){
		.mapping = {.start = 4096, .end = 12288, .path = none},
		.label = "he\"ap",
		.state = DIFF_NEW,
		.pages = 2,
		.bytes = 4352,
		.cells = 2,
	};
	diff->mappings[1] = (struct diff_mapping){
		.mapping = {.start = 16384, .end = 20480, .path = none},
		.label = "quiet",
		.first_cell = 2,
		.cells = 1,
	};
	diff->changed[0] = 16;
	diff->changed[1] = 1;
	diff->range_count = 1;
	diff->ranges[0] = (struct diff_range){.start = 4096, .end = 8448, .symbol = "x+0x8"};
	*ret_diff = diff;
	return 0;
}

void diff__free(struct diff *diff)
{
	if (!diff)
		return;
	free(diff->mappings);
	free(diff->changed);
	free(diff);
}

int attach__rollback_and_close(struct attach *attach, const char *name,
			       struct attach_result *ret_result)
{
	attach->closes = true;
	return take(attach, name, ret_result);
}

void attach__visit_files(const struct attach *attach,
			 void (*each)(const struct attach_file *file, void *argument),
			 void *argument)
{
	struct attach_file opened = {.fd = 3, .state = ATTACH_FILE_OPENED, .name = "/a\"b"};
	struct attach_file ended = {.fd = 9, .state = ATTACH_FILE_ENDED};

	for (unsigned int i = 0; i < attach->files; i++)
		each(attach->closes ? &ended : &opened, argument);
}

const char *attach__detail(const struct attach *attach)
{
	return attach->detail;
}

int attach__delete(struct attach *attach, const char *name)
{
	struct attach_result result;

	return take(attach, name, &result);
}

void attach__visit(const struct attach *attach,
		   void (*each)(const struct attach_checkpoint *checkpoint, void *argument),
		   void *argument)
{
	struct attach_checkpoint checkpoint = {
		.time_ns = 99, .pages = 4, .own_bytes = 16384, .threads = 2};

	for (unsigned int i = 0; i < attach->checkpoints; i++) {
		checkpoint.name = i ? "second" : "1";
		each(&checkpoint, argument);
	}
}

struct attach_status attach__status(const struct attach *attach)
{
	return (struct attach_status){.pid = 23,
				      .way = WRITE_TRACKING_PROTECT,
				      .checkpoints = attach->checkpoints,
				      .store_bytes = UINT64_MAX,
				      .rollbacks = 7};
}

void attach__name_left_alone(struct attach *attach,
			     void (*each)(const struct mapping *mapping, void *argument),
			     void *argument)
{
	char path[] = "/dev/shm/\"quoted\"", none[] = "";
	struct mapping mapping = {.start = 4096, .end = 12288, .path = path};

	if (attach->left_alone_told)
		return;
	attach->left_alone_told = true;
	each(&mapping, argument);
	mapping.path = none;
	each(&mapping, argument);
}

void attach__close(struct attach *attach)
{
	attach->is_closed = true;
}

/* The answer to a request, which is JSON that the reader understands. */
static const char *ask(const char *request)
{
	static char line[128];
	size_t size;
	FILE *out;

	free(answer);
	answer = NULL;
	out = open_memstream(&answer, &size);
	must(!out);
	(void)snprintf(line, sizeof(line), "%s", request);
	question.line = line;
	command__answer(&commands, &question, out);
	must(fclose(out));
	return answer;
}

static void test_success(void)
{
	tap__equal_string(ask("checkpoint"),
			  "{\"ok\":true,\"op\":\"checkpoint\",\"name\":\"1\",\"pages\":4,"
			  "\"bytes\":16384,\"threads\":2,\"stop_ns\":123456,"
			  "\"dirty_way\":\"compare\",\"left_alone\":["
			  "{\"path\":\"/dev/shm/\\\"quoted\\\"\",\"bytes\":8192},"
			  "{\"path\":\"shared memory without a name\",\"bytes\":8192}]}",
			  "a checkpoint names what is left alone");
	tap__equal_string(process.name, "(none)", "without a name");
	tap__ok(strstr(ask("checkpoint second"), "\"left_alone\":[]"), "once");
	tap__equal_string(process.name, "second", "with a name");
	tap__equal_string(ask("  rollback   1 "),
			  "{\"ok\":true,\"op\":\"rollback\",\"name\":\"1\",\"pages\":4,"
			  "\"bytes\":16384,\"threads\":2,\"stop_ns\":123456,"
			  "\"dirty_way\":\"compare\",\"ended\":1,"
			  "\"unmapped\":5,\"mapped\":6,\"files\":[],\"more_files\":0}",
			  "a rollback, with blanks");
	process.files = 1;
	tap__ok(strstr(ask("rollback"),
		       "\"files\":[{\"fd\":3,\"state\":\"opened\",\"name\":\"/a\\\"b\"}],"
		       "\"more_files\":0}"),
		"a descriptor that is new is named");
	process.files = 100;
	tap__ok(strstr(ask("rollback --close-new-fds second"),
		       "{\"fd\":9,\"state\":\"closed by the rollback\"}],\"more_files\":36}"),
		"or closed; and only some of many");
	tap__equal_string(process.name, "second", "the word is not taken for a name");
	process.files = 0;
	tap__equal_string(ask("diff 1 second"),
			  "{\"ok\":true,\"op\":\"diff\",\"from\":\"1\",\"to\":\"second\","
			  "\"pages\":2,\"bytes\":4352,\"stop_ns\":0,\"cell_bytes\":4096,"
			  "\"mappings\":[{\"name\":\"he\\\"ap\",\"start\":4096,\"end\":12288,"
			  "\"state\":\"new\",\"pages\":2,\"bytes\":4352,\"cells\":\"/E\"},"
			  "{\"name\":\"quiet\",\"start\":16384,\"end\":20480,"
			  "\"state\":\"same\",\"pages\":0,\"bytes\":0,\"cells\":\"\"}],"
			  "\"ranges\":[{\"start\":4096,\"bytes\":4352,\"symbol\":\"x+0x8\"}],"
			  "\"more_mappings\":0,\"more_ranges\":0}",
			  "a diff of two checkpoints");
	tap__ok(!strstr(ask("diff"), "\"to\""), "and of one with now");
	tap__equal_string(ask("save /a%20b/%25 second"),
			  "{\"ok\":true,\"op\":\"save\",\"name\":\"second\",\"pages\":4,"
			  "\"bytes\":16384,\"threads\":2,\"stop_ns\":123456,"
			  "\"file\":\"/a b/%\"}",
			  "save, to a path with a blank");
	tap__equal_string(process.path, "/a b/%", "which is decoded");
	tap__equal_string(ask("delete 1"), "{\"ok\":true,\"op\":\"delete\",\"name\":\"1\"}",
			  "delete");
	tap__equal_string(ask("list"), "{\"ok\":true,\"op\":\"list\",\"checkpoints\":[]}",
			  "no checkpoints");
	process.checkpoints = 2;
	tap__equal_string(ask("list"),
			  "{\"ok\":true,\"op\":\"list\",\"checkpoints\":["
			  "{\"name\":\"1\",\"time_ns\":99,\"pages\":4,\"own_bytes\":16384,"
			  "\"threads\":2},"
			  "{\"name\":\"second\",\"time_ns\":99,\"pages\":4,\"own_bytes\":16384,"
			  "\"threads\":2}]}",
			  "two");
	tap__equal_string(ask("status"),
			  "{\"ok\":true,\"op\":\"status\",\"pid\":23,\"tracking\":\"userfaultfd\","
			  "\"checkpoints\":2,\"store_bytes\":18446744073709551615,"
			  "\"rollbacks\":7,\"stopped\":false}",
			  "status");
}

static void test_mistakes(void)
{
	static const char *const wrong[] = {
		"",
		" ",
		"Checkpoint",
		"check",
		"checkpoint 1 2",
		"rollback 1 2 3",
		"list 1",
		"delete",
		"status now",
		"detach now",
		"save",
		"save a",
		"save /a%",
		"diff 1 2 3",
		"list --close-new-fds",
		"rollback --close-new-fds 1 2",
	};

	process.name[0] = '\0';
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		tap__ok(strstr(ask(wrong[i]), "{\"ok\":false,") == answer, "refused: '%s'",
			wrong[i]);
	tap__ok(!*process.name && commands.attach, "and not carried out");
	tap__equal_string(ask("no\"thing"),
			  "{\"ok\":false,\"op\":\"no\\\"thing\","
			  "\"error\":\"there is no such command\"}",
			  "quotes of a client come back escaped");
}

/* The list of faults is for the process itself, and tracer ctl does not offer it. */
static void test_fault_list(void)
{
	commands.pid = 2;
	for (pid_t pid = 0; pid < 2; pid++) {
		question.pid = pid;
		tap__equal_string(ask("fault-list"),
				  "{\"ok\":false,\"op\":\"fault-list\","
				  "\"error\":\"only the process itself may ask for it\"}",
				  "process %d does not get the list of faults of another", pid);
		tap__ok(question.fd == -1 && !commands.sharing, "nor its descriptor");
	}
	commands.pid = question.pid = getpid();
	question.uid = geteuid() + 23;
	if (under_valgrind())
		tap__skip(1, "valgrind wants all bytes of a bpf(2) attribute, the kernel does not");
	else
		tap__ok(strstr(ask("fault-list"), "\"ok\":false") && question.fd == -1,
			"nor does who has connected before the process got more rights");
	list_sharing__close(commands.sharing);
	commands.sharing = NULL;
	question.may_command = false;
	tap__ok(strstr(ask("status"), "only root") && strstr(ask("detach"), "only root"),
		"a process of another user gets nothing else");
	question.may_command = true;
	tap__equal(command__check("fault-list", 0), -REASON_NO_COMMAND, "tracer ctl does not ask");
}

static void test_failures(void)
{
	static const char *const ops[] = {"checkpoint", "rollback", "delete 1", "save /a",
					  "diff 1"};
	char error[256];

	process.result = -REASON_UNKNOWN_NAME;
	tap__equal_string(ask("rollback x"),
			  "{\"ok\":false,\"op\":\"rollback\","
			  "\"error\":\"there is no checkpoint of that name\"}",
			  "no such checkpoint");
	process.result = -ENOENT;
	process.detail = "cannot create /none/a";
	tap__ok(json_object__text(ask("save /a%"), "error", error, sizeof(error)) &&
			strstr(error, "two hexadecimal digits"),
		"a path with half a byte is told");
	tap__ok(json_object__text(ask("save /none/a"), "error", error, sizeof(error)) &&
			!strcmp(error, "No such file or directory: cannot create /none/a"),
		"a file that is missing is no checkpoint that is: %s", error);
	process.result = -EINVAL;
	process.detail = "";
	tap__ok(json_object__text(ask("checkpoint"), "error", error, sizeof(error)) &&
			!strcmp(error, "Invalid argument"),
		"nor is each wrong argument a wrong name: %s", error);
	process.result = -REASON_THREADS_CHANGED;
	process.detail = "thread 23";
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		tap__ok(!json_object__is_true(ask(ops[i]), "ok") &&
				json_object__text(answer, "error", error, sizeof(error)) &&
				strstr(error, "threads have started") &&
				strstr(error, ": thread 23"),
			"%s fails with its reason", ops[i]);
	}
	tap__ok(!commands.has_broken, "nothing is broken");
	process.result = -REASON_HALF_DONE;
	(void)ask("rollback");
	tap__ok(commands.has_broken && strstr(ask("status"), "\"stopped\":true"),
		"a rollback that broke off is remembered");
}

static void test_detach(void)
{
	tap__equal_string(ask("detach"), "{\"ok\":true,\"op\":\"detach\"}", "detach");
	tap__ok(!commands.attach && process.is_closed, "it is closed");
	tap__ok(strstr(ask("list"), "the process is detached"), "nothing is asked of it after");
}

/* ---- a process that is not attached from the start ---- */

static unsigned int opened;
static int open_result;

static int open_process(struct commands *closed)
{
	opened++;
	if (!open_result)
		closed->attach = &process;
	return open_result;
}

static void test_lazy(void)
{
	commands = (struct commands){.open = open_process, .stays = "it stays", .pid = 42};
	process = (struct attach){.detail = ""};
	tap__equal_string(ask("status"),
			  "{\"ok\":true,\"op\":\"status\",\"pid\":42,\"tracking\":\"none\","
			  "\"checkpoints\":0,\"store_bytes\":0,\"rollbacks\":0,\"stopped\":false}",
			  "the status before it is attached");
	tap__equal_string(ask("list"), "{\"ok\":true,\"op\":\"list\",\"checkpoints\":[]}",
			  "and the list");
	tap__ok(strstr(ask("delete x"), "no checkpoint of that name") && !opened,
		"nothing to delete, and no need to attach");
	open_result = -REASON_TRACED;
	tap__ok(strstr(ask("checkpoint"), "another process traces") && opened == 1,
		"it cannot be attached, and why");
	open_result = 0;
	tap__ok(json_object__is_true(ask("checkpoint"), "ok") &&
			json_object__is_true(ask("rollback"), "ok") && opened == 2,
		"it is attached once");
	tap__ok(strstr(ask("detach"), "it stays") && commands.attach && !process.is_closed,
		"detach is refused, with the reason");
}

int main(void)
{
	log__set_level(LOG_LEVEL_QUIET);
	log__set_name("# command_test");
	tap__plan(61);
	test_success();
	test_mistakes();
	test_fault_list();
	test_failures();
	test_detach();
	test_lazy();
	free(answer);
	return tap__done();
}
