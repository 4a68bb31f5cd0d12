#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# scenes.sh: runs inside a VM, where a fork takes 30 ms and bats would take half an hour: programs
# of the end-to-end suites and workloads that check themselves, each under the tracer, and unit
# tests of the kernel side, in TAP. A test is ok when program and tracer end with 0 (77: the program
# says why it cannot be played here).
#
# A scene is here if another kernel may make a difference to it: a call that is hooked, how the
# kernel changes or tells of memory, what BPF may do and what its verifier takes. Each engine plays
# what its own code can get wrong. What only user space decides is tested on the host alone. The
# oldest kernel plays single calls and random sequences, others mostly the latter.
set -u

cd "$(dirname "$0")/../../build" || exit 1
case $(uname -r) in
6.1.*) # without PAGEMAP_SCAN
	is_oldest=yes
	can_arm=
	ways=soft
	housekeeping_ways=soft # of the kernel, below: each machine plays its own
	;;
*)
	is_oldest=
	can_arm=yes
	ways='scan faults soft' # the first is the tracer's own choice for little memory
	housekeeping_ways='scan faults'
	;;
esac
export TRACER_TIMEOUT_MS=1000000 # testcase/limit.h
number=0
expected=0

# now_ms: since the machine was started
now_ms()
{
	sed 's/^\([0-9]*\)\.\([0-9]*\) .*/\1\20/' /proc/uptime
}

# run NAME COMMAND...: one test, which must end with the status $expected
run()
{
	name=$1
	shift
	number=$((number + 1))
	start=$(now_ms)
	output=$(timeout 1000 "$@" 2>&1)
	status=$?
	time="in $(($(now_ms) - start))ms"
	if [ "$status" -eq "$expected" ]; then
		echo "ok $number - $name $time"
	elif [ "$status" -eq 77 ]; then
		echo "ok $number - $name $time # SKIP $(echo "$output" | grep -v '^seed' | head -n 1)"
	else
		echo "not ok $number - $name: status $status $time"
		echo "$output" | tail -n 20 | sed 's/^/# /'
	fi
}

# play NAME TRACER-OPTIONS... -- PROGRAM...: the same under the tracer
play()
{
	name=$1
	shift
	run "$name" ./tracer -q -o /tmp/report.csv "$@"
}

# the protocol: each call that makes a request or polls
play 'fopen and access' -- e2e/foreign -c 2 -r 3
play 'openat2 and faccessat2' -- e2e/foreign -o openat2 -p faccessat2

# the test program, whose cases are the kinds of memory
play 'slab: all cases' -e slab -- ./testcase --case all -n 10 -t 0
play 'chunk: all cases' -e chunk -- ./testcase --case all -n 10 -t 0
# the most pages in a poll, as the verifier takes them
play 'page: all cases' -e page --pages-per-poll 1024 -- ./testcase --case all -n 13 -t 0 --seed 2300
if [ -n "$is_oldest" ]; then
	play 'restore with process_vm' --restore-path process_vm -- ./testcase --case all -n 10 -t 0
	play 'restore everything' --restore all -- ./testcase --case all -n 10 -t 0
fi

# what becomes of a mapping; a tracer takes seconds to start here, so one plays as many as it can
if [ -e /proc/sys/vm/nr_hugepages ]; then
	echo 23 >/proc/sys/vm/nr_hugepages
fi
# without_large PROGRAM: its scenes, but for those that take the engine minutes here
without_large()
{
	e2e/"$1" list | grep -v -e large -e huge -e churned
}

for program in ranges kinds; do
	# shellcheck disable=SC2046 # words
	play "slab: $program" -e slab -- e2e/$program $(e2e/$program list)
	# shellcheck disable=SC2046 # words
	[ -z "$is_oldest" ] ||
		play "chunk: $program" -e chunk -- e2e/$program $(without_large $program)
done

# which pages were written
run 'the list of faults' unit/fault_list_test
run 'the list of faults: signs' unit/fault_list_signs_test
[ -z "$can_arm" ] || run 'the list of faults: random calls' unit/fault_list_fuzz_test

# children, threads and signals
scenes='fork child-asks run-other threads thread-churn signals behind'
# shellcheck disable=SC2086 # words
play "process $scenes" -- e2e/process $scenes
expected=125 # one operation is refused
play 'process user-faults' -- e2e/process user-faults
expected=0

# work ENGINE PROGRAM CASE...: what programs do with their memory, testcase/workloads
work()
{
	engine=$1 program=$2 more=
	shift 2
	[ "$engine" != page ] || more='--pages-per-poll 64'
	# shellcheck disable=SC2086 # words
	play "$engine: $program $*" -e "$engine" $more --max-chunks 1000000 -- \
		"workloads/$program" "$@"
}

advice='discarded discarded-before removed free-to-take locked transparent-huge swapped'
access='read-only no-access later locked-away locked-away-often'
place='grown shrunk moved left-behind unmapped replaced failing-calls brk grows-down'
if [ -n "$is_oldest" ]; then
	# shellcheck disable=SC2086 # words
	work slab advice $advice
	# shellcheck disable=SC2086 # words
	work slab change $access $place
	work slab advice huge
	work slab share copied-on-write not-copied shared shared-untouched
	work slab threads instant mapper ending forking arenas
	work slab size one-page zeros
fi
work slab fuzz steps # all these, and more
work chunk fuzz few-steps
[ -z "$is_oldest" ] || work page fuzz few-steps
for way in ${ways#"${ways%% *}"}; do # the first has been played
	play "slab, $way: fuzz steps" -e slab --dirty "$way" -- workloads/fuzz steps
done
play 'slab: write' -e slab -- workloads/write store read beside-child discard free protect \
	signal-frame process-vm-writev proc-mem debugger registered

# what the kernel does with pages by itself, told to be quick
khugepaged=/sys/kernel/mm/transparent_hugepage/khugepaged ksm=/sys/kernel/mm/ksm
echo 1 >$khugepaged/scan_sleep_millisecs
echo 1 >$ksm/sleep_millisecs
echo 5000 >$ksm/pages_to_scan
[ ! -e $ksm/smart_scan ] || echo 0 >$ksm/smart_scan # it skips pages for some rounds
swapped='swapped-dirty swapped-before swapped-and-back swapped-shared swapped-huge'
for way in $housekeeping_ways; do
	# shellcheck disable=SC2086 # words
	play "slab, $way: housekeeping $swapped gathered gathered-later" -e slab --dirty "$way" -- \
		workloads/housekeeping $swapped gathered gathered-later
	echo 1 >$ksm/run
	play "slab, $way: housekeeping merged" -e slab --dirty "$way" -- workloads/housekeeping merged
	echo 0 >$ksm/run
done
[ -z "$is_oldest" ] || play 'page: housekeeping, 64 pages in a poll' -e page \
	--pages-per-poll 64 -- workloads/housekeeping swapped-dirty gathered-later
echo 60000 >$khugepaged/scan_sleep_millisecs

# a checkpoint fails after its copy, and the one before it is restored
expected=125
run 'slab: kept few-pages' env TRACER_FAULT=replaced:fail ./tracer -q -o /tmp/report.csv \
	-e slab -- workloads/kept few-pages
run 'slab, scan: kept few-changed' env TRACER_FAULT=replaced:fail ./tracer -q \
	-o /tmp/report.csv -e slab --dirty scan -- workloads/kept few-changed
expected=0

play 'slab: 8 GiB, five pages of it' -e slab -- workloads/size 8-gib
# without PAGEMAP_SCAN, 20 TiB take minutes on an emulated machine
[ -z "$can_arm" ] || play 'slab: AddressSanitizer, 20 TiB' -e slab -- workloads/asan

# a process that is attached; from /tmp, for mappings of files of the host have other numbers
cp e2e/attached /tmp
run 'attached: rollbacks by the list of faults' e2e/rollback /tmp/attached small
run 'attached: rollbacks by a scan' e2e/rollback /tmp/attached scan
run 'attached: faults at every step' e2e/rollback /tmp/attached faults

# what is written to a file, and comes back as another process
exec ../testcase/ckpt/vm_scenes.sh $((number + 1))
