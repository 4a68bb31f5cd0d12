/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See task_iterator.h.
 */
#include "kernel/task_iterator.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

int task_iterator__run(const struct bpf_program *program, pid_t pid)
{
	union bpf_iter_link_info info = {.task.pid = (uint32_t)pid};
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info,
		    .iter_info_len = sizeof(info));
	int link, iterator, err = 0;
	char byte;

	link = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options);
	if (link < 0)
		return link;
	iterator = bpf_iter_create(link);
	if (iterator < 0)
		err = iterator;
	else if (read(iterator, &byte, sizeof(byte)) < 0)
		err = -errno;
	if (iterator >= 0)
		close(iterator);
	close(link);
	return err;
}
