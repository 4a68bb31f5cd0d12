# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # the suites use what is set here
#
# Helpers of the end-to-end suites. Each test has a folder of its own, with a control folder and a
# report, so no test sees the files of another. Only processes that were started here are ended.

bats_require_minimum_version 1.5.0

TREE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
BUILD=${TRACER_BUILD:-$TREE/build}
TRACER=$BUILD/tracer
TESTCASE=$BUILD/testcase
E2E=$BUILD/e2e

. "$TREE/testcase/wait.bash"

NOBODY_ANSWERS_MS=10000 # for a request that nobody answers; a tracer that is there takes far less

setup()
{
	[ "$(id -u)" -eq 0 ] || skip 'tracer needs root'
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-e2e.XXXXXX")
	cd "$dir" || return 1
	control=$dir/control
	csv=$dir/report.csv
	out=$dir/out
	err=$dir/err
	mkdir "$control"
	: >"$out"
	: >"$err"
	started=()
	tracer_pid=
	waited=waited-$$ # for --wait: no other program on this machine has that name
	export TRACER_TIMEOUT_MS=$((LIMIT_SECONDS * 1000))
	unset TRACER_FAULT TRACER_CONTROL_DIR SUDO_UID
}

teardown()
{
	local pid

	[ -n "${dir:-}" ] || return 0
	if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		printf 'status %s; the program said:\n' "${status:-unknown}"
		head -n 30 "$out"
		printf 'the tracer said:\n'
		head -n 40 "$err"
		[ ! -e "$csv" ] || { printf 'the report:\n'; head -n 10 "$csv"; }
	fi
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	cd / && rm -rf "$dir"
}

# trace [OPTION...] PROGRAM [ARG...]: runs the tracer to its end. Its exit status is in status, the
# output of the program in the file $out, that of the tracer in $err, the report in $csv.
trace()
{
	run_limited "$TRACER" --control-dir "$control" -o "$csv" "$@"
}

# run_limited COMMAND...: the same for any command
run_limited()
{
	status=0
	timeout -k 5 "$LIMIT_SECONDS" "$@" >"$out" 2>"$err" </dev/null 3>&- || status=$?
}

# start_tracer ARG...: starts the tracer in the background; tracer_pid is its pid.
start_tracer()
{
	: >"$err" # what an earlier tracer or program has said is not waited for
	: >"$out"
	"$TRACER" --control-dir "$control" -o "$csv" "$@" >"$out" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
}

# finish_tracer: waits for its end; its exit status is in status.
finish_tracer()
{
	wait_until "the end of the tracer" has_ended "$tracer_pid"
	status=0
	wait "$tracer_pid" || status=$?
}

# is_hopeless: a tracer in the background has ended
is_hopeless()
{
	[ -n "$tracer_pid" ] && has_ended "$tracer_pid"
}

is_stopped()
{
	local state

	read_state "$1"
	[[ $state == [Tt] ]]
}

# expect_running PID: it runs, or does so soon: the kernel first notes that a process has no tracer
# any more, and then lets it run.
expect_running()
{
	local tries=$((LIMIT_SECONDS * 50)) state

	while is_stopped "$1" && [ "$tries" -gt 0 ]; do
		tries=$((tries - 1))
		nap 0.02
	done
	read_state "$1"
	if [[ -z $state || $state == [TtZ] ]]; then
		printf 'process %s does not run, its state is: %s\n' "$1" "$state"
		return 1
	fi
}

says()
{
	grep -q -- "$2" "$1"
}

expect_status()
{
	if [ "$status" -ne "$1" ]; then
		printf 'exit status is %s, not %s\n' "$status" "$1"
		return 1
	fi
}

# expect_text FILE PATTERN...: each is found by grep
expect_text()
{
	local file=$1 pattern

	shift
	for pattern; do
		if ! grep -q -- "$pattern" "$file"; then
			printf '%s does not say: %s\n' "${file##*/}" "$pattern"
			return 1
		fi
	done
}

# expect_no_text FILE PATTERN
expect_no_text()
{
	if grep -- "$2" "$1"; then
		printf '%s says: %s\n' "${1##*/}" "$2"
		return 1
	fi
}

# expect_steps LINE...: the output of the program steps, without pids and addresses
expect_steps()
{
	if ! diff <(printf '%s\n' "$@") <(grep -v -e '^pid: ' -e '^buffer: ' "$out"); then
		printf 'the steps are not as expected\n'
		return 1
	fi
}

expect_no_control_files()
{
	if [ -n "$(ls -A "$control")" ]; then
		printf 'control files are left: %s\n' "$(ls -A "$control")"
		return 1
	fi
}

# pid_of_program: as it says itself
pid_of_program()
{
	sed -n 's/^pid: //p' "$out" | head -n 1
}

# column NAME: prints the values of that column of the report, a line for each row
column()
{
	tr -d '\r' <"$csv" | awk -v name="$1" '
	# the fields of a line, quoted or not (RFC 4180; no line breaks inside)
	function split_row(line, fields,   n, i, c, quoted, field) {
		n = 0; field = ""; quoted = 0
		for (i = 1; i <= length(line); i++) {
			c = substr(line, i, 1)
			if (c == "\"") {
				if (quoted && substr(line, i + 1, 1) == "\"") {
					field = field c
					i++
				} else {
					quoted = !quoted
				}
			} else if (c == "," && !quoted) {
				fields[++n] = field
				field = ""
			} else {
				field = field c
			}
		}
		fields[++n] = field
		return n
	}
	{ n = split_row($0, fields) }
	NR == 1 { for (i = 1; i <= n; i++) if (fields[i] == name) at = i; columns = n; next }
	n != columns { print "line " NR " has " n " fields, not " columns; next }
	{ print at ? fields[at] : "no column " name }'
}

# expect_column NAME VALUE...: the rows of the report have exactly these values
expect_column()
{
	local name=$1

	shift
	if ! diff <(printf '%s\n' "$@") <(column "$name"); then
		printf 'the column %s is not as expected\n' "$name"
		return 1
	fi
}

# expect_each NAME REGEX: each value of that column matches, and there is at least one
expect_each()
{
	local values

	values=$(column "$1")
	if [ -z "$values" ] || grep -v -E "^($2)\$" <<<"$values"; then
		printf 'the column %s has other values than %s\n' "$1" "$2"
		return 1
	fi
}

rows()
{
	column seq | wc -l
}

# restore_path: who may write into the target on this kernel: bpf or process_vm
restore_path()
{
	if unshare -m sh -c 'mount -t securityfs none /sys/kernel/security 2>/dev/null
		grep -q "\[\(integrity\|confidentiality\)\]" /sys/kernel/security/lockdown 2>/dev/null'
	then
		echo process_vm
	else
		echo bpf
	fi
}
