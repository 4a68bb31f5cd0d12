/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of paths as words of a request: each byte there and back, and what is no such word.
 */
#include <stdbool.h>

#include "ask/word.h"
#include "tap.h"

static void test_all_bytes(void)
{
	char text[256], word[1024];
	bool has_blank = false;

	for (int i = 0; i < 255; i++)
		text[i] = (char)(i + 1);
	text[255] = '\0';
	tap__equal(word__encode(text, word, sizeof(word)), 0, "each byte can be encoded");
	for (const char *at = word; *at; at++)
		has_blank = has_blank || *at <= ' ' || *at > '~';
	tap__ok(!has_blank, "as one word");
	tap__equal(word__decode(word), 0, "and decoded");
	tap__equal_string(word, text, "which gives the same text");
}

static void test_mistakes(void)
{
	static const char *const wrong[] = {"%", "a%2", "%zz", "%2", "%00", "a%%20"};
	char word[16];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		(void)snprintf(word, sizeof(word), "%s", wrong[i]);
		tap__equal(word__decode(word), -EINVAL, "'%s' is no word", wrong[i]);
	}
	tap__equal(word__encode("12 45", word, 7), -ENAMETOOLONG, "there must be room for it");
	tap__equal(word__encode("12 45", word, sizeof(word)), 0, "and there is");
	tap__equal_string(word, "12%2045", "a blank");
}

int main(void)
{
	tap__plan(13);
	test_all_bytes();
	test_mistakes();
	return tap__done();
}
