#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reboot.tap.sh [KERNEL...]: an image outlives the machine (default: 6.1 and 6.12). In one life of a
# machine it is taken, in the next one the process is brought back, in TAP. The machines run at the same
# time. A kernel that cannot be fetched is skipped, with the reason.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(cd "$here/../.." && pwd -P)
build=${TRACER_BUILD:-$tree/build}
mkdir -p "$build"
# shellcheck source=testcase/vm/machines.sh
. "$here/machines.sh" "$build/vm-reboot.XXXXXX" # in the tree, which machines see

# live KERNEL ARG...: one life of a machine
live()
{
	local kernel=$1

	shift
	"$here/run.sh" --kernel "$kernel" --timeout 200 --results "$scratch/$kernel" -- \
		testcase/ckpt/reboot.sh "$@"
}

# play KERNEL: both lives; what they said, and the status, are left in files
play()
{
	local kernel=$1 status=0

	{
		live "$kernel" save results/reboot/image &&
			live "$kernel" restart "$scratch/$kernel/reboot/image"
	} >"$scratch/$kernel.out" 2>&1 || status=$?
	echo "$status" >"$scratch/$kernel.status"
}

kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
for kernel in "${kernels[@]}"; do
	if "$here/fetch.sh" "$kernel" >/dev/null 2>"$scratch/$kernel.err"; then
		play "$kernel" &
		pids+=($!)
	fi
done
wait
number=0
for kernel in "${kernels[@]}"; do
	number=$((number + 1))
	name="$kernel: an image is brought back after a reboot"
	if [ ! -e "$scratch/$kernel.status" ]; then
		echo "ok $number - $name # SKIP the kernel cannot be fetched:" \
			"$(tail -n 1 "$scratch/$kernel.err")"
	elif [ "$(cat "$scratch/$kernel.status")" -eq 0 ] &&
		grep -q '^ok$' "$scratch/$kernel.out"; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		sed 's/^/# /' "$scratch/$kernel.out"
	fi
done
echo "1..$number"
