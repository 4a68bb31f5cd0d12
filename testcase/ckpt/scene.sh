#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# scene.sh [-o NAME=VALUE]... PROGRAM [ARG...]: starts PROGRAM (see work.c) with libckpt, takes an
# image, kills it, and brings it back from that image three times: to its end, to its end once more,
# and to take another image, from which it is brought back to its end. Exit status 0 if each end was
# a right one. The variables are set for the program; RESTART_OPTIONS are for restart.
set -u

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
# shellcheck source=testcase/wait.bash
. "$here/../wait.bash"
variables=()
read -ra options <<<"${RESTART_OPTIONS:-}"
pids=()
while [ "${1:-}" = -o ]; do
	variables+=("$2")
	shift 2
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-ckpt.XXXXXX")
# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup()
{
	local pid

	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$dir"
}
trap cleanup EXIT
# What the caller has open is nothing of the program's.
for file in /proc/"$$"/fd/*; do
	file=${file##*/}
	[ "$file" -le 2 ] || [ "$file" -eq 255 ] || eval "exec $file>&-"
done
cd "$dir" || exit 2

# fail MESSAGE
fail()
{
	printf '%s: %s; it said:\n' "$scene" "$1"
	tail -n 5 out err restart.err 2>/dev/null
	exit 1
}

# shellcheck disable=SC2317,SC2329 # called by wait_until
is_hopeless()
{
	has_ended "$pid"
}

# wait_for WHAT COMMAND...: wait_until, which ends the scene when it fails
wait_for()
{
	wait_until "$@" >wait.out || fail "$(<wait.out)"
}

# sleeps PID: does it wait for something in the kernel?
# shellcheck disable=SC2317,SC2329 # called by wait_for
sleeps()
{
	local state

	read_state "$1"
	[ "$state" = S ]
}

# take_image PID [CHILD]: and kills the process, which is a child of restart --same-pid
take_image()
{
	rm -f "$image"
	kill -USR2 "$1" || fail 'it is gone'
	wait_for 'an image' test -e "$image"
	# not killed at once: it shows what it does after an image
	has_line out interrupted || nap 0.05
	kill -KILL "${2:-$1}"
	wait "$1" 2>/dev/null
	IFS= read -r -d '' output <out
	[ -z "$writes_itself" ] || cp --sparse=always --remove-destination "$image" image.then
}

# put_back: the image and the output. With CKPT_INTERVAL, a process that was brought back writes
# images as well.
put_back()
{
	[ -z "$writes_itself" ] || cp --sparse=always image.then "$image"
	printf '%s' "$output" >out
}

# finish WHICH: brings it back to its end
finish()
{
	put_back
	: >finish
	timeout -k 5 "$LIMIT_SECONDS" "$build/restart" "${options[@]}" "$image" \
		>restart.out 2>restart.err </dev/null
	status=$?
	[ $status -eq 0 ] || fail "$1: status $status"
	has_line out ok || fail "$1: it has not come to its end"
	rm -f finish alive
}

scene=$*
writes_itself=
case "${variables[*]-}" in *CKPT_INTERVAL*) writes_itself=yes ;; esac
image=$dir/${IMAGE_NAME:-image}
: >out
(
	export LD_PRELOAD="$build/libckpt.so" CKPT_FILE="$image" "${variables[@]}"
	exec "$@" >>out 2>err </dev/null 3>&-
) &
pid=$!
pids+=("$pid")
wait_for 'it to be ready' has_line out ready
case $scene in
*' sleep') wait_for 'it to sleep' sleeps "$pid" ;; # a signal before that interrupts nothing
esac
first=$pid
take_image "$pid"
[ -z "${SCENE_HOOK:-}" ] || "$SCENE_HOOK" || fail 'the hook failed'
finish 'the first time'
finish 'the second time'
put_back
"$build/restart" "${options[@]}" "$image" >restart.out 2>restart.err </dev/null 3>&- &
pid=$!
pids+=("$pid")
wait_for 'it to go on' test -L alive
case ${RESTART_OPTIONS:-} in
*--same-pid*) take_image "$pid" "$first" ;;
*)
	# restart itself lies below 2 MiB, or else at 0x70000000, and must be gone
	places='700[0-9a-f]{5}-|00[01]'
	[[ $1 != *-low ]] || places=${places%|*}
	IFS= read -r -d '' maps <"/proc/$pid/maps"
	[[ ! $'\n'$maps =~ $'\n'($places) ]] || fail "something of restart is left: $maps"
	take_image "$pid"
	;;
esac
finish 'the second generation'
while IFS= read -r line || [ -n "$line" ]; do
	[[ $line == @(ok|ready|interrupted) ]] || fail "that was not expected: $line"
done <out
exit 0
