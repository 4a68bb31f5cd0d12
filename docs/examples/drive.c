/* SPDX-License-Identifier: BSD-2-Clause
 *
 * drive.c: asks a tracer (tracer -p PID) over its control socket, from C:
 *	cc docs/examples/drive.c -o drive && ./drive /run/tracer/PID.sock checkpoint
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[4096] = "";
	FILE *tracer;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 3)
		return fprintf(stderr, "usage: drive SOCKET REQUEST\n"), 2;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return perror(argv[1]), 1;
	tracer = fdopen(fd, "r+");
	if (!tracer || fprintf(tracer, "%s\n", argv[2]) < 0 || fflush(tracer) ||
	    !fgets(answer, sizeof(answer), tracer))
		return perror("no answer"), 1;
	printf("%s", answer);
	fclose(tracer);
	return strstr(answer, "\"ok\":true") == NULL;
}
