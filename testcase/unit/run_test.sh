#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Tests of run.sh: good and bad files, and the sums, lists and status that follow. Every case writes
# small programs that emit TAP into a folder of its own and runs run.sh on them.

set -u
run=$(cd "$(dirname "$0")/.." && pwd)/run.sh
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 2

tests=0
bad=0
echo "1..48"

# ok TEXT, after a command: reports its status
ok() {
	result=$?
	tests=$((tests + 1))
	if [ $result -eq 0 ]; then
		echo "ok $tests - $1"
	else
		echo "not ok $tests - $1"
		sed 's/^/# | /' out
		bad=$((bad + 1))
	fi
}

# script NAME: makes an executable shell script of stdin
script() {
	{
		echo "#!/bin/sh"
		cat
	} >"$1"
	chmod +x "$1"
}

# tap NAME: makes an executable that prints stdin
tap() {
	cat >"$1.tap"
	# shellcheck disable=SC2016 # the script expands it
	echo 'cat "$0.tap"' | script "$1"
}

# expect STATUS SUMMARY FILE...: runs run.sh, compares its status and its last line
expect() {
	want_status=$1
	want_summary=$2
	shift 2
	"$run" "$@" >out 2>err
	status=$?
	[ "$status" -eq "$want_status" ] && [ "$(tail -n 1 out)" = "$want_summary" ]
}

# wait_for_first: until the output of run.sh in the background has the word "first"
wait_for_first() {
	tries=10000
	until grep -q first out || [ $tries -eq 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
}

# has LINE: is it in the output, whole?
has() {
	grep -Fqx -- "$1" out
}

tap good <<'END'
TAP version 13
1..3
ok 1 - one
ok 2 two
ok
END
expect 0 "3 passed, 0 failed, 0 skipped" good
ok "all pass"
has "# good" && has "ok 2 two"
ok "the header and the raw output are shown"
! grep -q -e Failed -e Skipped out
ok "no lists when there is nothing to list"

tap late <<'END'
ok 1 - one
not ok 2 - two
1..2
END
expect 1 "1 passed, 1 failed, 0 skipped" late
ok "a plan at the end, and a failed test"
has "  late: two"
ok "the failed test is listed with its file"

tap skips <<'END'
1..6
ok 1 - a # SKIP no kernel
ok 2 # skip no root
ok 3 - c \# SKIP is part of the name
ok 4 - d # skipped: too old
ok 5 # SKIP
not ok 6 - f # SKIP never mind
END
expect 1 "1 passed, 1 failed, 4 skipped" skips
ok "skips are counted apart, a failed one is a failure"
has "  skips: a (no kernel)" && has "  skips: test 2 (no root)" && has "  skips: d (too old)" &&
	has "  skips: test 5 (no reason given)"
ok "skips are listed with their reasons"

echo "1..0 # SKIP no bpf here" | tap all_skipped
expect 0 "0 passed, 0 failed, 1 skipped" all_skipped
ok "a file skipped as a whole"
has "  all_skipped: all tests (no bpf here)"
ok "its reason is listed"

echo "1..0" | tap empty_plan
expect 1 "0 passed, 1 failed, 0 skipped" empty_plan
ok "a plan of nothing without a reason fails"

echo "ok 1 - one" | tap no_plan
expect 1 "1 passed, 1 failed, 0 skipped" no_plan && has "  no_plan: no plan"
ok "a file without a plan fails"

: | tap silent
expect 1 "0 passed, 1 failed, 0 skipped" silent && has "  silent: no plan and no test"
ok "a file without output fails"

tap short <<'END'
1..3
ok 1 - one
ok 2 - two
END
expect 1 "2 passed, 1 failed, 0 skipped" short && has "  short: planned 3 tests, but ran 2"
ok "fewer tests than planned"

tap long <<'END'
1..1
ok 1 - one
ok 2 - two
END
expect 1 "2 passed, 1 failed, 0 skipped" long && has "  long: planned 1 tests, but ran 2"
ok "more tests than planned"

script status <<'END'
echo 1..1
echo ok 1
exit 23
END
expect 1 "1 passed, 1 failed, 0 skipped" status && has "  status: exit status 23"
ok "a bad exit status without a failed test"

script counted <<'END'
echo 1..1
echo not ok 1 - one
exit 1
END
expect 1 "0 passed, 1 failed, 0 skipped" counted
ok "a bad exit status with a failed test counts once"

script crash <<'END'
echo 1..3
echo ok 1
kill -SEGV $$
END
expect 1 "1 passed, 1 failed, 0 skipped" crash &&
	has "  crash: planned 3 tests, but ran 1; ended by signal 11"
ok "a crash is one failure that names the signal"

tap bail <<'END'
1..5
ok 1 - one
Bail out! the disk is full
END
expect 1 "1 passed, 1 failed, 0 skipped" bail && has "  bail: Bail out! the disk is full"
ok "Bail out! is a failure"

printf '1..2\r\nok 1 - one\r\nok 2 - two # SKIP why\r\n' | tap crlf
expect 0 "1 passed, 0 failed, 1 skipped" crlf && has "  crlf: two (why)"
ok "lines that end in CRLF"

tap nested <<'END'
1..2
    1..2
    ok 1 - inner
    not ok 2 - inner
ok 1 - outer
okay 7 is no test
not okay either
# ok 3 - in a comment
 ok 4 - indented
ok 2 - outer
END
expect 0 "2 passed, 0 failed, 0 skipped" nested
ok "subtests, comments and prose are not counted"

tap joined <<'END'
# one
1..2
ok 1 - a
ok 2 - b
# two
1..1
ok 1 - c
3 passed, 0 failed, 0 skipped
END
expect 0 "3 passed, 0 failed, 0 skipped" joined
ok "TAP streams after each other: the plans add up"

tap joined_short <<'END'
1..2
ok 1 - a
1..1
ok 1 - c
END
expect 1 "2 passed, 1 failed, 0 skipped" joined_short
ok "and a missing test is still seen"

expect 1 "3 passed, 1 failed, 0 skipped" absent good &&
	has "  absent: cannot be run: no such file"
ok "a missing file is a failure, and the rest still runs"

echo "not a program" >plain
expect 1 "0 passed, 1 failed, 0 skipped" plain && has "  plain: cannot be run: not executable"
ok "a file that is not executable"

expect 1 "0 passed, 1 failed, 0 skipped" "$tmp" && has "  $tmp: cannot be run: not a plain file"
ok "a folder"

printf '#!/nowhere/interpreter\n' >broken
chmod +x broken
expect 1 "0 passed, 1 failed, 0 skipped" broken
ok "a program that cannot be started"

tap "a name; with 'blanks'" <<'END'
1..1
not ok 1 - 100%s \n $(date) `date` & more
END
expect 1 "0 passed, 1 failed, 0 skipped" "a name; with 'blanks'" &&
	has "  a name; with 'blanks': 100%s \\n \$(date) \`date\` & more"
ok "odd characters in file and test names stay as they are"

script dash <<'END'
printf '1..1\nok 1 - no newline at the end'
END
mv dash ./-dash
expect 0 "4 passed, 0 failed, 0 skipped" -dash good && has "# good"
ok "a name with a dash first; output without a last newline"

printf '1..1\nok 1 - nul \000 and \377\n' | tap binary
expect 0 "1 passed, 0 failed, 0 skipped" binary
ok "bytes that are no text"

script big <<'END'
echo 1..230001
awk 'BEGIN { for (i = 1; i <= 230001; i++) print "ok " i " - a test with a name of some length" }'
awk 'BEGIN { printf "# "; for (i = 0; i < 2300000; i++) printf "x"; print "" }'
END
expect 0 "230001 passed, 0 failed, 0 skipped" big
ok "many megabytes of output, and a line of two"

script stdin <<'END'
echo 1..1
read -r line && echo "not ok 1 - read $line" || echo "ok 1 - end of file"
END
echo text | expect 0 "1 passed, 0 failed, 0 skipped" stdin
ok "files find an empty stdin"

expect 1 "8 passed, 3 failed, 6 skipped" good late skips all_skipped short crlf
ok "the sums of several files"

"$run" >out 2>err
[ $? -eq 2 ] && [ -s err ] && [ ! -s out ]
ok "no file at all is wrong usage"

if command -v bats >out; then
	printf '@test "one" {\n\ttrue\n}\n@test "two" {\n\tskip "because"\n}\n' >x.bats
	expect 0 "1 passed, 0 failed, 1 skipped" x.bats && has "  x.bats: two (because)"
	ok "a .bats file needs no execute bit"
	printf '@test "one" {\n\tfalse\n}\n' >y.bats
	expect 1 "0 passed, 1 failed, 0 skipped" y.bats && has "  y.bats: one"
	ok "a .bats file that fails"
else
	tests=$((tests + 2))
	echo "ok $((tests - 1)) # SKIP bats is not installed"
	echo "ok $tests # SKIP bats is not installed"
fi

tap slowest <<'END'
1..12
ok 1 - a in 2300ms
not ok 2 - b in 230000ms
ok 3 - c in 12000ms # SKIP why
ok 4 - d in 11000ms
ok 5 - in 10000ms in 10000ms
ok 6 in 9000ms
ok 7 - g in 8000ms
ok 8 - h in 7000ms
ok 9 - i in 6000ms
ok 10 - j in 5000ms
ok 11 - k in 2ms
ok 12 - l in 4000ms
END
expect 1 "10 passed, 1 failed, 1 skipped" slowest
ok "tests that say how long they took"
sed -n '/^Slowest:/,/^$/p' out >slowest.out
diff slowest.out - >out <<'END'
Slowest:
   230.0 s  slowest: b
    12.0 s  slowest: c # SKIP why
    11.0 s  slowest: d
    10.0 s  slowest: in 10000ms
     9.0 s  slowest: test 6
     8.0 s  slowest: g
     7.0 s  slowest: h
     6.0 s  slowest: i
     5.0 s  slowest: j
     4.0 s  slowest: l

END
ok "the ten slowest are listed"
expect 1 "13 passed, 1 failed, 1 skipped" slowest good &&
	has "ok 1 - a" && has "ok 3 - c # SKIP why"
ok "the time is not part of a name"
"$run" good >out 2>err
grep -q '^ *[0-9]*\.[0-9] s  good: one$' out
ok "without it, it is measured"

touch hold
script slow <<'END'
echo 1..1
echo ok 1 - first
while [ -e hold ]; do sleep 0.1; done
END
mkdir own
TMPDIR=$tmp/own "$run" slow >out 2>err &
runner=$!
wait_for_first
has "ok 1 - first" && ! grep -q passed out
ok "output is shown while the file still runs"
rm hold
wait $runner && has "1 passed, 0 failed, 0 skipped" && [ -z "$(ls own)" ]
ok "nothing is left in TMPDIR"

touch hold
tap first <<'END'
1..1
ok 1 - alone
END
script release <<'END'
rm hold
echo 1..1
echo ok 1 - released
END
expect 0 "3 passed, 0 failed, 0 skipped" --beside slow first release &&
	[ "$(grep '^ok' out | tail -n 1)" = "ok 1 - first" ]
ok "a program runs beside the others and is shown last"
script bad <<'END'
echo 1..2
echo not ok 1 - wrong
exit 3
END
expect 1 "1 passed, 2 failed, 0 skipped" --beside bad first && has "  bad: wrong"
ok "a program beside the others that fails and dies"
expect 1 "1 passed, 1 failed, 0 skipped" --beside nowhere first &&
	has "  nowhere: cannot be run: no such file"
ok "a program that is to run beside the others and is not there"

# Each of the two waits for the other.
for pair in "left right" "right left"; do
	script "${pair% *}" <<END
touch ${pair% *}-is-here
tries=10000
until [ -e ${pair#* }-is-here ] || [ \$tries -eq 0 ]; do
	sleep 0.1
	tries=\$((tries - 1))
done
[ \$tries -gt 0 ] || exit
echo 1..1
echo ok 1 - ${pair% *}
END
done
touch hold
expect 0 "5 passed, 0 failed, 0 skipped" --jobs 2 --beside slow left right first release &&
	[ "$(sed -n 's/^ok 1 - //p' out | tr '\n' ' ')" = "left right alone released first " ]
ok "two at once, besides the program; they are shown in their order"
expect 1 "3 passed, 1 failed, 0 skipped" --jobs 23 absent first nested
ok "more at once than there are"
refused=0
for wrong in 0 x 100 ''; do
	"$run" --jobs "$wrong" first >out 2>err
	[ $? -eq 2 ] && [ -s err ] && [ ! -s out ] && refused=$((refused + 1))
done
[ $refused -eq 4 ] && ! "$run" --jobs 2 >out 2>err && ! "$run" --jobs >>out 2>err && [ ! -s out ]
ok "a number at once that is none"

script endless <<'END'
sleep 1000 &
echo $! >endless.pid
echo 1..1
echo ok 1 - first
wait
END
TMPDIR=$tmp/own "$run" --jobs 2 endless first >out 2>err &
runner=$!
wait_for_first
kill -TERM $runner
wait $runner
status=$?
while readlink "/proc/$(cat endless.pid)/exe" >err && [ $tries -gt 0 ]; do
	sleep 0.1
	tries=$((tries - 1))
done
[ $status -eq 143 ] && ! grep -q passed out && [ -z "$(ls own)" ] && [ $tries -gt 0 ]
ok "a signal ends what runs, and nothing is left in TMPDIR"

[ $tests -eq 48 ] && [ $bad -eq 0 ]
