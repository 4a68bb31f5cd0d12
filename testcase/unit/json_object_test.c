/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the reader of answers: members, escapes, arrays, and text that is no JSON. Each text
 * that is cut off or changed lies at the end of a page, so that reading behind it is a crash.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/json_object.h"
#include "base/page.h"
#include "tap.h"

static const char whole[] =
	"{\"ok\":true,\"op\":\"list\", \"bytes\" : 18446744073709551615,\"nested\":{\"op\":\"no\","
	"\"a\":[1,[2,{}]]},\"checkpoints\":[{\"name\":\"1\",\"pages\":4},{\"name\":\"a\\\"b\"}, "
	"{\"name\":\"\\u00e9\\u20ac\\n\\\\\"}],\"none\":[],\"minus\":-1,\"last\":false}";

static void test_members(void)
{
	uint64_t number = 23;
	char text[16];

	tap__ok(json_object__is_true(whole, "ok") && !json_object__is_true(whole, "last") &&
			!json_object__is_true(whole, "op") && !json_object__is_true(whole, "o"),
		"true");
	tap__ok(json_object__number(whole, "bytes", &number) && number == UINT64_MAX, "a number");
	number = 23;
	tap__ok(!json_object__number(whole, "minus", &number) &&
			!json_object__number(whole, "op", &number) &&
			!json_object__number(whole, "nothing", &number) &&
			!json_object__number("{\"a\":18446744073709551616}", "a", &number) &&
			number == 23,
		"no number");
	tap__ok(json_object__text(whole, "op", text, sizeof(text)) && !strcmp(text, "list"),
		"a text");
	tap__ok(json_object__text(whole, "op", text, 3) && !strcmp(text, "li"),
		"a text that is cut");
	tap__ok(!json_object__text(whole, "a", text, sizeof(text)) && !*text,
		"members of members are not members");
	tap__ok(!json_object__text(whole, "bytes", text, sizeof(text)), "a number is no text");
	tap__ok(!json_object__is_true("", "ok") && !json_object__is_true("[true]", "ok") &&
			!json_object__is_true("{}", "ok"),
		"no members");
}

static void test_items(void)
{
	const char *item = json_object__items(whole, "checkpoints");
	uint64_t pages = 0;
	char text[16] = "";

	must(!item);
	tap__ok(json_object__number(item, "pages", &pages) && pages == 4 &&
			json_object__text(item, "name", text, sizeof(text)) && !strcmp(text, "1"),
		"the first item");
	item = json_object__next(item);
	must(!item);
	tap__ok(json_object__text(item, "name", text, sizeof(text)), "the second");
	tap__equal_string(text, "a\"b", "with a quote");
	item = json_object__next(item);
	must(!item);
	tap__ok(json_object__text(item, "name", text, sizeof(text)), "the third");
	tap__equal_string(text, "\xc3\xa9\xe2\x82\xac\n\\", "with escapes");
	tap__ok(json_object__text(item, "name", text, 5) && !strcmp(text, "\xc3\xa9"),
		"no character is cut in two");
	tap__ok(!json_object__next(item), "it is the last");
	tap__ok(!json_object__items(whole, "none") && !json_object__items(whole, "op") &&
			!json_object__items(whole, "nothing"),
		"no items");
}

static void read_all(const char *text)
{
	static const char *const names[] = {"ok", "bytes", "checkpoints", "last", "nothing"};
	uint64_t number;
	char value[8];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *item = json_object__items(text, names[i]);

		(void)json_object__is_true(text, names[i]);
		(void)json_object__number(text, names[i], &number);
		(void)json_object__text(text, names[i], value, sizeof(value));
		for (; item; item = json_object__next(item))
			(void)json_object__text(item, "name", value, sizeof(value));
	}
}

static void test_broken(void)
{
	static const char marks[] = "\"\\{}[],:u0";
	char *pages = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = pages + PAGE_BYTES, *text;

	must(pages == MAP_FAILED || mprotect(end, PAGE_BYTES, PROT_NONE));
	for (size_t length = 0; length < sizeof(whole); length++) {
		text = end - length - 1;
		memcpy(text, whole, length);
		text[length] = '\0';
		read_all(text);
	}
	tap__ok(true, "text that is cut off anywhere");
	text = end - sizeof(whole);
	for (size_t i = 0; i + 1 < sizeof(whole); i++) {
		for (const char *mark = marks; *mark; mark++) {
			memcpy(text, whole, sizeof(whole));
			text[i] = *mark;
			read_all(text);
		}
	}
	tap__ok(true, "text with any mark anywhere");
	text = end - 2049;
	memset(text, '[', 2048);
	memcpy(text, "{\"a\":", 5);
	end[-1] = '\0';
	tap__ok(!json_object__is_true(text, "ok"), "brackets without end");
	must(munmap(pages, 2 * PAGE_BYTES));
}

static void test_wrong_escapes(void)
{
	char text[64];

	(void)json_object__text("{\"a\":\"\\u-001 \\u +1f \\u12\"}", "a", text, sizeof(text));
	tap__equal_string(text, "u-001 u +1f u12", "escapes without four digits");
}

int main(void)
{
	tap__plan(20);
	test_members();
	test_items();
	test_broken();
	test_wrong_escapes();
	return tap__done();
}
