#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench_ckpt.sh [-m MIB] [-r ROUNDS]: measures libckpt and restart, in one run, what is compared in
# turns: an image on tmpfs beside cp of the same bytes; the pause with CKPT_FORK beside a bare fork(); an
# increment after 1 % of the pages were written beside a full image; restart beside criu restore.
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
work=$(mktemp -d -p /dev/shm tracer-bench-ckpt.XXXXXX)
trap 'rm -rf "$work"' EXIT
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

# restart_once: how long from the start of restart until the process runs
restart_once()
{
	local start at

	start=$(date +%s%N)
	at=$("$build/restart" "$work/run/image" </dev/null | sed -n 's/^at_ns //p')
	echo "restart_ns $((at - start))" >>"$samples"
}

# criu_once: the same for a process of that size that criu has dumped
criu_once()
{
	local pid start

	rm -rf "$work/criu"
	mkdir "$work/criu"
	rm -f "$work/ready" "$work/right"
	setsid "$build/bench/bench_peer" "$((mib << 20))" "$work/ready" "$work/right" \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	until [ -e "$work/ready" ]; do sleep 0.05; done
	criu dump -t "$pid" -D "$work/criu" >"$work/criu.log" 2>&1 || return 1
	wait "$pid" 2>/dev/null || true
	start=$(date +%s%N)
	criu restore -d -D "$work/criu" >"$work/criu.log" 2>&1 || return 1
	echo "criu_restore_ns $(($(date +%s%N) - start))" >>"$samples"
	kill -USR1 "$pid" # it looks whether its memory is right, and ends
	until [ -e "$work/right" ]; do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	[ -e "$work/right" ]
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
peer=
if command -v criu >/dev/null && [ -x "$build/bench/bench_peer" ] && criu check >/dev/null 2>&1; then
	peer=1
fi
for ((i = 0; i < rounds; i++)); do
	restart_once
	if [ -n "$peer" ] && ! criu_once; then
		tail -n 3 "$work/criu.log" >&2
		peer=
	fi
done

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
row criu_restore_ns 1e6 ms
ratio 'criu to restart' criu_restore_ns restart_ns
[ -n "$peer" ] || echo '  criu is not compared: it is not installed, or does not work here'
