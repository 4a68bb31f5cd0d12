/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of base/parse: a table of texts with their answers. A failure must leave *ret_value
 * untouched.
 */
#include <errno.h>
#include <stddef.h>

#include "base/parse.h"
#include "tap.h"

#define UNTOUCHED 230023

static const struct {
	const char *text;
	uint64_t min, max;
	int err;
	uint64_t value;
} cases[] = {
	{"0", 0, UINT64_MAX, 0, 0},
	{"23", 0, 100, 0, 23},
	{"010", 0, 100, 0, 10}, /* not octal */
	{"0x1f", 0, 100, 0, 31},
	{"0xABcd", 0, UINT64_MAX, 0, 0xabcd},
	{"0000000000000000000000000000007", 0, 7, 0, 7},
	{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
	{"0xffffffffffffffff", 0, UINT64_MAX, 0, UINT64_MAX},
	{"5", 5, 5, 0, 5},
	{"4", 5, 6, -ERANGE, 0},
	{"7", 5, 6, -ERANGE, 0},
	{"5", 6, 4, -ERANGE, 0}, /* a range that holds nothing */
	{"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
	{"184467440737095516150", 0, UINT64_MAX, -ERANGE, 0},
	{"0x10000000000000000", 0, UINT64_MAX, -ERANGE, 0},
	{"99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
	{"99999999999999999999999999z", 0, UINT64_MAX, -EINVAL, 0},
	{NULL, 0, UINT64_MAX, -EINVAL, 0},
	{"", 0, UINT64_MAX, -EINVAL, 0},
	{"0x", 0, UINT64_MAX, -EINVAL, 0},
	{"x1", 0, UINT64_MAX, -EINVAL, 0},
	{"10abc", 0, UINT64_MAX, -EINVAL, 0},
	{"abc", 0, UINT64_MAX, -EINVAL, 0},
	{"0xfg", 0, UINT64_MAX, -EINVAL, 0},
	{"00x1", 0, UINT64_MAX, -EINVAL, 0},
	{"-1", 0, UINT64_MAX, -EINVAL, 0},
	{"+1", 0, UINT64_MAX, -EINVAL, 0},
	{"0x-1", 0, UINT64_MAX, -EINVAL, 0},
	{" 1", 0, UINT64_MAX, -EINVAL, 0},
	{"1 ", 0, UINT64_MAX, -EINVAL, 0},
	{"1\n", 0, UINT64_MAX, -EINVAL, 0},
	{"1.0", 0, UINT64_MAX, -EINVAL, 0},
	{"1e3", 0, UINT64_MAX, -EINVAL, 0},
	{"1_000", 0, UINT64_MAX, -EINVAL, 0},
	{"4K", 0, UINT64_MAX, -EINVAL, 0},
	{"\xd9\xa3", 0, UINT64_MAX, -EINVAL, 0}, /* a three, in Arabic */
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

int main(void)
{
	tap__plan(2 * CASES);
	for (size_t i = 0; i < CASES; i++) {
		const char *text = cases[i].text ? cases[i].text : "(null)";
		uint64_t value = UNTOUCHED;
		int err = parse__u64(cases[i].text, cases[i].min, cases[i].max, &value);

		tap__equal(err, cases[i].err, "\"%s\" returns %d", text, cases[i].err);
		tap__equal(value, err ? UNTOUCHED : cases[i].value, "\"%s\": the value", text);
	}
	return tap__done();
}
