/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What this machine allows. The tracer can do without bpf_probe_write_user, which kernel lockdown
 * forbids, and without BPF iterators over maps, which hardened kernels forbid. It needs the rest.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/log.h"
#include "base/page.h"
#include "base/procfs_reason.h"
#include "kernel/kernel_check.h"

/* include/uapi/linux/capability.h */
enum {
	SYS_PTRACE_BIT = 19,
	SYS_ADMIN_BIT = 21,
};

#define HUGE_PAGE_BYTES (2UL << 20)

int kernel_check__privileges(void)
{
	const uint64_t needed = 1ULL << SYS_PTRACE_BIT | 1ULL << SYS_ADMIN_BIT;
	unsigned long long effective = 0;
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	fclose(status);
	return geteuid() == 0 && (effective & needed) == needed ? 0 : -EPERM;
}

static int check_capabilities(void)
{
	int err = kernel_check__privileges();

	if (!err)
		return 0;
	if (err != -EPERM) {
		log__error("cannot read /proc/self/status: %s; is /proc mounted?",
			   procfs_reason__text(err));
		return -EOPNOTSUPP;
	}
	log__error("this needs root, with the capabilities CAP_SYS_ADMIN (to load and attach BPF "
		   "programs) and CAP_SYS_PTRACE (to repair memory); try: sudo tracer ...");
	return -EPERM;
}

static int check_btf(void)
{
	if (!access(KERNEL_BTF, R_OK))
		return 0;
	log__error("this kernel has no type information (%s: %s); a kernel built with "
		   "CONFIG_DEBUG_INFO_BTF is needed, as all of Debian's since 6.1 are",
		   KERNEL_BTF, strerror(errno));
	return -EOPNOTSUPP;
}

int kernel_check__tracefs(void)
{
	struct statfs filesystem;

	if (!statfs(TRACEFS, &filesystem) && filesystem.f_type == TRACEFS_MAGIC)
		return 0;
	if (mount("nodev", TRACEFS, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -errno;
	log__debug("mounted tracefs on " TRACEFS);
	return 0;
}

static int check_tracepoints(void)
{
	int err = kernel_check__tracefs();

	if (err) {
		log__error("cannot mount tracefs on " TRACEFS ": %s; the kernel must be built "
			   "with CONFIG_FTRACE",
			   strerror(-err));
		return -EOPNOTSUPP;
	}
	if (!access(TRACEFS "/events/syscalls/sys_enter_mmap/id", R_OK) &&
	    !access(TRACEFS "/events/sched/sched_process_exec/id", R_OK))
		return 0;
	log__error("this kernel has no system call tracepoints (" TRACEFS "/events/syscalls: %s); "
		   "it must be built with CONFIG_FTRACE_SYSCALLS",
		   strerror(errno));
	return -EOPNOTSUPP;
}

int kernel_check__load(bool write_user)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 0},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 1, .off = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 1},
		{.code = BPF_JMP | BPF_CALL,
		 .imm = write_user ? BPF_FUNC_probe_write_user : BPF_FUNC_ktime_get_ns},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACEPOINT, "probe", "GPL", instructions,
			       sizeof(instructions) / sizeof(*instructions), NULL);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int check_bpf(bool *ret_write_user)
{
	int err = kernel_check__load(false);

	if (err) {
		log__error("cannot load a BPF program: %s; the kernel must be built with "
			   "CONFIG_BPF_SYSCALL, and neither a container's seccomp filter nor "
			   "lockdown=confidentiality may stand in the way",
			   strerror(-err));
		return err == -EPERM || err == -EACCES ? -EPERM : -EOPNOTSUPP;
	}
	*ret_write_user = !kernel_check__load(true);
	return 0;
}

/* The function and mm_struct.mm_lock_seq came with the same option (5e31275cc997, 6.4). The member
 * is in a nameless struct, which makes it harder to find. */
static bool counts_mapping_changes(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "lock_vma_under_rcu", BTF_KIND_FUNC) > 0;
}

static bool iterates_maps(const struct btf *btf)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int id = btf__find_by_name_kind(btf, "bpf_iter_bpf_map_elem", BTF_KIND_FUNC), fd;
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER,
		    .attach_btf_id = (uint32_t)id);

	if (id < 0)
		return false;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", instructions,
			   sizeof(instructions) / sizeof(*instructions), &options);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

void kernel_check__types(struct kernel_facts *facts)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return;
	facts->counts_mapping_changes = counts_mapping_changes(btf);
	facts->iterates_maps = iterates_maps(btf);
	btf__free(btf);
}

/* Reads a page of new memory and writes to it. bytes: of the memory. Is there no fault for the
 * write, or no memory to try it in? */
static bool maps_on_read(size_t bytes, int advice)
{
	volatile unsigned char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rusage before, after;

	if (memory == MAP_FAILED)
		return true;
	(void)madvise((void *)memory, bytes, advice);
	(void)memory[bytes / 2];
	(void)getrusage(RUSAGE_THREAD, &before);
	memory[bytes / 2] = 1;
	(void)getrusage(RUSAGE_THREAD, &after);
	(void)munmap((void *)memory, bytes);
	return after.ru_minflt == before.ru_minflt;
}

bool kernel_check__maps_on_read(void)
{
	return maps_on_read(PAGE_BYTES, MADV_NOHUGEPAGE) ||
	       maps_on_read(2 * HUGE_PAGE_BYTES, MADV_HUGEPAGE);
}

int kernel_check__run(struct kernel_facts *ret_facts)
{
	struct kernel_facts facts = {0};
	struct utsname name;
	struct stat status;
	int err;

	err = check_capabilities();
	if (err)
		return err;
	err = check_btf();
	if (err)
		return err;
	err = check_tracepoints();
	if (err)
		return err;
	err = check_bpf(&facts.can_write_user);
	if (err)
		return err;
	if (uname(&name) || stat("/proc/self/ns/pid", &status)) {
		err = -errno;
		log__error("cannot find the PID namespace: %s", strerror(-err));
		return err;
	}
	snprintf(facts.release, sizeof(facts.release), "%s", name.release);
	kernel_check__types(&facts);
	facts.namespace_device = status.st_dev;
	facts.namespace_inode = status.st_ino;
	*ret_facts = facts;
	return 0;
}
