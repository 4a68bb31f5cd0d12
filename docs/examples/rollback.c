/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Goes back by itself, from C, with the client library:
 *
 *	cc -Iutils docs/examples/rollback.c build/client.o -o rollback
 *	build/tracer ./rollback
 */
#include <stdio.h>
#include "client/client.h"

int main(void)
{
	int numbers[1000], sum = 0, err;

	for (int n = 0; n < 1000; n++)
		numbers[n] = n;
	err = client__save_whole(0);
	if (err == 0) {
		for (int n = 0; n < 1000; n++)
			sum += numbers[n] *= n;
		printf("try %d\n", sum);
		fflush(stdout); /* what stdio holds is rolled back, too */
		err = client__rollback(0);
	}
	if (err != CLIENT_BACK)
		return fprintf(stderr, "rollback: %s\n", client__strerror(err)), 1;
	for (int n = 0; n < 1000; n++)
		sum += numbers[n];
	printf("back %d\n", sum);
	return 0;
}
