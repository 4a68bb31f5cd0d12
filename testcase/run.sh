#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [--jobs N] [--beside PROGRAM] FILE...: runs each FILE, a program or .bats file that emits
# TAP; N of them at once (default: 1). Shows the output of one FILE after the other, as it comes.
# PROGRAM, which emits TAP, runs besides and is shown last. At the end come the ten slowest tests,
# the failed and the skipped ones. The last line is "N passed, N failed, N skipped". Exit status: 0,
# 1 if anything failed, 2 if called wrongly. Always holds: a FILE that ran no test, died, or missed
# its plan counts as one failed test.

set -u
set -m # a process group for each FILE, which can be ended as a whole
export LC_ALL=C

usage() {
	echo "usage: $0 [--jobs N] [--beside PROGRAM] FILE..." >&2
	exit 2
}

beside=
jobs=1
while [ $# -gt 0 ]; do
	case $1 in
	--beside) beside=${2-} ;;
	--jobs) jobs=${2-} ;;
	*) break ;;
	esac
	[ $# -ge 2 ] || usage
	shift 2
done
[[ $# -gt 0 && $jobs =~ ^[1-9][0-9]?$ ]] || usage

tmp=$(mktemp -d) || exit 2
running=() # the number of a FILE, by its process
# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
	local pid

	for pid in "${!running[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

passed=0
failed=0
skipped=0
: >"$tmp/failed"
: >"$tmp/skipped"

# add_failure FILE TEXT: one failure that is no "not ok" line
add_failure() {
	printf '%s: %s\n' "$1" "$2" >>"$tmp/failed"
	failed=$((failed + 1))
}

# why_not FILE: prints why FILE cannot be run, if it cannot
why_not() {
	if [ ! -e "$1" ]; then
		echo "no such file"
	elif [ ! -f "$1" ]; then
		echo "not a plain file"
	else
		case $1 in
		*.bats)
			if [ ! -r "$1" ]; then
				echo "not readable"
			elif ! command -v bats >"$tmp/which"; then
				echo "bats is not installed"
			fi
			;;
		*)
			[ -x "$1" ] || echo "not executable"
			;;
		esac
	fi
}

# run_file FILE: prints what FILE prints. bats runs one test after the other. To run several at once
# costs it 0.35 s of processor time for each.
run_file() {
	case $1 in
	*.bats) bats --tap --timing "$1" ;;
	*) "$1" ;;
	esac
}

# take_times FILE TIMES: copies stdin line by line, and writes to TIMES how long each test took. A
# file can say that itself, as bats does, by "in Nms" behind the name, which is not copied.
# Otherwise it is the time since the test before.
take_times() {
	perl -MTime::HiRes=time -e '
	my ($file, $times) = @ARGV;
	my ($last, $count) = (time, 0);
	$| = 1;
	open my $out, ">", $times or die "$times: $!\n";
	while (my $line = <STDIN>) {
		if ($line =~ /^(?:not )?ok\b/) {
			my $now = time;
			my $seconds = $now - $last;
			$last = $now;
			$seconds = $1 / 1000 if $line =~ s/ in (\d+)ms(?=\s*$| # skip)//i;
			my ($name) = $line =~ /^(?:not )?ok\s*\d*\s*(?:-\s+)?(.*?)\s*$/;
			$count++;
			$name = "test $count" if $name eq "";
			printf $out "%8.1f s  %s: %s\n", $seconds, $file, $name;
		}
		print $line;
	}' -- "$1" "$2"
}

# count FILE STATUS <TAP: prints "PASSED FAILED SKIPPED", appends to $tmp/failed and $tmp/skipped.
# Indented lines are subtests; their sum has a line of its own. The plans of several TAP streams in
# one file (of two virtual machines) add up.
count() {
	FILE=$1 STATUS=$2 FAILED=$tmp/failed SKIPPED=$tmp/skipped awk '
	function fail(text) { print file ": " text >>failures; failed++ }
	function problem(text) { problems = problems (problems == "" ? "" : "; ") text }
	function skip(text, why) {
		sub(/^[^ \t]*[ \t]*/, "", why)
		print file ": " text " (" (why == "" ? "no reason given" : why) ")" >>skips
		skipped++
	}
	BEGIN {
		file = ENVIRON["FILE"]; status = ENVIRON["STATUS"]
		failures = ENVIRON["FAILED"]; skips = ENVIRON["SKIPPED"]
		passed = failed = skipped = plans = planned = run = whole = 0
		directive = "(^|[ \t])#[ \t]*[Ss][Kk][Ii][Pp]"
	}
	{ sub(/[ \t\r]+$/, "") }
	/^1\.\.[0-9]+([ \t]|$)/ {
		plans++
		planned += substr($1, 4)
		if ($1 ~ /^1\.\.0+$/ && match($0, directive)) {
			skip("all tests", substr($0, RSTART + RLENGTH))
			whole++
		}
	}
	/^(not )?ok([ \t]|$)/ {
		run++
		bad = /^not/
		name = $0
		sub(/^(not )?ok[ \t]*[0-9]*[ \t]*(-[ \t]+)?/, "", name)
		why = ""
		is_skip = match(name, directive)
		if (is_skip) {
			why = substr(name, RSTART + RLENGTH)
			name = substr(name, 1, RSTART - 1)
			sub(/[ \t]+$/, "", name)
		}
		if (name == "")
			name = "test " run
		if (bad)
			fail(name)
		else if (is_skip)
			skip(name, why)
		else
			passed++
	}
	/^Bail out!/ { fail($0); bailed = 1 }
	END {
		clean = !failed
		if (!plans && !bailed)
			problem("no plan" (run ? "" : " and no test"))
		else if (plans && planned != run && !bailed)
			problem("planned " planned " tests, but ran " run)
		else if (plans && !run && !whole && !bailed)
			problem("planned no test, and gave no reason to skip")
		if (status != 0 && (clean || problems != ""))
			problem(status > 128 ? "ended by signal " (status - 128) : \
					       "exit status " status)
		if (problems != "")
			fail(problems)
		print passed, failed, skipped
	}'
}

# sum NUMBER FILE: adds what FILE has written and its status to the sums
sum() {
	local status=255 passes failures skips

	# FILE may have died inside a line
	[ -z "$(tail -c 1 "$tmp/$1.tap" | tr '\000' '?')" ] || echo
	read -r status <"$tmp/$1.status"
	count "$2" "$status" <"$tmp/$1.tap" >"$tmp/counts"
	if read -r passes failures skips <"$tmp/counts"; then
		passed=$((passed + passes))
		failed=$((failed + failures))
		skipped=$((skipped + skips))
	else
		add_failure "$2" "its output cannot be counted"
	fi
}

# path_of FILE: as the shell wants it for a program
path_of() {
	case $1 in
	/* | ./* | ../*) echo "$1" ;;
	*) echo "./$1" ;;
	esac
}

# start NUMBER: that FILE, in the background
start() {
	local file=${files[$1]}

	reasons[$1]=$(why_not "$file")
	[ -z "${reasons[$1]}" ] || return
	echo 255 >"$tmp/$1.status"
	: >"$tmp/$1.tap"
	(
		trap - HUP INT TERM EXIT
		{
			run_file "$(path_of "$file")"
			echo $? >"$tmp/$1.status"
		} | take_times "$file" "$tmp/$1.times"
	) </dev/null >>"$tmp/$1.tap" 2>"$tmp/$1.err" &
	pids[$1]=$!
	running[$!]=$1
}

# start_more: until so many run at once as may
start_more() {
	while [ "$next" -lt "$file_count" ] && [ "${#running[@]}" -lt "$jobs" ]; do
		start "$next"
		next=$((next + 1))
	done
}

# wait_for NUMBER: until that FILE has ended; whenever one ends, the next is started
wait_for() {
	local ended

	while [ -n "${running[${pids[$1]}]-}" ]; do
		wait -n -p ended "${!running[@]}"
		if [ -z "${ended-}" ]; then # bash knows none of them any more
			running=()
			return
		fi
		[ "${running[$ended]}" != "$file_count" ] || jobs=$((jobs - 1))
		unset "running[$ended]"
		start_more
	done
}

# show NUMBER: what that FILE prints, as it comes, and adds it to the sums
show() {
	local file=${files[$1]} viewer

	echo "# $file"
	if [ -n "${reasons[$1]}" ]; then
		echo "# cannot be run: ${reasons[$1]}"
		add_failure "$file" "cannot be run: ${reasons[$1]}"
		return
	fi
	if [ -n "${running[${pids[$1]}]-}" ]; then
		tail -n +1 -s 0.1 -f --pid="${pids[$1]}" "$tmp/$1.tap" &
		viewer=$!
		wait_for "$1"
		wait "$viewer"
	else
		cat "$tmp/$1.tap"
	fi
	cat "$tmp/$1.err" >&2
	sum "$1" "$file"
}

files=("$@" "$beside")
file_count=$# # and the number of PROGRAM
reasons=()    # why a FILE cannot be run, or nothing
pids=()
next=0
if [ -n "$beside" ]; then
	start "$file_count"
	jobs=$((jobs + ${#running[@]})) # until it ends
fi
start_more
for ((number = 0; number < file_count; number++)); do
	show "$number"
done
[ -z "$beside" ] || show "$file_count"

cat "$tmp"/*.times >"$tmp/times" 2>/dev/null
if [ -s "$tmp/times" ]; then
	echo
	echo "Slowest:"
	sort -rn "$tmp/times" | head -n 10
fi
if [ -s "$tmp/failed" ]; then
	echo
	echo "Failed:"
	sed 's/^/  /' "$tmp/failed"
fi
if [ -s "$tmp/skipped" ]; then
	echo
	echo "Skipped:"
	sed 's/^/  /' "$tmp/skipped"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
