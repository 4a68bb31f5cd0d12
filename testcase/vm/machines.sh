# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# machines.sh TEMPLATE: for suites that run several machines. Makes the folder $scratch. At the end,
# or when a signal ends the suite, the folder is removed and the process groups in pids are killed.
# The suite must wait with `wait`, where bash runs a trap at once.

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

# has_kernel KERNEL: fetches it; false if that fails
has_kernel()
{
	"$(dirname "${BASH_SOURCE[0]}")/fetch.sh" "$1" >/dev/null 2>"$scratch/$1.fetch"
}

# why_not KERNEL: prints why it could not be fetched
why_not()
{
	echo "the kernel cannot be fetched: $(tail -n 1 "$scratch/$1.fetch")"
}

# play_each NAME COMMAND KERNEL...: runs `COMMAND KERNEL` for all kernels at the same time, in TAP.
# A test passes if COMMAND succeeds and prints a line "ok".
play_each()
{
	local name=$1 command=$2 kernel number=0

	shift 2
	for kernel in "$@"; do
		has_kernel "$kernel" || continue
		{
			"$command" "$kernel" && echo 0 >"$scratch/$kernel.status"
		} >"$scratch/$kernel.out" 2>&1 </dev/null &
		pids+=($!)
	done
	wait
	for kernel in "$@"; do
		number=$((number + 1))
		if [ -e "$scratch/$kernel.status" ] && grep -q '^ok$' "$scratch/$kernel.out"; then
			echo "ok $number - $kernel: $name"
		elif [ -e "$scratch/$kernel.out" ]; then
			echo "not ok $number - $kernel: $name"
			sed 's/^/# /' "$scratch/$kernel.out"
		else
			echo "ok $number - $kernel: $name # SKIP $(why_not "$kernel")"
		fi
	done
	echo "1..$number"
}
