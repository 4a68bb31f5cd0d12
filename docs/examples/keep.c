/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asks the tracer for a checkpoint of a text, changes the text, and waits to be looked at. It
 * prints where the text is, byte by byte, as bpftool wants keys.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "client/client.h"

/* A variable without a value is in the bss, and one of 256 bytes, aligned so, is one chunk. */
static _Alignas(256) char text[256];

int main(void)
{
	char *address = text;
	unsigned char bytes[sizeof(address)];

	strcpy(text, "look for me in a map");
	if (savecontext() != 0)
		return 1;
	strcpy(text, "gone");
	memcpy(bytes, &address, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		printf("%02x ", bytes[i]);
	printf("\n");
	fflush(stdout);
	return pause();
}
