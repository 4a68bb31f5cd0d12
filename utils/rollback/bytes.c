/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See bytes.h.
 */
#include "rollback/bytes.h"

#include <string.h>

#include "base/page.h"

typedef uint64_t words __attribute__((vector_size(16), may_alias));

bool bytes__same_page(uint64_t a, uint64_t b)
{
	const words *x = bytes__at(a), *y = bytes__at(b);

	for (size_t i = 0; i < PAGE_BYTES / sizeof(*x); i += 4) {
		words different = (x[i] ^ y[i]) | (x[i + 1] ^ y[i + 1]) | (x[i + 2] ^ y[i + 2]) |
				  (x[i + 3] ^ y[i + 3]);

		if (different[0] | different[1])
			return false;
	}
	return true;
}

bool bytes__begins(const char *text, const char *with)
{
	while (*with)
		if (*text++ != *with++)
			return false;
	return true;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	bytes__copy((uintptr_t)to, (uintptr_t)from, bytes);
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *x = a, *y = b;

	while (bytes >= sizeof(uint64_t)) {
		uint64_t m, n;

		__builtin_memcpy(&m, x, sizeof(m));
		__builtin_memcpy(&n, y, sizeof(n));
		if (m != n)
			break;
		x += sizeof(m);
		y += sizeof(n);
		bytes -= sizeof(m);
	}
	for (; bytes > 0; bytes--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}
