# SPDX-License-Identifier: BSD-2-Clause
# Soon after its end, nothing is left of the tracer. A helper in the background takes the hooks
# away. The tests find it by its environment, which is that of its tracer.

load common

PATH=$PATH:/usr/sbin

# programs_of PID: the ids of the BPF programs that it holds
programs_of()
{
	cat "/proc/$1/fdinfo/"* 2>/dev/null | sed -n 's/^prog_id:\t*//p' | sort -u
}

is_attached()
{
	[ "$(programs_of "$tracer_pid" | wc -l)" -ge 14 ] && says "$out" ready
}

are_gone()
{
	local id

	for id in "$@"; do
		! bpftool prog show id "$id" >"$dir/shown" 2>&1 || return 1
	done
}

# helpers: their pids
helpers()
{
	grep -l -z -x "END_TEST=$dir" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _
	do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != tracer-detach ] || echo "$pid"
	done
}

no_helper()
{
	[ -z "$(helpers)" ]
}

# start_and_look: a tracer with a program that waits; its BPF programs are in the array programs
start_and_look()
{
	export END_TEST=$dir
	mkfifo "$dir/go"
	start_tracer sh -c 'echo ready; read -r line <"$0"' "$dir/go"
	wait_until 'the program' is_attached
	mapfile -t programs < <(programs_of "$tracer_pid")
	! are_gone "${programs[@]}"
}

@test 'when the tracer has ended, its hooks go, and so does their helper' {
	start_and_look
	echo >"$dir/go"
	finish_tracer
	expect_status 0
	tracer_pid=
	wait_until 'the end of the hooks' are_gone "${programs[@]}"
	wait_until 'the end of the helper' no_helper
}

@test 'when the tracer has been killed, its hooks are gone, and there is no helper' {
	start_and_look
	kill -KILL "$tracer_pid"
	finish_tracer
	expect_status 137
	tracer_pid=
	no_helper
	wait_until 'the end of the hooks' are_gone "${programs[@]}"
	echo >"$dir/go" # the program runs on, and ends
}

@test 'the helper keeps no file, terminal or folder of its caller' {
	local try helper=

	export END_TEST=$dir
	exec 7>"$dir/inherited"
	for try in {1..100}; do # it may have ended, or just begun
		[ -z "$helper" ] || kill -CONT "$helper" 2>/dev/null || true
		trace true
		expect_status 0
		helper=$(helpers | head -n 1)
		[ -n "$helper" ] && kill -STOP "$helper" 2>/dev/null || continue
		readlink "/proc/$helper/cwd" >"$dir/cwd" || continue
		[ "$(cat "$dir/cwd")" != "$dir" ] || continue
		ls -l "/proc/$helper/fd" >"$dir/files" 2>&1 || continue
		grep -q anon_inode "$dir/files" || continue
		cut -d ' ' -f 6 "/proc/$helper/stat" >"$dir/session" || continue
		break
	done
	kill -CONT "$helper"
	exec 7>&-
	[ "$(cat "$dir/session")" = "$helper" ]
	[ "$(cat "$dir/cwd")" = / ]
	expect_no_text "$dir/files" "$dir"
	expect_no_text "$dir/files" '/dev/\|socket:'
	[ "$(grep -c pipe: "$dir/files")" -le 1 ] # its own
}

# loaded: how many BPF programs and maps this machine has
loaded()
{
	{
		bpftool prog show
		bpftool map show
	} | grep -c '^[0-9]'
}

is_no_more_than()
{
	[ "$(loaded)" -le "$1" ]
}

@test 'one tracer after the other: helpers do not pile up, and nothing leaks' {
	local run runs=51 most=0 count before

	[ ! "${TRACER_VM:-}" ] || runs=11 # emulated: a second each
	export END_TEST=$dir
	before=$(loaded)
	for ((run = 1; run <= runs; run++)); do
		trace true
		expect_status 0
		count=$(helpers | wc -l)
		[ "$count" -le "$most" ] || most=$count
	done
	[ "$most" -le 5 ]
	wait_until 'the end of the helper' no_helper
	wait_until 'no more programs and maps than before' is_no_more_than "$before"
}

@test 'helpers that do not end hold no other tracer up for ever' {
	mountpoint -q /sys/kernel/tracing || skip 'tracefs is not mounted'
	(
		for slot in . events instances options per_cpu; do
			exec {lock}<"/sys/kernel/tracing/$slot"
			flock "$lock"
		done
		touch "$dir/locked"
		exec sleep "$LIMIT_SECONDS"
	) 3>&- &
	started+=("$!")
	wait_until 'the locks' test -e "$dir/locked"
	trace -v true
	expect_status 0
	expect_text "$err" 'no helper closes the hooks (Connection timed out)'
	[ "$(state_of "${started[0]}")" = S ]
}
