#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# scenes.sh: runs inside a VM, where a fork takes 30 ms and bats would take half an hour: the
# self-checking programs of the end-to-end suites, each under the tracer, in TAP. A test is ok when
# program and tracer end with 0 (77: the program says why it cannot be played here).
set -u

cd "$(dirname "$0")/../../build" || exit 1
export TRACER_TIMEOUT_MS=60000
number=0

# play NAME TRACER-OPTIONS... -- PROGRAM...: one test
play()
{
	name=$1
	shift
	number=$((number + 1))
	output=$(timeout 100 ./tracer -q -o /tmp/report.csv "$@" 2>&1)
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $number - $name"
	elif [ "$status" -eq 77 ]; then
		echo "ok $number - $name # SKIP $(echo "$output" | head -n 1)"
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
play 'restore with process_vm' --restore-path process_vm -- ./testcase --case all -n 10 -t 0
play 'restore everything' --restore all -- ./testcase --case all -n 10 -t 0
for program in ranges process; do
	for scene in $(e2e/$program list); do
		play "$program $scene" -- e2e/$program "$scene"
	done
done
for scene in unmapped replaced moved grown read-only no-access discarded untouched; do
	play "chunk: ranges $scene" -e chunk -- e2e/ranges $scene
done
echo "1..$number"
