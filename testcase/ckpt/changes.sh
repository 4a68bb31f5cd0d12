#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# changes.sh SCENE TIMES [COMMAND...]: the scene "changes" or "scattered" of work.c, started by
# COMMAND: an image at each of its steps, each but the first an increment; then it is killed, and
# brought back from all of them. Exit status 0 if its memory was right, and an increment so many
# times smaller than the full image.
set -u

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
# shellcheck source=testcase/wait.bash
. "$here/../wait.bash"
scene=$1
times=$2
shift 2
dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-ckpt.XXXXXX")
pid=
last=
looks=0
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 2

fail()
{
	printf '%s: %s\n' "$scene" "$1"
	tail -n 5 out err
	exit 1
}

# shellcheck disable=SC2317,SC2329 # called by wait_until
is_hopeless()
{
	has_ended "$pid"
}

# wait_for WHAT COMMAND...
wait_for()
{
	wait_until "$@" || fail 'it did not come'
}

# identity: what tells two images apart. An inode alone may be used again.
identity()
{
	stat -c '%i, written at %y' image 2>/dev/null
}

# Asks again now and then: a child that has just written the image before may not be gone yet.
has_changed()
{
	local now

	now=$(identity) && [ "$now" != "$last" ] && return
	looks=$((looks + 1))
	[ $((looks % 100)) -ne 0 ] || kill -USR2 "$pid"
	return 1
}

env "LD_PRELOAD=$build/libckpt.so" CKPT_FILE="$dir/image" CKPT_INCREMENTAL=1 "$@" \
	"$build/ckpt/work" "$scene" >out 2>err </dev/null 3>&- 4>&- &
pid=$!
for step in 0 1 2 3 4 5; do
	wait_for "step $step" has_line out "step $step"
	looks=0
	kill -USR2 "$pid"
	wait_for "image $step" has_changed
	last=$(identity)
	: >step$step
done
kill -KILL "$pid"
wait "$pid" 2>/dev/null
pid=
[ "$(stat -c %b image.1)" -gt $((times * $(stat -c %b image.3))) ] || fail 'an increment is too large'
: >finish
timeout -k 5 "$LIMIT_SECONDS" "$build/restart" image </dev/null >restart.out 2>&1 ||
	fail "restart: status $?, $(tail -n 1 restart.out)"
grep -q '^ok$' out || fail 'it has not come to its end'
