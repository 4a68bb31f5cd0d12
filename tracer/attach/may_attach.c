/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See may_attach.h. Sources: proc(5), ptrace(2), Documentation/admin-guide/LSM/Yama.rst.
 */
#include "attach/may_attach.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include "base/procfs.h"
#include "target/reason.h"
#include "target/threads.h"

enum { KERNEL_THREAD = 0x200000 }; /* PF_KTHREAD of include/linux/sched.h */

/* Does the kernel let us trace it, as far as can be seen without tracing it? */
static int check_access(pid_t pid)
{
	int fd = procfs__open(pid, "mem", O_RDWR);

	if (fd == -EACCES || fd == -EPERM)
		return may_attach__refusal(pid);
	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

static int check_namespace(pid_t pid)
{
	struct stat its, own;
	int err = procfs__stat(pid, "ns/pid", &its);

	if (err)
		return err;
	err = procfs__stat(0, "ns/pid", &own);
	if (err)
		return err;
	return its.st_dev == own.st_dev && its.st_ino == own.st_ino ? 0 : -REASON_PID_NAMESPACE;
}

/* Does it run a 64-bit program? */
static int check_program(pid_t pid)
{
	unsigned char ident[EI_NIDENT];
	ssize_t length = procfs__read(pid, "exe", ident, sizeof(ident));

	if (length < 0)
		return (int)length;
	return length == sizeof(ident) && ident[EI_CLASS] == ELFCLASS64 ? 0 : -REASON_CALLS_FOREIGN;
}

static bool has_yama(void)
{
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char scope = '0';

	if (fd < 0)
		return false;
	(void)!read(fd, &scope, 1);
	(void)close(fd);
	return scope != '0';
}

int may_attach__refusal(pid_t pid)
{
	struct stat status;

	if (!procfs__stat(pid, "", &status) && geteuid() && status.st_uid != geteuid())
		return -REASON_OTHER_USER;
	return has_yama() ? -REASON_YAMA : -REASON_PTRACE_FORBIDDEN;
}

/* The kernel shows the memory of a process by each thread that has not ended. */
static int find_thread(pid_t pid, pid_t *ret_tid)
{
	struct threads threads = {0};
	int err = threads__read(pid, &threads);

	if (err)
		return err;
	err = threads.count ? 0 : -ESRCH;
	if (!err)
		*ret_tid = threads.items[0].tid;
	threads__clear(&threads);
	return err;
}

int may_attach__check(pid_t pid, pid_t *ret_tid)
{
	struct procfs_fields fields;
	uint64_t process, tracer;
	pid_t tid = pid;
	int err = procfs__status_u64(pid, "Tgid", &process);

	if (err)
		return err;
	if (process == (uint64_t)getpid())
		return -REASON_SELF;
	if (process != (uint64_t)pid)
		return -REASON_NOT_A_PROCESS;
	err = procfs__fields(pid, "stat", &fields);
	if (err)
		return err;
	if (fields.items[9] & KERNEL_THREAD)
		return -REASON_KERNEL_THREAD;
	if (fields.items[3] == 'Z') {
		err = find_thread(pid, &tid);
		if (err)
			return err;
	}
	err = procfs__status_u64(tid, "TracerPid", &tracer);
	if (err)
		return err;
	if (tracer)
		return -REASON_TRACED;
	err = check_access(tid);
	if (err)
		return err;
	err = check_namespace(tid);
	if (err)
		return err;
	err = check_program(tid);
	if (!err)
		*ret_tid = tid;
	return err;
}
