#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench_attach.sh [ROUNDS]: measures rollbacks of attached processes (bench_attach.c), then a
# checkpoint with the way back of a sleeping process by tracer ctl, criu and memcr, where these are
# installed and work. The whole command is timed each time. Prints tables and goals.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
# for peers.sh
# shellcheck disable=SC2034
bench=$build/bench with_peers=1 MiB=$((1 << 20)) GiB=$((1 << 30))
# shellcheck source=testcase/bench/peers.sh
. "$here/peers.sh"
work=$(mktemp -d -p /dev/shm tracer-bench-attach.XXXXXX)
clean_up_at_exit

say()
{
	echo "bench_attach.sh: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# measure_tracer SAMPLES BYTES: as those of peers.sh do
measure_tracer()
{
	local samples=$1 bytes=$2 socket=$work/tracer.sock ctl tracer

	ctl=("$build/tracer" ctl "$peer_pid" --control-socket "$socket")
	"$build/tracer" --quiet -p "$peer_pid" --control-socket "$socket" </dev/null &
	tracer=$!
	started+=("$tracer")
	"${ctl[@]}" status >/dev/null
	timed "$work/ctl.log" "${ctl[@]}" checkpoint
	printf 'tracer_checkpoint,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	timed "$work/ctl.log" "${ctl[@]}" rollback
	printf 'tracer_rollback,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	"${ctl[@]}" detach >/dev/null
	wait "$tracer"
	started=("$peer_pid")
}

"$build/bench/bench_attach" "$build/tracer" "$@"
find_peers
for bytes in "$MiB" "$((256 * MiB))"; do
	for ((i = 0; i < 3; i++)); do
		for tool in tracer "${peers[@]}"; do
			start_peer "$bytes"
			"measure_$tool" "$work/samples" "$bytes"
			check_peer "$tool"
		done
	done
done
echo 'a checkpoint and the way back, whole commands (goal: criu and memcr at least 10 times slower)'
awk -F, '{
	split($1, op, "_")
	sum[$4 FS op[1]] += $6 / 3
	if (!(op[1] in tools)) { tools[op[1]] = ++count; tool[count] = op[1] }
	if (!($4 in sizes)) { sizes[$4] = ++rows; size[rows] = $4 }
}
END {
	for (i = 1; i <= rows; i++)
		for (j = 1; j <= count; j++)
			printf "  %4d MiB  %-7s %9.2f ms %7.1f times that of tracer\n",
				size[i] / 1048576, tool[j], sum[size[i] FS tool[j]] / 1e6,
				sum[size[i] FS tool[j]] / sum[size[i] FS "tracer"]
}' "$work/samples"
