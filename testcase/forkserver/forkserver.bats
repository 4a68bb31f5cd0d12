# SPDX-License-Identifier: BSD-2-Clause
# librollback-forkserver.so: what a fuzzer sees of its target is the same with it as without it.

bats_require_minimum_version 1.5.0

TREE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
BUILD=${TRACER_BUILD:-$TREE/build}
TARGET=$BUILD/forkserver/target
LIBRARY=$BUILD/librollback-forkserver.so

setup()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-forkserver.XXXXXX")
	cd "$dir" || return 1
}

teardown()
{
	cd / && rm -rf "$dir"
}

# play_forks, play_rollbacks [OPTION...] -- TARGET CASE: runs the driver. Its lines are in the file
# forks or rollbacks, what was said on stderr in NAME.err.
play_forks()
{
	: >forks.err # appended to, for the target may move its offset
	"$BUILD/forkserver/driver" "$@" >forks 2>>forks.err
}

play_rollbacks()
{
	: >rollbacks.err
	DRIVER_PRELOAD=$LIBRARY "$BUILD/forkserver/driver" "$@" >rollbacks 2>>rollbacks.err
}

# expect_same RUNS: as many lines, and the same ones
expect_same()
{
	cat rollbacks.err
	diff forks rollbacks >difference || { head -n 10 difference; return 1; }
	[ "$(wc -l <rollbacks)" -eq "$1" ]
}

children()
{
	sed -n 's/.* runs, \([0-9]*\) children$/\1/p' rollbacks.err
}

# same RUNS CASE: with random inputs
same()
{
	play_forks -n "$1" -- "$TARGET" "$2"
	play_rollbacks -n "$1" -- "$TARGET" "$2"
	expect_same "$1"
}

# deaths: how many runs ended by a signal
deaths()
{
	grep -c ' signal ' rollbacks
}

@test 'all ways to exit, handlers of exits and signals, crashes' {
	same 1201 exits
	# each child but the last has died
	[ "$(deaths)" -gt 10 ]
	[ "$(children)" -lt $((4 * $(deaths))) ]
}

@test 'heap, mappings, bss, stack, thread-local memory' {
	same 301 memory
	[ "$(children)" -eq 1 ]
}

@test 'system calls that the C library does not see' {
	same 301 raw
	[ "$(children)" -eq 1 ]
}

@test 'descriptors that are closed, replaced, opened, and offsets' {
	same 301 files
}

@test 'stdin that was not read to its end' {
	same 301 stdin
	[ "$(children)" -eq 1 ]
}

@test 'an input in a file' {
	play_forks -n 301 -f forks.input -- "$TARGET" memory forks.input
	play_rollbacks -n 301 -f rollbacks.input -- "$TARGET" memory rollbacks.input
	expect_same 301
	[ "$(children)" -eq 1 ]
}

@test 'what a process keeps until its end: the run ends it, and that is said once' {
	same 301 kept
	[ "$(grep -c rollback-forkserver rollbacks.err)" -eq 1 ]
	grep -q 'so the process ended with its run' rollbacks.err
}

@test 'attributes of a process: put back, or the run ends it' {
	same 301 attributes
	grep -q 'so the process ended with its run' rollbacks.err
	[ "$(children)" -lt 301 ]
}

@test 'a limit of processor time is that of a run' {
	# of the driver and of a server that forks, too: few runs of 50 ms, so theirs is small
	(ulimit -S -t 2 && same 121 busy)
	[ "$(deaths)" -eq 0 ]
	grep -q 'the processor time is limited' rollbacks.err
	[ "$(children)" -lt 61 ]
}

@test 'threads: forks from then on, and that is said once' {
	same 301 threads
	[ "$(grep -c 'starts threads, so each run is a process of its own' rollbacks.err)" -eq 1 ]
}

@test 'a run that is too slow is killed, and only that' {
	play_forks -n 201 -t 300 -- "$TARGET" hangs
	play_rollbacks -n 201 -t 300 -- "$TARGET" hangs
	expect_same 201
	[ "$(children)" -eq $((1 + $(deaths))) ]
}

@test 'a child that is killed after its run is not taken for a crash' {
	play_forks -n 601 -- "$TARGET" memory
	play_rollbacks -n 601 -k 23 -- "$TARGET" memory
	expect_same 601
	[ "$(children)" -eq 27 ]
}

@test 'AFL_NO_SNAPSHOT, persistent mode: nothing is done' {
	play_forks -n 23 -- "$TARGET" exits
	AFL_NO_SNAPSHOT=1 play_rollbacks -n 23 -- "$TARGET" exits
	expect_same 23
	[ "$(children)" -eq 23 ]
	__AFL_PERSISTENT=1 play_rollbacks -n 23 -- "$TARGET" exits
	expect_same 23
	[ "$(children)" -eq 23 ]
}

@test 'a server that waits for stops, too' {
	play_forks -n 101 -- "$TARGET" exits
	TARGET_UNTRACED=1 play_rollbacks -n 101 -- "$TARGET" exits
	expect_same 101
	[ "$(children)" -lt 50 ]
}

@test 'a target with an address sanitizer' {
	TARGET=$TARGET-asan
	export ASAN_OPTIONS=abort_on_error=1:detect_leaks=0:symbolize=0:log_path=/dev/null
	same 101 memory
	same 101 exits
}

@test 'a program that is no fork server' {
	LD_PRELOAD=$LIBRARY "$TARGET" memory </dev/null
	[ "$(LD_PRELOAD=$LIBRARY sh -c 'exit 7' || echo $?)" -eq 7 ]
	LD_PRELOAD=$LIBRARY bash -c '(exit 3); [ $? -eq 3 ]' 198</dev/null 199>/dev/null
}

@test '32 at the same time' {
	play_forks -n 23 -- "$TARGET" memory
	for i in {1..32}; do
		DRIVER_PRELOAD=$LIBRARY "$BUILD/forkserver/driver" -n 23 -- "$TARGET" memory \
			>"rollbacks-$i" 2>>errors &
	done
	wait
	for i in {1..32}; do
		diff forks "rollbacks-$i"
	done
	[ "$(grep -c '^23 runs, 1 children$' errors)" -eq 32 ]
}
