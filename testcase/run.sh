#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [--beside PROGRAM] FILE...: runs each FILE, a program or .bats file that emits TAP, one
# after the other. PROGRAM, which emits TAP, runs at the same time and is shown last. Shows their
# output as it comes, then the ten slowest tests, the failed and the skipped ones. The last line is
# "N passed, N failed, N skipped". Exit status: 0, 1 if anything failed, 2 if called wrongly. Always
# holds: a FILE that ran no test, died, or missed its plan counts as one failed test.

set -u
export LC_ALL=C

beside=
if [ "${1:-}" = --beside ]; then
	beside=${2:-}
	shift "$(($# > 1 ? 2 : 1))"
fi
if [ $# -eq 0 ]; then
	echo "usage: $0 [--beside PROGRAM] FILE..." >&2
	exit 2
fi

tmp=$(mktemp -d) || exit 2
beside_pid=
# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
	if [ -n "$beside_pid" ]; then
		pkill -P "$beside_pid" 2>/dev/null
		wait "$beside_pid" 2>/dev/null
	fi
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
: >"$tmp/times"

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

# run_file FILE: prints what FILE prints; its exit status is in $tmp/status
run_file() {
	case $1 in
	*.bats)
		# End-to-end tests wait most of the time, so several run at once. bats needs
		# parallel for that.
		if command -v parallel >/dev/null 2>&1; then
			bats --tap --timing --jobs 3 "$1" </dev/null
		else
			bats --tap --timing "$1" </dev/null
		fi
		;;
	*) "$1" </dev/null ;;
	esac
	echo $? >"$tmp/status"
}

# take_times FILE: copies stdin line by line, and appends to $tmp/times how long each test took. A
# file can say that itself, as bats does, by "in Nms" behind the name, which is not copied.
# Otherwise it is the time since the test before.
take_times() {
	perl -MTime::HiRes=time -e '
	my ($file, $times) = @ARGV;
	my ($last, $count) = (time, 0);
	$| = 1;
	open my $out, ">>", $times or die "$times: $!\n";
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
	}' -- "$1" "$tmp/times"
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

# sum FILE: adds what FILE has written ($tmp/output) and its status ($tmp/status) to the sums
sum() {
	# FILE may have died inside a line
	[ -z "$(tail -c 1 "$tmp/output" | tr '\000' '?')" ] || echo
	read -r status <"$tmp/status"
	count "$1" "$status" <"$tmp/output" >"$tmp/counts"
	if read -r passes failures skips <"$tmp/counts"; then
		passed=$((passed + passes))
		failed=$((failed + failures))
		skipped=$((skipped + skips))
	else
		add_failure "$1" "its output cannot be counted"
	fi
}

# path_of FILE: as the shell wants it for a program
path_of() {
	case $1 in
	/* | ./* | ../*) echo "$1" ;;
	*) echo "./$1" ;;
	esac
}

# can_run FILE: false if not, which is a failure
can_run() {
	reason=$(why_not "$1")
	[ -n "$reason" ] || return 0
	echo "# cannot be run: $reason"
	add_failure "$1" "cannot be run: $reason"
	return 1
}

if [ -n "$beside" ] && [ -z "$(why_not "$beside")" ]; then
	echo 255 >"$tmp/status-beside"
	mkfifo "$tmp/pipe"
	(
		trap - HUP INT TERM EXIT
		take_times "$beside" <"$tmp/pipe" >"$tmp/beside" &
		"$(path_of "$beside")" </dev/null >"$tmp/pipe" 2>"$tmp/beside-err"
		echo $? >"$tmp/status-beside"
		wait
	) &
	beside_pid=$!
fi
for file; do
	echo "# $file"
	can_run "$file" || continue
	echo 255 >"$tmp/status"
	run_file "$(path_of "$file")" | take_times "$file" | tee "$tmp/output"
	sum "$file"
done
if [ -n "$beside" ]; then
	echo "# $beside"
	if can_run "$beside"; then
		wait "$beside_pid"
		beside_pid=
		cat "$tmp/beside-err" >&2
		mv "$tmp/beside" "$tmp/output"
		mv "$tmp/status-beside" "$tmp/status"
		cat "$tmp/output"
		sum "$beside"
	fi
fi

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
