#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vm_scenes.sh [NUMBER]: programs that are killed and brought back, as far as another kernel may
# make a difference to them, in TAP. In a VM, where bats is slow, ../vm/scenes.sh ends with them:
# NUMBER is that of the first test, and the plan is that of both.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
work=$here/../../build/ckpt/work
number=${1:-1}

# play NAME COMMAND...: one test
play()
{
	local name=$1 output result=ok start=${EPOCHREALTIME/./}

	shift
	output=$(timeout 1000 "$@" 2>&1) || result='not ok'
	printf '%s %d - ckpt: %s in %dms\n' "$result" "$number" "$name" \
		$(((${EPOCHREALTIME/./} - start) / 1000))
	[ "$result" = ok ] || printf '# %s\n' "${output//$'\n'/$'\n'# }"
	number=$((number + 1))
}

# scene NAME SCENE-ARG...
scene()
{
	local name=$1

	shift
	play "$name" "$here/scene.sh" "$@"
}

names='tls avx brk files signals mappings sleep read threads clocks settings attributes timers helper
	views objects prctl policies sealed core-filter'
if [ "${TRACER_VM:-}" = 6.12 ]; then # the host and 6.1 play the others
	names='brk mappings read threads objects policies'
fi
for name in $names; do
	scene "$name" "$work" "$name"
done
cd /tmp && : >finish
if "$work" keys | grep -q ready; then
	scene 'keys' "$work" keys
	scene 'keys, increments' -o CKPT_INCREMENTAL=1 "$work" keys
else
	echo "ok $number - ckpt: keys # SKIP the processor has no protection keys"
	number=$((number + 1))
fi
rm -f finish
scene 'increments, threads' -o CKPT_INCREMENTAL=1 "$work" threads
scene 'a child writes' -o CKPT_FORK=1 "$work" threads
RESTART_OPTIONS=--same-pid scene 'the same pid' "$work" threads
scene 'increments, memory that is resized' -o CKPT_INCREMENTAL=1 "$work" resize
play 'increments of all changes' "$here/changes.sh" changes 2
play 'increments of scattered changes' "$here/changes.sh" scattered 20
echo "1..$((number - 1))"
