#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench.sh [SECONDS [TARGET...]]: executions a second of afl-fuzz -V SECONDS (10) for each target of
# build.sh: with fork alone, with librollback-forkserver.so, and in persistent mode where there is
# one. All with the same seeds, three times in turn. Prints medians, how many times faster it is
# than fork, and the lowest stability that afl-fuzz has seen.
set -euo pipefail

# shellcheck source=testcase/fuzz-targets/targets.sh
. "$(dirname "$0")/targets.sh"
seconds=${1:-10}
shift || true
[ $# -gt 0 ] || set -- cjson thumbnail djpeg xmllint state-1 state-16 state-64 asan-1 asan-16

work=$(mktemp -d "${TMPDIR:-/tmp}/forkserver-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

# stat NAME: of the last campaign
stat()
{
	sed -n "s/^$1 *: \([0-9.]*\).*/\1/p" "$work/out/default/fuzzer_stats"
}

# campaign TARGET WAY: appends a line to $work/TARGET-WAY
campaign()
{
	local preload=() program=$1

	[[ $1 != state-* ]] || program=state
	[[ $1 != asan-* ]] || program=state-asan
	[ "$2" != persistent ] || program=$program-persistent
	[ -x "$targets/$program" ] || return 0
	[ "$2" != rollback ] || preload=(AFL_PRELOAD="$library")
	command_of "$program" @@
	rm -rf "$work/out"
	env "${preload[@]}" STATE_MIB="${1#*-}" afl-fuzz -s 23 -V "$seconds" -i "$seeds" \
		-o "$work/out" -- "${command[@]}" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
	echo "$(stat execs_per_sec) $(stat stability)" >>"$work/$1-$2"
}

# median FILE, lowest FILE: of its lines
median()
{
	sort -n "$1" | awk '{ rate[NR] = $1 } END { print rate[int((NR + 1) / 2)] }'
}

lowest()
{
	sort -n -k 2 "$1" | awk 'NR == 1 { print $2 }'
}

printf '%-12s %10s %10s %10s %8s %10s\n' target fork rollback persistent times stability
for target; do
	make_seeds "$target"
	for _ in 1 2 3; do
		for way in fork rollback persistent; do
			campaign "$target" "$way"
		done
	done
	persistent=-
	[ ! -e "$work/$target-persistent" ] || persistent=$(median "$work/$target-persistent")
	fork=$(median "$work/$target-fork")
	rollback=$(median "$work/$target-rollback")
	printf '%-12s %10s %10s %10s %8s %9s%%\n' "$target" "$fork" "$rollback" "$persistent" \
		"$(awk "BEGIN { printf \"%.1f\", $rollback / $fork }")" \
		"$(lowest "$work/$target-rollback")"
done
