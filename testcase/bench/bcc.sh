#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bcc.sh [ROUNDS]: compares BCC with the CO-RE object: the time until the program runs, the memory
# of the tracer, and the speed, of the copy alone (inside BPF) and from the request to the answer,
# with all polls. Medians of ROUNDS (default 3) in a Markdown table. Run it as root, after `make`.
# Each round goes through all variants, so that a noisy minute hits all of them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD:-$here/../../build}
rounds=${1:-3}
[[ $rounds =~ ^[1-9][0-9]?$ ]] || {
	echo "bcc.sh: $rounds is not a number of rounds from 1 to 99" >&2
	exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/control"
variants=('slab' 'page --pages-per-poll 1' 'page --pages-per-poll 32' 'page --pages-per-poll 1024')
powers=(18 22) # of testcase: 1 MiB and 16 MiB

# trace VARIANT COMMAND...
trace()
{
	local words

	read -ra words <<<"$1"
	shift
	"$build/tracer" --control-dir "$work/control" -o "$work/report.csv" -e "${words[@]}" "$@"
}

# The time until a program runs under the tracer, and the memory of the tracer then and at most.
measure_start()
{
	local before now

	before=$(date +%s%N)
	# shellcheck disable=SC2016 # the inner shell expands
	trace "$1" --stats sh -c 'date +%s%N; sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$PPID/status"' \
		>"$work/start" 2>"$work/messages" || {
		cat "$work/messages" >&2
		return 1
	}
	{
		read -r now
		read -r resident
	} <"$work/start"
	echo "start $(((now - before) / 1000000))"
	echo "resident $((resident / 1024))"
	sed -n 's/.*peak resident memory of the tracer: \([0-9]*\) KiB/\1/p' "$work/messages" |
		awk '{ printf "peak %d\n", $1 / 1024 }'
}

# The rows of a run: microseconds of the copy inside BPF and of the whole, of each kind.
measure_speed()
{
	trace "$1" -q "$build/testcase" --case idle -n "$2" -t 1 >"$work/out" 2>"$work/messages"
	sed 's/"[^"]*"//' "$work/report.csv" | awk -F, -v power="$2" '
		NR > 1 { printf "%s-%s-copy %d\n%s-%s-all %d\n", $6, power, $15 / 1000, $6, power, $16 / 1000 }'
}

median()
{
	sed -n "s/^$2 //p" "$1" | sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

for ((round = 1; round <= rounds; round++)); do
	for variant in "${variants[@]}"; do
		{
			measure_start "$variant"
			for power in "${powers[@]}"; do
				measure_speed "$variant" "$power"
			done
		} >>"$work/${variant// /_}"
	done
done

printf 'Linux %s, %s processors, medians of %s rounds; times in us unless they say ms\n\n' \
	"$(uname -r)" "$(nproc)" "$rounds"
columns=(start resident peak)
titles='| engine | start, ms | resident, MiB | at most, MiB |'
for power in "${powers[@]}"; do
	size="$((4 << power >> 20)) MiB"
	for op in checkpoint restore; do
		columns+=("$op-$power-copy" "$op-$power-all")
		titles+=" $op $size, copy | in all |"
	done
done
echo "$titles"
echo "|---${columns[*]/#*/|---:}|" | tr -d ' '
for variant in "${variants[@]}"; do
	printf '| -e %s |' "$variant"
	for column in "${columns[@]}"; do
		printf ' %s |' "$(median "$work/${variant// /_}" "$column")"
	done
	echo
done
