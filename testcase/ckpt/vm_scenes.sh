#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vm_scenes.sh: runs inside a VM, where bats is slow: the scenes that depend on the kernel, in TAP
# without a plan, which scenes.sh adds. The first argument is the number of the first test.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
work=$here/../../build/ckpt/work
number=${1:-1}
export SCENE_LIMIT=100

# play NAME SCENE-ARG...: one test
play()
{
	local name=$1

	shift
	try "$name" "$here/scene.sh" "$@"
}

# try NAME COMMAND...
try()
{
	local name=$1 output

	shift
	if output=$(timeout 200 "$@" 2>&1); then
		echo "ok $number - ckpt: $name"
	else
		echo "not ok $number - ckpt: $name"
		printf '# %s\n' "${output//$'\n'/$'\n'# }"
	fi
	number=$((number + 1))
}

for scene in count recursion tls avx brk files signals mappings sleep read threads cancel loader clocks; do
	play "$scene" "$work" "$scene"
done
play 'heap' "$work" heap 16
cd /tmp && : >finish
if "$work" keys | grep -q ready; then
	play 'keys' "$work" keys
	play 'keys, increments' -o CKPT_INCREMENTAL=1 "$work" keys
else
	echo "ok $number - ckpt: keys # SKIP the processor has no protection keys"
	number=$((number + 1))
fi
rm -f finish
play 'python3, computing' python3 "$here/compute.py"
play 'a program at a fixed address' "$work-no-pie" threads
play 'a static program' "$work-static" threads
play 'increments' -o CKPT_INCREMENTAL=1 "$work" heap 16
play 'increments, threads' -o CKPT_INCREMENTAL=1 "$work" threads
play 'a child writes' -o CKPT_FORK=1 "$work" threads
IMAGE_NAME=image.gz play 'compressed' "$work" threads
RESTART_OPTIONS=--same-pid play 'the same pid' "$work" threads
try 'increments of all changes' "$here/changes.sh" changes 2
try 'increments of scattered changes' "$here/changes.sh" scattered 20
