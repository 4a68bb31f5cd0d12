#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench_rollback.sh [-q]: measures librollback beside fork() and memcpy of the same process. Writes
# results/bench-rollback-TIME.csv and prints a table: the median of a round, its 99th percentile
# beside that, how often it fits into fork() with _exit(), and its share of memcpy of everything.
# -q: fewer sizes.
# bench_rollback.sh --publish FILE: draws such a CSV file, docs/plots/rollback-....svg.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
build=${BUILD:-build}
[[ $build == /* ]] || build=$root/$build
if [[ ${1:-} == --publish ]]; then
	exec gnuplot -c "$here/plots_rollback.gp" "$2" "$root/docs/plots/rollback"
fi
output=$root/results/bench-rollback-$(date -u +%Y%m%dT%H%M%SZ).csv

commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo -)
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1 | tr ',' ' ')
"$build/bench/bench_rollback" "$@" | awk -v OFS=, -v kernel="$(uname -r)" -v cpu="$cpu" \
	-v commit="$commit" 'NR == 1 { print "kernel,cpu,commit", $0; next }
	{ print kernel, cpu, commit, $0; fflush() }' | tee "$output" | awk -F, '
	NR == 1 {
		printf "%-10s %-9s %9s %6s %12s %6s %8s %10s\n", "op", "pages", "KiB", "dirty",
			"us", "p99/50", "fork/op", "op/memcpy"
		next
	}
	{
		printf "%-10s %-9s %9d %6d %12.2f %6.1f %8.1f %10.3f\n", $4, $5, $6 / 1024, $7,
			$9 / 1000, $12 / $9, $13, $14
		fflush()
	}'
echo "bench_rollback.sh: $output"
