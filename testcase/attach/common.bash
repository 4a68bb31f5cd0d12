# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # csv, out, status: of ../e2e/common.bash
#
# What the suites of attached processes share, on top of what the end-to-end tests have. A target is
# a program that reads lines from the pipe $dir/in and answers each with a line in the pipe
# $dir/answers, so that a test knows when it waits for the next one.

load ../e2e/common
. "$TREE/testcase/packages.bash"

socket=control.sock # in $dir

find_python()
{
	python=/usr/bin/python3
	[ -x "$python" ] || python=$(command -v python3) || skip 'there is no python3'
}

# start_target COMMAND...: in the background, with the pipes; target is its pid
start_target()
{
	mkfifo "$dir/in" "$dir/answers"
	exec {to_target}<>"$dir/in" {from_target}<>"$dir/answers"
	"$@" <"$dir/in" >"$dir/answers" 2>"$dir/target.err" 3>&- {to_target}>&- {from_target}>&- &
	target=$!
	started+=("$target")
}

# counter: a target of one thread, which answers each line with how many there were
counter()
{
	start_target sh -c 'n=0; while read -r line; do n=$((n + 1)); echo "$n"; done'
	expect_answer line 1
}

# ask LINE: what the target answers, in answer
ask()
{
	printf '%s\n' "$1" >&"$to_target"
	if ! IFS= read -r -t "$LIMIT_SECONDS" answer <&"$from_target"; then
		printf 'no answer to "%s"; the target said:\n' "$1"
		cat "$dir/target.err"
		return 1
	fi
}

# expect_answer LINE ANSWER
expect_answer()
{
	ask "$1"
	if [ "$answer" != "$2" ]; then
		printf 'the answer to "%s" is "%s", not "%s"\n' "$1" "$answer" "$2"
		return 1
	fi
}

# attach [OPTION...]: the tracer, attached to the target, in the background
attach()
{
	: >"$err"
	"$TRACER" -p "$target" --control-socket "$dir/$socket" "$@" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'the tracer to attach' says "$err" 'tracer ctl'
}

# ctl COMMAND...: must succeed; what it said is in the file $out
ctl()
{
	status=0
	run_ctl "$@"
	if [ "$status" -ne 0 ]; then
		printf 'ctl %s: status %s: ' "$*" "$status"
		cat "$out" "$dir/ctl.err"
		return 1
	fi
}

# run_ctl COMMAND...: its exit status is in status, its message in $dir/ctl.err
run_ctl()
{
	status=0
	timeout "$LIMIT_SECONDS" "$TRACER" ctl --control-socket "$dir/$socket" "$target" "$@" \
		>"$out" 2>"$dir/ctl.err" 3>&- || status=$?
}

# detach: nothing of the tracer remains in the target
detach()
{
	ctl detach
	finish_tracer
	expect_status 0
	[ ! -e "$dir/$socket" ]
	[ "$(sed -n 's/^TracerPid:\t//p' "/proc/$target/status")" = 0 ]
	! ls -l "/proc/$target"/task/*/fd | grep userfaultfd
}

detach_and_check()
{
	detach
	expect_running "$target"
}

# witness WORD [ANSWER]: asks $E2E/witness about the target
witness()
{
	local seen

	if [ -z "${to_witness:-}" ]; then
		mkfifo "$dir/asked" "$dir/seen"
		exec {to_witness}<>"$dir/asked" {from_witness}<>"$dir/seen"
		"$E2E/witness" <"$dir/asked" >"$dir/seen" 2>&1 3>&- {to_witness}>&- \
			{from_witness}>&- &
		started+=("$!")
	fi
	printf '%s %d\n' "$1" "$target" >&"$to_witness"
	IFS= read -r -t "$LIMIT_SECONDS" seen <&"$from_witness" || seen='no answer'
	[ "$seen" = "${2:-$1}" ] || { printf 'witness %s: %s\n' "$1" "$seen"; return 1; }
}

# come_back_whole COMMAND...: the attached target is rolled back after each call of COMMAND,
# which asks it for something. Job control stops it around each rollback, and its mappings,
# registers and memory are compared from outside.
come_back_whole()
{
	local round

	witness stop
	ctl checkpoint whole
	witness look
	witness go
	for ((round = 0; round < 3; round++)); do
		"$@"
		witness stop
		ctl rollback whole
		witness compare same
		witness go
	done
}

# expect_both LINE BEFORE AFTER: the target answers LINE with BEFORE, and then with AFTER
expect_both()
{
	expect_answer "$1" "$2"
	expect_answer "$1" "$3"
}

# go_back LINE BEFORE AFTER: the target answers LINE with BEFORE, which is the first answer after
# each rollback, and then with AFTER
go_back()
{
	local round

	attach
	ctl checkpoint start
	for ((round = 0; round < 23; round++)); do
		expect_answer "$1" "$2"
		expect_answer "$1" "$3"
		ctl rollback start
	done
	come_back_whole expect_both "$@"
	expect_answer "$1" "$2"
	detach_and_check
	expect_answer "$1" "$3"
}

# goes_back COMMAND...: an example that asks for its own rollback comes back once
goes_back()
{
	trace "$@"
	expect_status 0
	[ "$(cat "$out")" = "$(printf 'try 332833500\nback 499500')" ]
	[ "$(grep -c ',checkpoint,auto,.*,ok,' "$csv")" -eq 1 ]
	[ "$(grep -c ',rollback,auto,.*,ok,' "$csv")" -eq 1 ]
	[ -z "$(ls -A "$control")" ]
}

# bring_back [OPTION...]: kills the target, and restarts $dir/image, with the pipes
bring_back()
{
	tracer_pid= # it has ended
	kill -KILL "$target"
	wait "$target" || true
	"$BUILD/restart" "$@" "$dir/image" <"$dir/in" >"$dir/answers" 2>"$dir/restart.err" 3>&- \
		{to_target}>&- {from_target}>&- &
	target=$!
	started+=("$target")
}

# save_and_bring_back LINE BEFORE AFTER: the target answers LINE with BEFORE, which is the answer
# after the restart as well, and then with AFTER
save_and_bring_back()
{
	attach
	ctl save "$dir/image"
	expect_text "$out" "^saved $dir/image: .* thread"
	expect_answer "$1" "$2"
	expect_answer "$1" "$3"
	detach_and_check
	bring_back
	expect_answer "$1" "$2"
	expect_answer "$1" "$3"
}

# become_nobody: from now on, TRACER is that of the user nobody, who may write to $dir
become_nobody()
{
	nobody=$(id -u nobody 2>"$err") || skip 'there is no user nobody'
	chmod 777 "$dir"
	cp "$TRACER" "$dir/tracer"
	printf '#!/bin/sh\nexec setpriv --reuid %s --regid %s --clear-groups "%s" "$@"\n' \
		"$nobody" "$nobody" "$dir/tracer" >"$dir/as_nobody"
	chmod 755 "$dir/as_nobody" "$dir/tracer"
	TRACER=$dir/as_nobody
}

# compile [OPTION...] <SOURCE: $dir/program, from C
compile()
{
	cat >"$dir/program.c"
	cc -O2 "$@" "$dir/program.c" -o "$dir/program" 2>"$err" || skip "cc: $(head -n 1 "$err")"
}
