#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# compare.sh [RUNS [TARGET...]]: plays RUNS (10,007) inputs with each target of build.sh, with fork
# alone and with librollback-forkserver.so, and compares the exit statuses and the coverage maps.
# Then afl-showmap does the same with the same inputs. Emits TAP.
set -uo pipefail

# shellcheck source=testcase/fuzz-targets/targets.sh
. "$(dirname "$0")/targets.sh"
runs=${1:-10007}
shift
[ $# -gt 0 ] || set -- cjson thumbnail djpeg xmllint state
export STATE_MIB=1

work=$(mktemp -d "${TMPDIR:-/tmp}/forkserver-compare.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# result STATUS NAME: a line of TAP
result()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=1
	fi
}

# drive OUTPUT [OPTION...]: all inputs with $target
drive()
{
	local output=$1

	shift
	command_of "$target" "$work/input"
	timeout 3000 "$build/forkserver/driver" -n "$runs" -i "$seeds" "$@" \
		-f "$work/input" -- "${command[@]}" >"$output" 2>"$output.err"
}

# show_maps FOLDER: afl-showmap's maps of all inputs. It writes its own files to where it is called.
# The name of the input has its process number. xmllint takes a round for each letter of a name, so
# afl-showmap has the same number each time, in a namespace of its own.
show_maps()
{
	command_of "$target" @@
	cd "$work" || return 1
	timeout 3000 unshare --map-root-user --pid --fork --mount-proc \
		afl-showmap -r -t 10000 -i "$work/inputs" -o "$1" -- "${command[@]}" >"$1.out" 2>&1
	[ -n "$(ls -A "$1")" ]
}

same_statuses()
{
	drive "$work/forks" -w "$work/inputs" && DRIVER_PRELOAD=$library drive "$work/rollbacks" &&
		[ "$(wc -l <"$work/forks")" -eq "$runs" ] && diff "$work/forks" "$work/rollbacks" >&2
}

same_maps()
{
	show_maps "$work/maps-fork" && AFL_PRELOAD=$library show_maps "$work/maps-rollback" &&
		diff -r "$work/maps-fork" "$work/maps-rollback" | head -n 46 >&2
}

echo "1..$((2 * $#))"
for target; do
	make_seeds "$target"
	rm -rf "$work"/{inputs,maps-*}
	mkdir "$work/inputs"
	same_statuses
	result $? "$target: $runs exit statuses and coverage maps are the same"
	grep -E '^rollback-forkserver:|children$' "$work/rollbacks.err" | sed 's/^/# /'
	echo "# $(cut -d ' ' -f 2,3 "$work/rollbacks" | sort | uniq -c | sort -rn | head -n 6 | xargs echo)"
	echo "# $(cut -d ' ' -f 5 "$work/rollbacks" | sort -u | wc -l) different maps"
	same_maps
	result $? "$target: so are the maps of afl-showmap"
done
exit "$failed"
