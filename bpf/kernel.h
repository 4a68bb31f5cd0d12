/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The few kernel types the tracer touches, written by hand so that building needs neither kernel
 * headers nor a kernel with BTF. Only the fields that are used stand here; preserve_access_index
 * makes libbpf look their offsets up in the running kernel's BTF at load time (CO-RE).
 */
#ifndef BPF_KERNEL_H
#define BPF_KERNEL_H

#include <linux/types.h>

#define CORE __attribute__((preserve_access_index))

struct bpf_map; /* seen only as a pointer */

struct trace_entry { /* include/linux/trace_events.h */
	int pid;
} CORE;

struct trace_event_raw_sys_enter { /* include/trace/events/syscalls.h */
	struct trace_entry ent;
	long id; /* only its low 32 bits are written */
	unsigned long args[6];
} CORE;

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id; /* only its low 32 bits are written */
	long ret;
} CORE;

struct trace_event_raw_sched_process_exec { /* include/trace/events/sched.h */
	struct trace_entry ent;
	__u32 __data_loc_filename; /* length << 16 | offset from the record's start */
} CORE;

struct seqcount { /* include/linux/seqlock_types.h */
	unsigned int sequence;
} CORE;

typedef struct {
	long long counter;
} atomic64_t; /* include/linux/types.h */

struct kioctx_table;

struct mm_struct {                        /* include/linux/mm_types.h */
	atomic64_t pinned_vm;             /* pages that the kernel holds on to for long */
	struct kioctx_table *ioctx_table; /* with CONFIG_AIO; NULL: it has never used it */
	unsigned long brk, start_stack, total_vm, data_vm, exec_vm, stack_vm;
	int map_count;
	struct seqcount mm_lock_seq; /* a seqcount since eb449bd96954 */
} CORE;

struct mm_struct___6_4 {
	int mm_lock_seq; /* since 6.4, with CONFIG_PER_VMA_LOCK, until eb449bd96954 */
} CORE;

typedef struct {
	int counter;
} atomic_t; /* include/linux/types.h */

struct signal_struct { /* include/linux/sched/signal.h */
	atomic_t live; /* threads that have not begun to exit */
	int nr_threads;
} CORE;

typedef struct {
	unsigned int val;
} kuid_t; /* include/linux/uidgid_types.h */

typedef struct {
	unsigned int val;
} kgid_t;

struct cred { /* include/linux/cred.h; fs: the owner of files that it creates */
	kuid_t fsuid;
	kgid_t fsgid;
} CORE;

struct super_block { /* include/linux/fs.h */
	unsigned int s_dev;
} CORE;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} CORE;

struct dentry { /* include/linux/dcache.h */
	struct dentry *d_parent;
	struct inode *d_inode;
} CORE;

struct path { /* include/linux/path.h */
	struct dentry *dentry;
} CORE;

struct file { /* include/linux/fs.h */
	struct path f_path;
} CORE;

struct fdtable { /* include/linux/fdtable.h */
	struct file **fd;
} CORE;

struct files_struct {
	struct fdtable *fdt;
} CORE;

struct ns_common { /* include/linux/ns_common.h */
	unsigned int inum;
} CORE;

struct pid_namespace { /* include/linux/pid_namespace.h */
	struct ns_common ns;
} CORE;

struct upid { /* include/linux/pid.h; not relocated: the same in all kernels */
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* level + 1 of them */
} CORE;

struct rseq; /* in user memory */
struct io_uring_task;

struct task_struct { /* include/linux/sched.h */
	unsigned int flags;
	const struct cred *cred;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct files_struct *files;
	int tgid;
	struct rseq *rseq; /* with CONFIG_RSEQ */
	__u32 rseq_len;    /* since 6.3 */
	int pagefault_disabled;
	struct io_uring_task *io_uring; /* with CONFIG_IO_URING; NULL: it has never used it */
	struct task_struct *group_leader;
	struct pid *thread_pid;
	/* the stack of sigaltstack(2), and what set_tid_address(2) was told */
	unsigned long sas_ss_sp;
	unsigned long sas_ss_size;
	unsigned int sas_ss_flags;
	int *clear_child_tid;
} CORE;

struct pt_regs { /* arch/x86/include/asm/ptrace.h */
	unsigned long r10, r8, dx, si, di, orig_ax, sp;
} CORE;

struct seq_file; /* seen only as a pointer */

struct bpf_iter_meta { /* include/linux/bpf.h */
	struct seq_file *seq;
} CORE;

struct bpf_iter__task { /* kernel/bpf/task_iter.c */
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} CORE;

struct bpf_iter__bpf_map_elem { /* kernel/bpf/map_iter.c */
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
} CORE;

/* MAX_PID_NS_LEVEL + 1, include/linux/pid_namespace.h */
#define PID_LEVELS 33

/* uapi values, the same on every x86-64 kernel */
#define PROT_READ        0x1 /* include/uapi/asm-generic/mman-common.h */
#define PROT_WRITE       0x2
#define PROT_EXEC        0x4
#define MAP_FIXED        0x10
#define MAP_ANONYMOUS    0x20
#define MAP_GROWSDOWN    0x100
#define MAP_HUGETLB      0x40000
#define MADV_FREE        8
#define ENOMEM           12 /* include/uapi/asm-generic/errno-base.h */
#define EFAULT           14
#define EEXIST           17
#define MREMAP_FIXED     2 /* include/uapi/linux/mman.h */
#define MREMAP_DONTUNMAP 4
#define CLONE_VM         0x100 /* include/uapi/linux/sched.h */
#define CLONE_THREAD     0x10000
#define O_CREAT          0100 /* include/uapi/asm-generic/fcntl.h */

#define FAULT_PRESENT      (1 << 0)   /* X86_PF_PROT, arch/x86/include/asm/trap_pf.h */
#define FAULT_WRITE        (1 << 1)   /* X86_PF_WRITE */
#define FAULT_SHADOW_STACK (1 << 6)   /* X86_PF_SHSTK: makes the page writable, as a write does */
#define PF_IO_WORKER       0x00000010 /* include/linux/sched.h */
#define PF_USER_WORKER     0x00004000 /* since 6.4 */

#define PAGE_BYTES          4096UL
#define PAGE_ALIGN(address) (((address) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1))

#endif
