/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests: the target creates a request file, which starts an operation. A request overtakes an
 * operation that waits for its next poll (PHASE_REQUESTED, PHASE_READY). While one is copied,
 * prepared or answered, requests are refused. Only the thread that has claimed an operation
 * (PHASE_CLAIMED) writes to it.
 */
#ifndef BPF_REQUEST_BPF_H
#define BPF_REQUEST_BPF_H

static void refuse(enum operation_kind kind)
{
	count_drop(COUNTER_REQUESTS_BUSY);
	state.ignored_tid = target_ids().pid;
	state.ignored |= 1 << kind;
}

/* name_at: as in struct operation. Returns whether the operation has begun. Not static, as
 * walk_chunks(). */
__noinline bool start_operation(__u32 kind, __u32 name_at)
{
	struct operation *operation = &state.operation;
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 phase = operation->phase;

	if (phase == PHASE_PREPARING || phase == PHASE_CLAIMED || phase == PHASE_COPIED ||
	    !move_phase(phase, PHASE_CLAIMED)) {
		refuse(kind);
		return false;
	}
	operation->sequence++;
	operation->request_ns = bpf_ktime_get_ns();
	operation->copy_ns = operation->polls = operation->copied = operation->absent = 0;
	operation->unwritten = operation->newer = operation->lost = operation->suspects = 0;
	operation->clean = operation->differences = 0;
	operation->slab_cursor = operation->slab_flags = 0;
	state.astray = state.for_rollback = 0;
	operation->failed = 0;
	operation->name_at = name_at;
	operation->kind = kind;
	operation->tid = target_ids().pid;
	operation->uid = BPF_CORE_READ(task, cred, fsuid.val);
	operation->gid = BPF_CORE_READ(task, cred, fsgid.val);
	operation->threads = thread_count();
	if (!move_phase(PHASE_CLAIMED, PHASE_REQUESTED))
		return false;
	send(EVENT_REQUEST, operation->sequence, kind);
	return true;
}

static const char checkpoint_request_name[] = CHECKPOINT_REQUEST;
static const char checkpoint_completion_name[] = CHECKPOINT_COMPLETION;
static const char restore_request_name[] = RESTORE_REQUEST;
static const char restore_completion_name[] = RESTORE_COMPLETION;
static const char rollback_request_name[] = ROLLBACK_REQUEST;
static const char rollback_completion_name[] = ROLLBACK_COMPLETION;

/* Is the user's string at address this name? */
static bool is_name(__u64 address, const char *name)
{
	char text[32] = {};

	return bpf_probe_read_user_str(text, sizeof(text), (void *)address) > 0 &&
	       !bpf_strncmp(text, sizeof(text), name);
}

/* Does the open file lie in the control folder? */
static bool is_in_folder(__u32 number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file **files = BPF_CORE_READ(task, files, fdt, fd), *file = NULL;
	struct inode *folder;

	if (bpf_probe_read_kernel(&file, sizeof(file), files + number))
		return false;
	folder = BPF_CORE_READ(file, f_path.dentry, d_parent, d_inode);
	return BPF_CORE_READ(folder, i_ino) == folder_inode &&
	       BPF_CORE_READ(folder, i_sb, s_dev) == folder_device;
}

/* Where the name begins in a path that ends with it, plus 1; 0: the path has another name at its
 * end. path_bytes, name_bytes: lengths, with the NUL. */
static __u32 find_name(__u64 user_path, __u32 path_bytes, const char *name, __u32 name_bytes)
{
	char before = '/';
	__u32 at;

	if (path_bytes < name_bytes)
		return 0;
	at = path_bytes - name_bytes;
	if (at && bpf_probe_read_user(&before, 1, (void *)(user_path + at - 1)))
		return 0;
	return before == '/' && is_name(user_path + at, name) ? at + 1 : 0;
}

/* A target in a chroot, or with a relative path, calls the control folder by another name. Then the
 * end of its path and the folder of the file decide. bytes: length of the path, with its NUL. */
static void on_other_name(__u64 user_path, __u32 bytes, __u32 file)
{
	__u32 at;

	at = find_name(user_path, bytes, checkpoint_request_name, sizeof(CHECKPOINT_REQUEST));
	if (at && is_in_folder(file))
		(void)start_operation(OPERATION_CHECKPOINT, at);
	at = find_name(user_path, bytes, restore_request_name, sizeof(RESTORE_REQUEST));
	if (at && is_in_folder(file))
		(void)start_operation(OPERATION_RESTORE, at);
	at = find_name(user_path, bytes, rollback_request_name, sizeof(ROLLBACK_REQUEST));
	if (at && is_in_folder(file))
		(void)start_operation(OPERATION_ROLLBACK, at);
}

/* The path is read when the call returns: the kernel has just read it, so its page is there. */
static void on_open(struct trace_event_raw_sys_exit *ctx, __u64 user_path, __u64 flags)
{
	char path[PATH_BYTES];
	long bytes;

	if (ctx->ret < 0 || !(flags & O_CREAT))
		return;
	bytes = bpf_probe_read_user_str(path, sizeof(path), (void *)user_path);
	if (bytes < 0)
		count_drop(COUNTER_PATHS_UNREAD);
	else if (!bpf_strncmp(path, sizeof(path), (const char *)checkpoint_request))
		(void)start_operation(OPERATION_CHECKPOINT, 0);
	else if (!bpf_strncmp(path, sizeof(path), (const char *)restore_request))
		(void)start_operation(OPERATION_RESTORE, 0);
	else if (!bpf_strncmp(path, sizeof(path), (const char *)rollback_request))
		(void)start_operation(OPERATION_ROLLBACK, 0);
	else
		on_other_name(user_path, bytes, ctx->ret);
}

SEC("tp/syscalls/sys_exit_open")
int on_open_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(0), argument(1));
	return 0;
}

SEC("tp/syscalls/sys_exit_creat")
int on_creat_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(0), O_CREAT);
	return 0;
}

SEC("tp/syscalls/sys_exit_openat")
int on_openat_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(1), argument(2));
	return 0;
}

SEC("tp/syscalls/sys_exit_openat2")
int on_openat2_exit(struct trace_event_raw_sys_exit *ctx)
{
	__u64 flags; /* struct open_how begins with them */

	if (!is_target() || ctx->ret < 0)
		return 0;
	if (bpf_probe_read_user(&flags, sizeof(flags), (void *)argument(2)))
		count_drop(COUNTER_PATHS_UNREAD);
	else
		on_open(ctx, argument(1), flags);
	return 0;
}

#endif
