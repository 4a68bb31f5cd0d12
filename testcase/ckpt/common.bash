# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # the suites use what is set here
#
# Helpers of the suites of images: libckpt and restart.

bats_require_minimum_version 1.5.0

TREE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
BUILD=${TRACER_BUILD:-$TREE/build}
WORK=$BUILD/ckpt/work
RESTART=$BUILD/restart
SCENE=$TREE/testcase/ckpt/scene.sh
. "$TREE/testcase/wait.bash"

setup()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-ckpt-bats.XXXXXX")
	cd "$dir" || return 1
	pid=
	mounted=
	launch=() # restart with
	under=()  # start with
	restart_options=()
	ahead=(--time --fork --kill-child --monotonic 20000 --boottime 20000)
	unset "${!CKPT_@}"
}

teardown()
{
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	[ -z "$mounted" ] || umount "$mounted"
	if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		head -n 20 out err restart.err 2>/dev/null || true
	fi
	cd / && rm -rf "$dir"
}

scene()
{
	"$SCENE" "$@"
}

# is_hopeless: the program has ended
is_hopeless()
{
	[ -n "$pid" ] && has_ended "$pid"
}

# start [NAME=VALUE...] 'SCENE [NUMBER]': work.c with libckpt in the background; its
# number is in pid.
start()
{
	local scene

	read -ra scene <<<"${@: -1}"
	last=
	rm -f out # of the one before, which was ready
	"${under[@]}" env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "${@:1:$#-1}" \
		"$WORK" "${scene[@]}" >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to be ready' has_line out ready
}

# start_program COMMAND...: any program with libckpt, which signal 64 asks; pid as with start
start_program()
{
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_SIGNAL=64 "$@" \
		>out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to be ready' has_line out ready
}

# take_image [SIGNAL]: of the program that was started, which is killed
take_image()
{
	kill "-${1:-USR2}" "$pid"
	wait_until 'an image' test -e image
	kill -KILL "$pid"
	wait "$pid" || true
}

# next_image: asks for one, and waits for it, and for the child that has written it: a request
# before its end is refused
next_image()
{
	kill -USR2 "$pid"
	wait_until 'the next image' has_changed
	last=$(identity image)
	! tr '\0' '\n' <"/proc/$pid/environ" | grep -qx CKPT_FORK=1 ||
		wait_until 'the end of the child that has written it' eval '! new_child'
}

# comes_back: the program is killed, and comes back from its image to its right end
comes_back()
{
	kill -KILL "$pid"
	wait "$pid" || true
	touch finish
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" image </dev/null
	[ "$(tail -n 1 out)" = ok ]
}

# identity FILE: what tells two images apart. An inode alone may be used again.
identity()
{
	stat -c '%i, written at %y' "$1"
}

has_changed()
{
	local now

	now=$(identity image 2>/dev/null) && [ "$now" != "${last:-}" ]
}

# new_child: the child of the program that runs is in child; false if there is none
new_child()
{
	local number

	for number in $(pgrep -P "$pid"); do
		! has_ended "$number" || continue
		child=$number
		return
	done
	return 1
}

# expect_unharmed: the program goes on, and comes to its right end.
expect_unharmed()
{
	touch finish
	wait "$pid"
	pid=
	grep -q '^ok$' out
}

# expect_refused PATTERN [ARG...]: restart says so, and ends with 125
expect_refused()
{
	local status=0 pattern=$1

	shift
	timeout -k 5 "$LIMIT_SECONDS" "${launch[@]}" "$RESTART" "$@" >restart.out 2>restart.err </dev/null || status=$?
	[ "$status" -eq 125 ]
	grep -- "$pattern" restart.err
	[ "$(wc -l <restart.err)" -eq 1 ]
}

# expect_end [COMMAND...]: restart, begun by COMMAND, brings it back to its right end.
expect_end()
{
	cat out.then >out
	timeout -k 5 "$LIMIT_SECONDS" "$@" "$RESTART" "${restart_options[@]}" image 2>restart.err </dev/null
	grep -q '^ok$' out
}

# restart_in_background IMAGE: which then is the program in pid
restart_in_background()
{
	kill -KILL "$pid"
	wait "$pid" || true
	rm -f alive
	"$RESTART" "$1" >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to go on' test -L alive
}

# expect_missing PATTERN [COMMAND...]: restart, begun by COMMAND, brings the process back, and says
# in one line, and nothing else, that PATTERN is missing.
expect_missing()
{
	local pattern=$1

	shift
	: >finish
	timeout -k 5 "$LIMIT_SECONDS" "$@" "$RESTART" image 2>restart.err </dev/null
	[ "$(tail -n 1 out)" = ok ]
	[ "$(wc -l <restart.err)" -eq 1 ]
	grep -x -- "restart: work comes back without: $pattern" restart.err
	rm finish
}
