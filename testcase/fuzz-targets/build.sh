#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh FOLDER: builds real programs for afl-fuzz from Debian's source packages: FOLDER/cjson
# reads JSON (cJSON's own afl.c), thumbnail reads TIFF, djpeg reads JPEG, xmllint reads XML. state
# is a program of ours with a large state. cjson-persistent and state-persistent are the same in
# persistent mode, state-asan with an address sanitizer. The sources are fetched with lists of their
# own; those of the system stay as they are.
# Always holds: a program in FOLDER is whole, for it is moved there once it is built.
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 FOLDER" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd -P)
mkdir -p "$1/sources/partial"
folder=$(cd "$1" && pwd -P)
sources=$folder/sources
apt=(apt-get -q -o APT::Sandbox::User=root -o Dir::Etc::SourceParts=- -o Dir::Cache="$sources"
	-o Dir::Etc::SourceList="$sources/sources.list" -o Dir::State::Lists="$sources/lists")
jobs=$(nproc)
export CC=afl-clang-fast AFL_QUIET=1

# list_sources: the archives that the system has packages of, as archives of sources
list_sources()
{
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg

	# shellcheck disable=SC2016 # fields of apt
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' 'Component: main' |
		sed "s|^|deb-src [signed-by=$keys] |" | sort -u
}

# fetch PACKAGE: its sources, in $sources/PACKAGE/PACKAGE-VERSION
fetch()
{
	rm -rf "${sources:?}/$1"
	mkdir -p "$sources/$1" "$sources/lists/partial" "$sources/archives/partial"
	list_sources >"$sources/sources.list"
	[ -n "$(ls "$sources"/lists/*Sources* 2>/dev/null)" ] || "${apt[@]}" update >&2
	(cd "$sources/$1" && "${apt[@]}" source "$1" >&2)
	cd "$sources/$1/$1"-*/
}

# Its afl.c is made for persistent mode, if the compiler offers that.
build_cjson()
{
	fetch cjson
	echo '#undef __AFL_HAVE_MANUAL_CONTROL' >"$sources/cjson/plain.h"
	"$CC" -O2 -I. -include "$sources/cjson/plain.h" fuzzing/afl.c cJSON.c -lm -o "$folder/cjson.new"
}

build_cjson-persistent()
{
	cd "$sources"/cjson/cjson-*/
	"$CC" -O2 -I. fuzzing/afl.c cJSON.c -lm -o "$folder/cjson-persistent.new"
}

build_thumbnail()
{
	fetch tiff
	autoreconf --force --install >&2
	./configure --quiet --disable-shared --disable-cxx --disable-jbig --disable-webp --disable-zstd \
		--disable-lzma --disable-libdeflate --disable-lerc --disable-jpeg >&2
	make -s -j "$jobs" -C port >&2
	make -s -j "$jobs" -C libtiff >&2
	make -s -C tools thumbnail >&2
	cp tools/thumbnail "$folder/thumbnail.new"
}

# Without SIMD, for its assembly code is not instrumented. small.jpg is what to begin with: a corner
# of a picture.
build_djpeg()
{
	fetch libjpeg-turbo
	cmake -S . -B build -DENABLE_SHARED=0 -DWITH_SIMD=0 -DWITH_TURBOJPEG=0 >&2
	make -s -j "$jobs" -C build djpeg-static jpegtran-static >&2
	build/jpegtran-static -crop 16x16+0+0 -copy none testimages/testorig.jpg \
		>"$sources/libjpeg-turbo/small.jpg"
	cp build/djpeg-static "$folder/djpeg.new"
}

build_xmllint()
{
	fetch libxml2
	autoreconf --force --install >&2
	./configure --quiet --disable-shared --without-python --without-zlib --without-lzma \
		--without-icu >&2
	make -s -j "$jobs" xmllint >&2
	cp xmllint "$folder/xmllint.new"
}

build_state()
{
	"$CC" -O2 "$here/state.c" -o "$folder/state.new"
}

build_state-persistent()
{
	"$CC" -O2 -DPERSISTENT "$here/state.c" -o "$folder/state-persistent.new"
}

build_state-asan()
{
	AFL_USE_ASAN=1 "$CC" -O2 "$here/state.c" -o "$folder/state-asan.new"
}

for program in cjson cjson-persistent thumbnail djpeg xmllint state state-persistent state-asan; do
	[ ! -x "$folder/$program" ] || continue
	("build_$program")
	mv "$folder/$program.new" "$folder/$program"
done
