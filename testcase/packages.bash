# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # program is for the suites; dir is theirs
#
# Real programs for the suites. Whoever loads this has a folder of its own in dir.

# unpack PACKAGE...: these Debian packages, and what they need that the machine lacks, into
# $dir/packages. Nothing is installed on the machine.
unpack()
{
	local packages

	packages=$(apt-get -s --no-install-recommends install "$@" 2>"$dir/apt" |
		awk '$1 == "Inst" { print $2 }')
	mkdir -p "$dir/packages"
	# shellcheck disable=SC2086 # one word for each package
	(cd "$dir/packages" && timeout 60 apt-get download "$@" $packages >>"$dir/apt" 2>&1 &&
		for package in *.deb; do dpkg -x "$package" .; done) ||
		skip "no package $*: $(tail -n 1 "$dir/apt")"
}

# find_program NAME PACKAGE...: program becomes the path of NAME, of the machine or else of the
# packages. Libraries in the packages are found.
find_program()
{
	program=$(command -v "$1") && return
	unpack "${@:2}"
	program=$(find "$dir/packages" -path "*bin/$1" | head -n 1)
	LD_LIBRARY_PATH=$(find "$dir/packages" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
	export LD_LIBRARY_PATH
	! ldd "$program" | grep -q 'not found' || skip "$1 needs more packages"
}
