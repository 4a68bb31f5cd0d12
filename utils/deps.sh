#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# deps.sh PACKAGE...: makes sure that Debian or Ubuntu packages are installed. As root it installs
# what is missing; otherwise it prints the one command to type, and fails. On a system without dpkg
# it only says what is needed, and lets the build find out.
set -eu

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps.sh: no dpkg here; needed are the counterparts of: $*" >&2
	exit 0
fi

missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086 # a list of words
set -- $missing
if [ "$(id -u)" -ne 0 ]; then
	echo "missing packages; type: sudo apt-get install $*" >&2
	exit 1
fi
echo "installing: $*" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
apt-get install -y -q --no-install-recommends "$@" >&2
