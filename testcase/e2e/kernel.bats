# SPDX-License-Identifier: BSD-2-Clause
# Machines where the tracer cannot work: it ends with 125 and names what is missing, before the
# program runs. And machines that lack something, where it works all the same.

load common

# expect_refusal TEXT...: 125, these texts, and the program has not run
expect_refusal()
{
	expect_status 125
	expect_text "$err" "$@"
	[ ! -e "$dir/ran" ]
	expect_no_control_files
}

# in_namespace COMMANDS: runs them with mounts of their own, then the tracer
in_namespace()
{
	run_limited unshare -m sh -c "$1"'
		exec "$0" "$@"' "$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
}

@test 'not root' {
	chmod 711 "$dir"
	install -m 755 "$TRACER" "$dir/tracer"
	run_limited setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$dir/tracer" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal 'needs root' CAP_SYS_ADMIN
}

@test 'root without CAP_SYS_ADMIN' {
	run_limited setpriv --inh-caps -sys_admin --bounding-set -sys_admin \
		"$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal CAP_SYS_ADMIN
}

@test 'root without CAP_SYS_PTRACE' {
	run_limited setpriv --inh-caps -sys_ptrace --bounding-set -sys_ptrace \
		"$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal CAP_SYS_PTRACE
}

@test 'a kernel without type information' {
	in_namespace 'mount -t tmpfs none /sys/kernel/btf || exit 99'
	expect_refusal /sys/kernel/btf/vmlinux CONFIG_DEBUG_INFO_BTF
}

@test 'a kernel without system call tracepoints' {
	in_namespace 'mountpoint -q /sys/kernel/tracing ||
		mount -t tracefs none /sys/kernel/tracing || exit 99
		mount -t tmpfs none /sys/kernel/tracing/events || exit 99'
	expect_refusal 'no system call tracepoints' CONFIG_FTRACE_SYSCALLS
}

@test 'a kernel without BPF' {
	run_limited "$E2E/deny" bpf 38 \
		"$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal 'BPF program: Function not implemented' CONFIG_BPF_SYSCALL
}

@test 'a container that forbids BPF' {
	run_limited "$E2E/deny" bpf 1 \
		"$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal 'BPF program: Operation not permitted' seccomp
}

@test 'a container that forbids perf events' {
	run_limited "$E2E/deny" perf_event_open 1 \
		"$TRACER" --control-dir "$control" -o "$csv" touch "$dir/ran"
	expect_refusal 'Operation not permitted'
}

@test 'tracefs that is not mounted is mounted' {
	in_namespace 'umount -R /sys/kernel/tracing 2>/dev/null || true'
	expect_status 0
	[ -e "$dir/ran" ]
}

@test 'a container with its own process ids' {
	run_limited unshare -m -p -f --mount-proc \
		"$TRACER" --control-dir "$control" -o "$csv" "$E2E/foreign" -c 2 -r 3
	expect_status 0
	expect_text "$out" 'every byte is right'
	expect_each status ok
	expect_each pid "$(pid_of_program)"
	[ "$(pid_of_program)" -lt 100 ]
}

@test 'where process_vm_writev is forbidden, the tracer writes through /proc/PID/mem' {
	run_limited "$E2E/deny" process_vm_writev 1 "$TRACER" --restore-path process_vm \
		--control-dir "$control" -o "$csv" "$TESTCASE" -t 0 --case all
	expect_status 0
	expect_text "$out" '9 of 9 cases ok'
}

@test 'a target that cannot be stopped is not restored in part' {
	run_limited "$E2E/deny" ptrace 1 "$TRACER" --restore-path process_vm \
		--control-dir "$control" -o "$csv" "$E2E/steps" save fill=1 restore verify
	expect_status 125
	expect_steps 'save: 0' 'restore: -5' 'verify: ok'
	expect_text "$err" 'ptrace of the target is forbidden'
	expect_column status ok failed
}
