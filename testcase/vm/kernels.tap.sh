#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kernels.tap.sh [KERNEL...]: scenes.sh on other kernels (default: 6.1 and 6.12), in TAP. The
# machines run at the same time. One after the other, the second would run alone for minutes after
# all other suites. A kernel that cannot be fetched is skipped, with the reason; a machine that dies
# is a failure.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=testcase/vm/machines.sh
. "$here/machines.sh" "${TMPDIR:-/tmp}/tracer-vm-kernels.XXXXXX"

# run KERNEL: with the kernel in front of each name
run()
{
	local kernel=$1 status=0 count

	"$here/run.sh" --kernel "$kernel" --memory 1536 --swap 256 -- \
		testcase/vm/scenes.sh 2>"$scratch/$kernel.err" |
		sed -u -E "s/^((not )?ok [0-9]+ - )/\1$kernel: /" || status=$?
	if [ "$status" -ne 0 ]; then
		sed 's/^/# /' "$scratch/$kernel.err"
		count=$(grep -c -E '^(not )?ok ' "$scratch/$kernel.tap" || true)
		printf 'not ok - %s: the machine, status %s\n' "$kernel" "$status"
		grep -q '^1\.\.' "$scratch/$kernel.tap" || printf '1..%d\n' $((count + 1))
	fi
}

kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
running=()
for kernel in "${kernels[@]}"; do
	if ! has_kernel "$kernel"; then
		printf 'ok - %s # SKIP %s\n1..1\n' "$kernel" "$(why_not "$kernel")"
		continue
	fi
	: >"$scratch/$kernel.tap"
	run "$kernel" >>"$scratch/$kernel.tap" </dev/null &
	pids+=($!)
	running+=("$kernel")
done
for i in "${!running[@]}"; do
	tail -n +1 -f --pid "${pids[i]}" "$scratch/${running[i]}.tap" &
	wait $!
done
