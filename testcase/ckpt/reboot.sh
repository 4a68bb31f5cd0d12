#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reboot.sh save IMAGE: takes an image of a program with nine threads, and ends it.
# reboot.sh restart IMAGE: brings it back, in another life of the machine, to its right end.
# Exit status 0 if all was well.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
image=$(realpath -m "$2")
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null' EXIT
# The folder where the program runs is in its image, and must be there later.
mkdir -p /tmp/tracer-reboot
cd /tmp/tracer-reboot || exit 2

# wait_for COMMAND...
wait_for()
{
	local tries=5000

	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "waited in vain for: $*"; exit 1; }
		sleep 0.02
	done
}

case $1 in
save)
	mkdir -p "${image%/*}"
	env LD_PRELOAD="$build/libckpt.so" CKPT_FILE="$image" "$build/ckpt/work" threads \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	wait_for test -L alive
	kill -USR2 "$pid"
	wait_for test -e "$image"
	;;
restart)
	: >finish
	timeout 100 "$build/restart" "$image" </dev/null
	;;
*)
	exit 2
	;;
esac
