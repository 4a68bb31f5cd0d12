# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # dir
#
# Waiting, for the suites and scenes. A look forks no process where the shell can look by itself: a
# fork takes longer than most of what is waited for, and 30 ms in an emulated machine. Whoever loads
# this has a folder of its own in dir.

LIMIT_SECONDS=1000 # see limit.h

# nap SECONDS
nap()
{
	[ -p "$dir/.nap" ] || mkfifo "$dir/.nap"
	read -r -t "$1" <>"$dir/.nap" || : # nobody writes to it
}

# read_state PID: sets state to the letter in /proc/PID/stat; to nothing if there is no such process
read_state()
{
	state=
	{ read -r state <"/proc/$1/stat"; } 2>/dev/null || return 0
	state=${state##*) }
	state=${state%% *}
}

# state_of PID: prints that letter
state_of()
{
	local state

	read_state "$1"
	printf '%s' "$state"
}

has_ended()
{
	local state

	read_state "$1"
	[[ $state == Z || -z $state ]]
}

# has_line FILE TEXT: does a line of FILE begin with TEXT?
has_line()
{
	local line

	[ -e "$1" ] || return 1
	while read -r line || [ -n "$line" ]; do
		[[ $line != "$2"* ]] || return 0
	done <"$1"
	return 1
}

# wait_until WHAT COMMAND...: waits until COMMAND succeeds. Fails when that takes too long, or when
# is_hopeless succeeds. Whoever loads this defines is_hopeless.
wait_until()
{
	local what=$1 tries=$((LIMIT_SECONDS * 50))

	shift
	until "$@"; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ] || is_hopeless; then
			! "$@" || return 0
			printf 'waited in vain for %s\n' "$what"
			return 1
		fi
		nap 0.02
	done
}
