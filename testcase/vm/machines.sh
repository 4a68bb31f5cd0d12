# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# machines.sh TEMPLATE: for suites that run several machines at the same time. Makes a folder, which is
# in scratch; at the end, or when somebody ends the suite, the processes in pids go, with those that
# they have started, and the folder. The suite must wait with `wait`: bash runs a trap at once only there.

set -m # each process in the background leads a group
scratch=$(mktemp -d "$1")
pids=()
# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup()
{
	local pid

	for pid in "${pids[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
