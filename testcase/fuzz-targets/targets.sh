# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # used by those who read it
#
# The targets of build.sh: how they are called, and what their fuzzing begins with.

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${TRACER_BUILD:-$tree/build}
targets=$build/fuzz-targets
library=$build/librollback-forkserver.so
export AFL_QUIET=1 AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1
export AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1
# A file in memory for the input: on a disk, a new one for each run takes longer than most runs.
[ ! -w /dev/shm ] || export AFL_TMPDIR=/dev/shm

# command_of TARGET FILE: sets command, which plays the input in FILE
command_of()
{
	case ${1%%-*} in
	cjson) command=("$targets/$1" "$2" yes) ;;
	thumbnail) command=("$targets/$1" "$2" /dev/null) ;;
	djpeg) command=("$targets/$1" -outfile /dev/null "$2") ;;
	xmllint) command=("$targets/$1" --noout --nonet "$2") ;;
	state) command=("$targets/$1" "$2") ;;
	esac
}

# make_seeds TARGET: sets seeds, a folder with small inputs from the sources
make_seeds()
{
	local name=${1%%-*} sources=$targets/sources

	seeds=$targets/seeds/$name
	rm -rf "$seeds"
	mkdir -p "$seeds"
	case $name in
	cjson) cp "$sources"/cjson/*/fuzzing/inputs/test[1-5] "$seeds" ;;
	thumbnail) find "$sources"/tiff/*/test/images -name '*.tiff' -size -2k -exec cp {} "$seeds" \; ;;
	djpeg) cp "$sources/libjpeg-turbo/small.jpg" "$seeds" ;;
	xmllint) find "$sources"/libxml2/*/ -name '*.xml' -size -3k | sort | head -n 23 |
		xargs -I FILE cp FILE "$seeds" ;;
	state | asan) echo '(tracer(23))' >"$seeds/seed" ;;
	esac
}
