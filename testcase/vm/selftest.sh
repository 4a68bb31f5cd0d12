#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Tests run.sh itself, in TAP, on the kernels named as arguments (default: all). No broken VM may be
# taken for a success, so most of the runs here have to fail. Each run boots a machine, which takes
# 5 to 10 seconds.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(cd "$here/../.." && pwd -P)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tracer-vm-selftest.XXXXXX")
scratch=$(cd "$scratch" && pwd -P)
run_pid=
# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup()
{
	[ -z "$run_pid" ] || kill "$run_pid" 2>/dev/null || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Whatever run.sh leaves behind is here.
mkdir "$scratch/tmp"
export TMPDIR=$scratch/tmp

count=0
failed=0

# check NAME COMMAND...: one test, passed if the command succeeds; otherwise the output of the last
# run is shown
check()
{
	local name=$1

	shift
	count=$((count + 1))
	if "$@"; then
		printf 'ok %d - %s\n' "$count" "$name"
	else
		printf 'not ok %d - %s\n' "$count" "$name"
		printf 'last run: status %s\n' "$status" | cat - "$scratch/out" "$scratch/err" |
			sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

# run ARG...: run.sh with these arguments; sets status, out and err.
run()
{
	status=0
	"$here/run.sh" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	out=$(cat "$scratch/out")
	err=$(cat "$scratch/err")
}

# vm ARG...: the same, on the kernel under test
vm()
{
	run --kernel "$kernel" "$@"
}

# no_machine_left: no process has the scratch directory in its arguments
no_machine_left()
{
	local file

	for file in /proc/[0-9]*/cmdline; do
		if tr '\0' ' ' <"$file" 2>/dev/null | grep -qF "$TMPDIR/tracer-vm."; then
			return 1
		fi
	done
}

nothing_left()
{
	[ -z "$(ls -A "$TMPDIR")" ] && no_machine_left
}

test_usage()
{
	run --help
	check '--help prints the usage' test "$status" = 0 -a "${out%%run.sh*}" = 'Usage: '
	run --kernel 6.1 --nonsense true
	check 'an unknown option is an error' test "$status" = 2
	run true
	check 'no kernel is an error' test "$status" = 2
	run --kernel 5.4 true
	check 'an unknown kernel is an error' test "$status" = 2
	run --kernel 6.1 --timeout 10s true
	check 'a number with a tail is an error' test "$status" = 2
	run --kernel 6.1 --env '1A=b' true
	check 'a bad variable name is an error' test "$status" = 2
	run --kernel 6.1
	check 'no command is an error' test "$status" = 2
}

test_command()
{
	local words="<a  b><it's \"\$HOME\"><two
lines><><--help>"

	# shellcheck disable=SC2016 # expanded in the machine
	vm --env "GREETING=it's  me" --results "$scratch/results" -- sh -c '
		uname -r; pwd; id -u; echo "$GREETING"; echo error >&2; printf "<%s>" "$@"; echo
		mkdir -p results/sub; echo new >results/sub/file; sleep 1000 & exit 3' \
		sh 'a  b' "it's \"\$HOME\"" $'two\nlines' '' --help
	check "$kernel: status 3 is carried" test "$status" = 3
	check "$kernel: the kernel is the one asked for" test "${out#"$kernel".}" != "$out"
	check "$kernel: directory, user, variable, output and arguments arrive" \
		test "${out#*$'\n'}" = "$tree"$'\n0\n'"it's  me"$'\nerror\n'"$words"
	check "$kernel: result files are copied out" test "$(cat "$scratch/results/sub/file")" = new
	check "$kernel: the tree of the host is untouched" test ! -e "$tree/results/sub/file"
	rm -rf "$scratch/results"

	# Lines as healthy machines have them when they boot.
	# shellcheck disable=SC2016
	vm --swap 64 --cpus 2 --memory 768 -- sh -c '
		echo "<4>Spectre V2 : WARNING: Unprivileged eBPF is enabled" >/dev/kmsg
		echo "<4>ACPI BIOS Error (bug): Could not resolve symbol" >/dev/kmsg
		echo "<4>[Firmware Bug]: no such thing" >/dev/kmsg
		grep -c ^processor /proc/cpuinfo; sed -n "s/^SwapTotal: *//p" /proc/meminfo'
	check "$kernel: status 0 is carried, harmless kernel messages are let through" \
		test "$status" = 0
	check "$kernel: processors and swap are given" test "$out" = $'2\n65532 kB'

	vm /nonexistent/program
	check "$kernel: a command that does not exist ends with 127" test "$status" = 127
}

test_failures()
{
	vm sh -c 'echo o >/proc/sysrq-trigger; sleep 100'
	check "$kernel: a machine that powers off fails" test "$status" = 125
	vm sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
	check "$kernel: a machine that panics fails" test "$status" = 125
	check "$kernel: the panic is shown" test "${err#*Kernel panic}" != "$err"
	vm sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at foo" >/dev/kmsg; exit 0'
	check "$kernel: a kernel warning fails the run" test "$status" = 125
	check "$kernel: the warning is shown" test "${err#*at foo}" != "$err"
	run --kernel "$kernel" --timeout 60 -- sh -c 'echo started; exec sleep 1000'
	check "$kernel: a timeout fails with 124" test "$status" = 124
	check "$kernel: output before the timeout is kept" test "$out" = started
}

# run.sh is ended in the middle of its work, first by a signal that it can handle,
# then by one that it cannot.
test_kill()
{
	local signal tries

	for signal in TERM KILL; do
		"$here/run.sh" --kernel "$kernel" -- sh -c 'echo started; sleep 1000' \
			>"$scratch/out" 2>"$scratch/err" &
		run_pid=$!
		tries=10000
		while ! grep -q started "$scratch/out" && [ "$tries" -gt 0 ]; do
			sleep 0.1
			tries=$((tries - 1))
		done
		kill "-$signal" "$run_pid"
		status=0
		wait "$run_pid" 2>/dev/null || status=$?
		run_pid=
		if [ "$signal" = TERM ]; then
			check "$kernel: SIGTERM ends it with 143" test "$status" = 143 -a "$tries" -gt 0
			check "$kernel: nothing of all these runs is left" nothing_left
		else
			sleep 0.5
			check "$kernel: no machine outlives a killed run.sh" no_machine_left
			rm -rf "$TMPDIR"/tracer-vm.*
		fi
	done
}

kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
test_usage
for kernel in "${kernels[@]}"; do
	"$here/fetch.sh" "$kernel" >/dev/null
	test_command
	test_failures
	test_kill
done
printf '1..%d\n' "$count"
[ "$failed" = 0 ]
