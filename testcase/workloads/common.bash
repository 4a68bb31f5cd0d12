# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # csv, out, status: of ../e2e/common.bash
#
# Helpers of the workload suites, beside those of the end-to-end tests. Every workload runs once
# with each engine of TRACER_ENGINES, in one process that plays all its cases: an emulated machine
# takes seconds to start a tracer.

load ../e2e/common

WORKLOADS=$BUILD/workloads
ENGINES=${TRACER_ENGINES:-chunk slab page}
WAYS=${TRACER_WAYS:-compare scan faults soft}
way= # to find dirty pages; empty: the tracer's choice
options=()
page_options=() # with the page engine

# run_workload PROGRAM ARG...: once, with the engine $engine and the tracer's $options
run_workload()
{
	local program=$1 more=()

	shift
	rm -f "$csv"
	printf 'engine %s %s\n' "$engine" "$way"
	[ "$engine" != page ] || more=("${page_options[@]}")
	[ -z "$way" ] || more+=(--dirty "$way")
	trace -e "$engine" "${options[@]}" "${more[@]}" "$WORKLOADS/$program" "$@"
}

why_skipped()
{
	sed -n 's/.*: skipped: //p' "$out"
}

# has_way: did the kernel let the tracer find dirty pages in the way $way?
has_way()
{
	! grep -q 'writes of process .* cannot be tracked with --dirty' "$err"
}

# play_once PROGRAM CASE...: with $engine and $way, every case and every operation must be right
play_once()
{
	run_workload "$@"
	[ "$status" -ne 77 ] || skip "$(why_skipped)"
	expect_status 0
	[ "$(grep -c ': ok$' "$out")" -eq $(($# - 1)) ]
	expect_each status ok
	expect_each engine "$engine"
	expect_no_control_files
}

# play PROGRAM CASE...: with each engine
play()
{
	local engine way

	for engine in $ENGINES; do
		if [ "$engine" != slab ]; then
			way= play_once "$@"
			continue
		fi
		for way in $WAYS; do
			play_once "$@"
			has_way || continue
			[ "$way" = faults ] || grep -q ",$way,[0-9]*.\?$" "$csv"
		done
	done
}
