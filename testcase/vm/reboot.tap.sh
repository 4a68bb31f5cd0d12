#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reboot.tap.sh [KERNEL...]: an image is taken, the machine is started anew, and the process is
# brought back (default: 6.1 and 6.12), in TAP. The machines run at the same time. A kernel that
# cannot be fetched is skipped, with the reason.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(cd "$here/../.." && pwd -P)
build=${TRACER_BUILD:-$tree/build}
mkdir -p "$build"
# shellcheck source=testcase/vm/machines.sh
. "$here/machines.sh" "$build/vm-reboot.XXXXXX" # in the tree, which the machines see

# live KERNEL ARG...: from one start of a machine to its end
live()
{
	local kernel=$1

	shift
	"$here/run.sh" --kernel "$kernel" --results "$scratch/$kernel" -- \
		testcase/ckpt/reboot.sh "$@"
}

# both_lives KERNEL
both_lives()
{
	live "$1" save results/reboot/image && live "$1" restart "$scratch/$1/reboot/image"
}

kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
play_each 'an image is brought back after a reboot' both_lives "${kernels[@]}"
