#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench_ckpt.sh [-m MIB] [-r ROUNDS]: measures libckpt and restart beside others, in turns in one
# run: an image on tmpfs beside cp of the same bytes; the pause with CKPT_FORK beside a bare fork();
# an increment after 1 % of the pages were written beside a full image; restart beside the restores
# of criu and memcr, where they are installed and work.
# Prints a table: median, least and most of the rounds, and the ratio of the medians.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
mib=256
rounds=7
while getopts m:r: option; do
	case $option in
	m) mib=$OPTARG ;;
	r) rounds=$OPTARG ;;
	*) echo "usage: $0 [-m MIB] [-r ROUNDS]" >&2; exit 2 ;;
	esac
done
# for peers.sh
# shellcheck disable=SC2034
bench=$build/bench with_peers=1 MiB=$((1 << 20)) GiB=$((1 << 30))
# shellcheck source=testcase/bench/peers.sh
. "$here/peers.sh"
work=$(mktemp -d -p /dev/shm tracer-bench-ckpt.XXXXXX)
clean_up_at_exit
mkdir "$work/run"
cd "$work/run"
samples=$work/samples
: >"$samples"

# measure [NAME=VALUE...] -- MODE [ROUNDS]: appends to the samples
measure()
{
	local variables=()

	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	env LD_PRELOAD="$build/libckpt.so" CKPT_FILE="$work/run/image" "${variables[@]}" \
		"$build/bench/bench_ckpt" "$2" "$mib" "${3:-1}" | cat >>"$samples"
}

clear()
{
	rm -rf "$work/run"
	mkdir "$work/run"
	cd "$work/run"
}

# stats WHAT: prints median, least and most
stats()
{
	awk -v what="$1" '$1 == what { print $2 }' "$samples" | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) printf "%.0f %.0f %.0f", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

# row WHAT UNIT-DIVISOR UNIT
row()
{
	local median least most

	read -r median least most <<<"$(stats "$1")" || true
	[ -n "${median:-}" ] || return 0
	awk -v what="$1" -v m="$median" -v l="$least" -v h="$most" -v d="$2" -v u="$3" \
		'BEGIN { printf "  %-18s %10.2f  (%.2f to %.2f) %s\n", what, m / d, l / d, h / d, u }'
}

# ratio TEXT WHAT OVER
ratio()
{
	local a b rest

	read -r a rest <<<"$(stats "$2")" || true
	read -r b rest <<<"$(stats "$3")" || true
	[ -n "${a:-}" ] && [ -n "${b:-}" ] || return 0
	awk -v text="$1" -v a="$a" -v b="$b" 'BEGIN { printf "  %s: %.2f\n", text, a / b }'
}

# restart_once: the time from the start of restart until the process runs
restart_once()
{
	local start at

	start=$(date +%s%N)
	at=$("$build/restart" "$work/run/image" </dev/null | sed -n 's/^at_ns //p')
	echo "restart_ns $((at - start))" >>"$samples"
}

# compare_peers: the restores of a process with as many bytes
compare_peers()
{
	local peer

	for peer in "${peers[@]}"; do
		start_peer "$((mib << 20))"
		"measure_$peer" "$work/peers" "$((mib << 20))"
		check_peer "$peer"
	done
}

say()
{
	echo "bench_ckpt.sh: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

echo "$mib MiB, $rounds rounds, $(uname -r), $(nproc) processors"
measure -- write "$rounds"
clear
measure CKPT_FORK=1 -- fork "$rounds"
for ((i = 0; i < rounds; i++)); do
	clear
	measure CKPT_INCREMENTAL=1 -- increment
done
clear
measure -- restart
touch restarted
find_peers
: >"$work/peers"
for ((i = 0; i < rounds; i++)); do
	restart_once
	compare_peers
done
awk -F, '$1 ~ /_restore$/ { print $1 "_ns", $6 }' "$work/peers" >>"$samples"

echo 'an image on tmpfs, and cp of it (goal: at least 0.5 of the rate of cp)'
row write_ns 1e6 ms
row cp_ns 1e6 ms
ratio 'rate of libckpt to that of cp' cp_ns write_ns
echo 'the pause with CKPT_FORK, and a bare fork() (goal: less than 3 times)'
row pause_ns 1e6 ms
row fork_ns 1e6 ms
ratio 'pause to fork' pause_ns fork_ns
echo 'an increment, 1 % of the pages written (goal: 20 times smaller, 5 times faster)'
row full_ns 1e6 ms
row increment_ns 1e6 ms
row full_bytes 1048576 MiB
row increment_bytes 1048576 MiB
ratio 'times faster' full_ns increment_ns
ratio 'times smaller' full_bytes increment_bytes
echo 'from the start of restart until the process runs'
row restart_ns 1e6 ms
for peer in "${peers[@]}"; do
	row "${peer}_restore_ns" 1e6 ms
	ratio "$peer to restart" "${peer}_restore_ns" restart_ns
done
