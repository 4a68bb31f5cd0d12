/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes the machine code that the kernel has made of a BPF program to stdout. bpftool does that
 * too (prog dump jited), but Debian's is built without a disassembler and refuses.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static unsigned char code[65536];
	struct bpf_prog_info info = {
		.jited_prog_insns = (uintptr_t)code,
		.jited_prog_len = sizeof(code),
	};
	uint32_t length = sizeof(info);
	int fd = argc == 2 ? bpf_prog_get_fd_by_id((uint32_t)strtoul(argv[1], NULL, 10)) : -EINVAL;
	int err = fd < 0 ? fd : 0;

	if (!err && bpf_obj_get_info_by_fd(fd, &info, &length))
		err = -errno;
	if (!err && (!info.jited_prog_len || info.jited_prog_len > sizeof(code)))
		err = -ENODATA; /* no JIT, or a reader who may not see addresses */
	if (!err && fwrite(code, info.jited_prog_len, 1, stdout) != 1)
		err = -EIO;
	if (err)
		fprintf(stderr, "jited: %s; usage: jited PROGRAM_ID >FILE, as root\n",
			strerror(-err));
	if (fd >= 0)
		close(fd);
	return err ? 1 : 0;
}
