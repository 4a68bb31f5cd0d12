/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See task_iterator.h.
 */
#include "kernel/task_iterator.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

int task_iterator__open(const struct bpf_program *program, pid_t pid)
{
	union bpf_iter_link_info info = {.task.pid = (uint32_t)pid};
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info,
		    .iter_info_len = sizeof(info));

	return bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options);
}

long task_iterator__read(int link, void *bytes, size_t size)
{
	char *to = bytes;
	size_t done = 0;
	ssize_t count = 0;
	int iterator = bpf_iter_create(link), err = 0;

	if (iterator < 0)
		return iterator;
	do {
		count = read(iterator, to + done, size - done);
		if (count < 0)
			err = -errno;
		else
			done += (size_t)count;
	} while (count > 0 && done < size);
	close(iterator);
	return err ? err : (long)done;
}

int task_iterator__run(const struct bpf_program *program, pid_t pid)
{
	int link = task_iterator__open(program, pid);
	long bytes;
	char byte;

	if (link < 0)
		return link;
	bytes = task_iterator__read(link, &byte, sizeof(byte));
	close(link);
	return bytes < 0 ? (int)bytes : 0;
}
