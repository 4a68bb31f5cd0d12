#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reboot.sh save IMAGE: takes images of two programs, and ends them: IMAGE.threads of one with nine
# threads, IMAGE.clocks of one that waits for moments of the clocks.
# reboot.sh restart IMAGE: brings them back, in another life of the machine, to their right ends.
# Exit status 0 if all was well.
set -u

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd -P)
build=${TRACER_BUILD:-$here/../../build}
build=$(cd "$build" && pwd -P)
image=$(realpath -m "$2")
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null' EXIT
# The folder where the program runs is in its image, and must be there later.
dir=/tmp/tracer-reboot
mkdir -p "$dir"
cd "$dir" || exit 2
# shellcheck source=testcase/wait.bash
. "$here/../wait.bash"

# shellcheck disable=SC2317,SC2329 # called by wait_until
is_hopeless()
{
	has_ended "$pid"
}

# save SCENE
save()
{
	rm -f alive
	env LD_PRELOAD="$build/libckpt.so" CKPT_FILE="$image.$1" "$build/ckpt/work" "$1" \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	wait_until 'it to go on' test -L alive || exit
	kill -USR2 "$pid"
	wait_until 'an image' test -e "$image.$1" || exit
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	pid=
}

# The clocks are saved last and brought back first: so they are behind then, as after any reboot
# of a machine that had run longer.
case $1 in
save)
	mkdir -p "${image%/*}"
	save threads
	save clocks
	;;
restart)
	: >finish
	timeout "$LIMIT_SECONDS" "$build/restart" -v "$image.clocks" </dev/null || exit
	timeout "$LIMIT_SECONDS" "$build/restart" "$image.threads" </dev/null
	;;
*)
	exit 2
	;;
esac
