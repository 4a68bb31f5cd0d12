#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Links objects, and what they need of archives, into one object, and checks which
# symbols that still needs. So the build keeps code to its rule that runs in a
# signal handler or without a C library.
#
#	allowed_symbols.sh LIST OUTPUT OBJECT... [ARCHIVE...]
#
# LIST: on each line a symbol, and why it is allowed. The comment at its top is the rule, which is
# shown when a symbol is not in the list.
set -eu

list=$1 output=$2
shift 2
: "${LD:=ld}"
"$LD" -r -o "$output" "$@"
forbidden=$(nm --undefined-only --format=just-symbols "$output" | sort -u |
	awk 'FNR == NR { if ($1 !~ /^#/) allowed[$1]; next } !($1 in allowed)' "$list" -)
[ -n "$forbidden" ] || exit 0

for symbol in $forbidden; do
	echo "error: $symbol is not in $list"
	"$LD" -r -o "$output" -y "$symbol" "$@" 2>&1 |
		sed -n 's/^[^:]*: \(.*\): reference to .*/\tneeded by \1/p'
done >&2
sed -n '/^#/!q; /SPDX/d; s/^# \{0,1\}//; /./p' "$list" >&2
exit 1
