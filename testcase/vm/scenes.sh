#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# scenes.sh: runs inside a VM, where a fork takes 30 ms and bats would take half an hour: the
# self-checking programs of the end-to-end suites and the workloads, each under the tracer, in TAP. A
# test is ok when program and tracer end with 0 (77: the program says why it cannot be played here).
set -u

cd "$(dirname "$0")/../../build" || exit 1
export TRACER_TIMEOUT_MS=60000
number=0

expected=0

# play NAME TRACER-OPTIONS... -- PROGRAM...: one test, which must end with the status $expected
play()
{
	name=$1
	shift
	number=$((number + 1))
	output=$(timeout 200 ./tracer -q -o /tmp/report.csv "$@" 2>&1)
	status=$?
	if [ "$status" -eq "$expected" ]; then
		echo "ok $number - $name"
	elif [ "$status" -eq 77 ]; then
		echo "ok $number - $name # SKIP $(echo "$output" | grep -v '^seed' | head -n 1)"
	else
		echo "not ok $number - $name: status $status"
		echo "$output" | tail -n 20 | sed 's/^/# /'
	fi
}

for engine in slab chunk; do
	play "$engine: all cases" -e $engine -- ./testcase --case all -n 10 -t 0
	play "$engine: all cases, 128 KiB" -e $engine -- ./testcase --case all -n 15 -t 0 --seed 2300
	play "$engine: fopen and a spin, several restores" -e $engine -- e2e/foreign -c 2 -r 3
	play "$engine: brk" -e $engine -- e2e/foreign -m brk
	play "$engine: shared" -e $engine -- e2e/foreign -m shared
	play "$engine: a static program" -e $engine -- e2e/foreign-static -r 3
	play "$engine: openat2 and faccessat2" -e $engine -- e2e/foreign -o openat2 -p faccessat2
done
# BCC's compiler takes 5 seconds here, so the page engine plays what has many scenes in one program
play 'page: all cases' -e page -- ./testcase --case all -n 10 -t 0
play 'page: all cases, 128 KiB, 16 pages in a poll' -e page --pages-per-poll 16 -- \
	./testcase --case all -n 15 -t 0 --seed 2300
play 'page: the most pages in a poll' -e page --pages-per-poll 1024 -- \
	./testcase --case anon -n 15 -t 0
play 'page: restore with process_vm' -e page --restore-path process_vm -- \
	./testcase --case all -n 10 -t 0
play 'page: openat2 and faccessat2' -e page -- e2e/foreign -o openat2 -p faccessat2 -c 2 -r 3
play 'restore with process_vm' --restore-path process_vm -- ./testcase --case all -n 10 -t 0
play 'restore everything' --restore all -- ./testcase --case all -n 10 -t 0
play 'save' --save /tmp/image.gz -- ./testcase --case many -n 10 -t 0
number=$((number + 1))
if ./readckpt /tmp/image.gz >/tmp/table 2>&1 && grep -q 'Checksums all right' /tmp/table; then
	echo "ok $number - readckpt reads it"
else
	echo "not ok $number - readckpt reads it"
	sed 's/^/# /' /tmp/table
fi
if [ -e /proc/sys/vm/nr_hugepages ]; then
	echo 23 >/proc/sys/vm/nr_hugepages
fi
# a tracer takes seconds to start and to end here, so one plays as many scenes as it can
for program in ranges kinds; do
	scenes=$(e2e/$program list)
	for engine in slab chunk; do
		# shellcheck disable=SC2086 # words
		play "$engine: $program" -e $engine -- e2e/$program $scenes
	done
	# shellcheck disable=SC2046 # words
	play "page: $program, 64 pages in a poll" -e page --pages-per-poll 64 -- \
		e2e/$program $(e2e/$program list | grep -v -e large -e huge -e churned)
done
for scene in $(e2e/process list); do
	[ "$scene" != mapping-signals ] || continue # ends with 0 or 125
	[ "$scene" != user-faults ] || expected=125 # one operation is refused
	play "process $scene" -- e2e/process "$scene"
	expected=0
done

# what programs do with their memory: testcase/workloads
for engine in slab chunk; do
	work()
	{
		name="$engine: $*" program=$1
		shift
		play "$name" -e "$engine" --max-chunks 1000000 -- "workloads/$program" "$@"
	}
	work advice discarded discarded-before removed free-to-take locked transparent-huge \
		swapped huge
	work advice guarded
	work change read-only no-access later locked-away locked-away-often grown shrunk moved \
		unmapped replaced failing-calls brk grows-down
	work share copied-on-write not-copied shared shared-untouched
	work threads instant mapper ending arenas
	work size one-page zeros fewer fewer-touching
	work churn few
	work fuzz steps
done
engine=page
work advice discarded discarded-before removed free-to-take locked transparent-huge swapped
work change read-only no-access later locked-away locked-away-often grown shrunk moved \
	unmapped replaced failing-calls brk grows-down
work share copied-on-write not-copied shared shared-untouched
work size one-page
work fuzz steps
play 'page: threads, 64 pages in a poll' -e page --pages-per-poll 64 -- \
	workloads/threads instant mapper ending arenas
play 'slab: 8 GiB, five pages of it' -e slab -- workloads/size 8-gib
case $(uname -r) in
6.1.*) ;; # without PAGEMAP_SCAN, 20 TiB take minutes on an emulated machine
*)
	play 'slab: 2 TiB, five pages of it' -e slab -- workloads/size 2-tib
	play 'slab: AddressSanitizer' -e slab -- workloads/asan
	;;
esac

# roll_back ENGINE NAME PROGRAM...: a program that knows nothing of it goes back three times
roll_back()
{
	engine=$1 name=$2
	shift 2
	if ! command -v "$1" >/dev/null; then
		number=$((number + 1))
		echo "ok $number - $engine: $name # SKIP there is no $1"
		return
	fi
	play "$engine: $name" -e "$engine" --regions mmap,heap,bss,data,stack -- env ROLLBACKS=3 \
		GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967295 \
		PYTHONMALLOC=malloc LD_PRELOAD="$PWD/workloads/rollback.so" "$@"
}

programs=../testcase/workloads
for engine in slab chunk; do
	roll_back "$engine" python3 /usr/bin/python3 -I $programs/rollback.py
	roll_back "$engine" SQLite /usr/bin/python3 -I $programs/rollback_sqlite.py
	roll_back "$engine" perl perl $programs/rollback.pl
done

# What is written to a file, and comes back as another process.
../testcase/ckpt/vm_scenes.sh $((number + 1)) >/tmp/ckpt.tap
cat /tmp/ckpt.tap
echo "1..$((number + $(grep -c -E '^(not )?ok ' /tmp/ckpt.tap)))"
