#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetches a Debian kernel for run.sh and prints its directory. Nothing is installed: apt downloads
# the package and checks its signature, and it is unpacked into a cache outside the source tree.
# Always holds: a directory in the cache is a whole kernel, for it is unpacked under a temporary
# name and then renamed. A lock keeps two runs from fetching the same kernel.

set -euo pipefail

usage()
{
	cat <<-'END'
	Usage: fetch.sh [--refresh] 6.1|6.12

	Print the directory that holds the given Debian kernel, fetching it first if the cache has
	none. Kernels are kept in $TRACER_VM_CACHE, by default ${XDG_CACHE_HOME:-~/.cache}/tracer-vm.

	  --refresh   see whether Debian has a newer one, and fetch that (a kernel already in the
	              cache is otherwise used as it is)
	  -h, --help  print this text
	END
}

# die STATUS MESSAGE
die()
{
	printf 'fetch.sh: %s\n' "$2" >&2
	exit "$1"
}

# newest: of the package names on stdin, the newest generic signed kernel of this series. Others are
# left out: cloud kernels lack 9p, and the meta package holds no files.
newest()
{
	grep -E "^linux-image-${series//./\\.}\.[0-9]+(-[0-9]+|\+deb[0-9]+)-amd64(_|\$)" |
		sort -V | tail -n 1
}

cached()
{
	find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-*' -printf '%f\n' | newest
}

# candidate: the kernel package to fetch; empty if apt knows none
candidate()
{
	apt-cache pkgnames "linux-image-$series" | newest
}

update_lists()
{
	[ "$(id -u)" = 0 ] || return 1
	apt-get -q update >&2
}

# download PACKAGE: into the current directory. Old package lists may name a version that the
# archive no longer has, so it tries again with new lists.
download()
{
	# By default apt drops root for the user _apt, who may not write here.
	local get=(apt-get -q -o APT::Sandbox::User=root download)

	"${get[@]}" "$1" >&2 && return
	update_lists && "${get[@]}" "$1" >&2
}

series=
refresh=
while [ $# -gt 0 ]; do
	case $1 in
	--refresh) refresh=1 ;;
	-h | --help) usage; exit 0 ;;
	6.1 | 6.12) series=$1 ;;
	*) die 2 "unknown kernel or option '$1'; --help lists them" ;;
	esac
	shift
done
[ -n "$series" ] || die 2 'no kernel given: 6.1 or 6.12'

if [ -z "${TRACER_VM_CACHE:-}" ] && [ -z "${XDG_CACHE_HOME:-}" ] && [ -z "${HOME:-}" ]; then
	die 125 'no place for kernels: set TRACER_VM_CACHE, XDG_CACHE_HOME or HOME'
fi
cache=${TRACER_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/tracer-vm}
mkdir -p "$cache" || die 125 "cannot make the kernel cache $cache"
cache=$(cd "$cache" && pwd -P)

# With a cached kernel apt is not asked: runs are quick and need no network.
found=$(cached) || true
if [ -n "$found" ] && [ -z "$refresh" ]; then
	printf '%s\n' "$cache/$found"
	exit 0
fi

for tool in apt-get apt-cache dpkg-deb flock busybox; do
	command -v "$tool" >/dev/null ||
		die 125 "$tool not found: kernels are fetched with apt, dpkg, util-linux, busybox-static"
done

exec {lock}>"$cache/lock"
flock "$lock"

# Another run may have fetched the kernel while it held the lock.
found=$(cached) || true
if [ -n "$found" ] && [ -z "$refresh" ]; then
	printf '%s\n' "$cache/$found"
	exit 0
fi

package=
[ -n "$refresh" ] || package=$(candidate) || true
if [ -z "$package" ]; then
	update_lists || die 125 "apt does not know a $series kernel here: run apt-get update as root"
	package=$(candidate) || true
fi
[ -n "$package" ] || die 125 "apt offers no linux-image-$series.*-amd64: add bookworm-security to \
its sources"

# Left behind by a run that was killed; nobody uses it, because we hold the lock.
rm -rf "$cache"/new.*
new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
(cd "$new" && download "$package") || die 125 "cannot download $package"
deb=("$new/$package"_*.deb)
[ -e "${deb[0]}" ] || die 125 "apt-get download left no $package"
name=$(basename "${deb[0]}")
name=${name%_amd64.deb}
if [ ! -d "$cache/$name" ]; then
	printf 'fetch.sh: unpacking %s\n' "$name" >&2
	mkdir "$new/root"
	dpkg-deb -x "${deb[0]}" "$new/root" || die 125 "cannot unpack $name"
	# modprobe in the VM needs modules.dep, which is usually made when the package is installed.
	release=${package#linux-image-}
	if [ ! -d "$new/root/lib/modules/$release" ] || [ ! -e "$new/root/boot/vmlinuz-$release" ]; then
		die 125 "$name does not hold a kernel $release"
	fi
	depmod=(depmod)
	command -v depmod >/dev/null || depmod=(busybox depmod)
	"${depmod[@]}" -b "$new/root" "$release" || die 125 "depmod failed on $name"
	mv -T "$new/root" "$cache/$name"
fi
printf '%s\n' "$cache/$name"
