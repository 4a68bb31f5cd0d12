/* SPDX-License-Identifier: BSD-2-Clause
 *
 * deny CALL ERRNO PROGRAM [ARG...]: runs PROGRAM without one system call, as on a kernel that was
 * built without it, or in a container that forbids it. CALL is access, bpf, clone3, kcmp, mbind,
 * perf_event_open, personality, process_vm_readv, process_vm_writev, ptrace or userfaultfd; ERRNO a
 * number.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "check.h"

static const struct {
	const char *name;
	unsigned int number;
} calls[] = {
	{"access", SYS_access},
	{"bpf", SYS_bpf},
	{"clone3", SYS_clone3},
	{"kcmp", SYS_kcmp},
	{"mbind", SYS_mbind},
	{"perf_event_open", SYS_perf_event_open},
	{"personality", SYS_personality},
	{"ptrace", SYS_ptrace},
	{"process_vm_writev", SYS_process_vm_writev},
	{"process_vm_readv", SYS_process_vm_readv},
	{"userfaultfd", SYS_userfaultfd},
};

int main(int argc, char **argv)
{
	unsigned int number = 0;

	if (argc < 4)
		finish(CHECK_BROKEN, "usage: deny CALL ERRNO PROGRAM [ARG...]\n");
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!strcmp(calls[i].name, argv[1]))
			number = calls[i].number;
	if (!number)
		finish(CHECK_BROKEN, "deny: %s: no such call\n", argv[1]);

	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | ((unsigned int)atoi(argv[2]) & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		finish(CHECK_BROKEN, "deny: cannot install the filter: %m\n");
	(void)execvp(argv[3], argv + 3);
	finish(CHECK_BROKEN, "deny: %s: %m\n", argv[3]);
}
