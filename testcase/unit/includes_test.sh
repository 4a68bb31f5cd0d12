#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# includes_test.sh: what a folder may include, in TAP. Folders stand in layers, lowest first. A file
# includes its own folder and lower layers only, so no folders form a circle. A folder without a
# layer is a failure.
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1

layers='
utils/base utils/client
utils/slab
utils/pages
utils/image utils/slabsim
utils/process utils/own_memory
utils/capture utils/reopen utils/rollback
utils/become utils/libckpt utils/readckpt
utils/preload utils/restart
utils/forkserver
bpf
tracer/kernel tracer/store
tracer/target
tracer/engine tracer/attach
tracer/report tracer/save tracer/diff
tracer/ask
tracer/operation tracer/ctl
tracer
'
number=0
failed=0
files=$(find utils tracer bpf -path bpf/bcc -prune -o -name '*.[ch]' -print | sort)
for folder in $(echo "$files" | sed 's|/[^/]*$||' | sort -u); do
	number=$((number + 1))
	wrong=$(echo "$files" | grep "^$folder/[^/]*$" | xargs grep -Hn '^#include "' |
		LAYERS=$layers FOLDER=$folder awk -F'"' '
		BEGIN {
			count = split(ENVIRON["LAYERS"], lines, "\n")
			for (i = 1; i <= count; i++) {
				n = split(lines[i], names, " ")
				for (j = 1; j <= n; j++)
					rank[names[j]] = i
			}
			own = ENVIRON["FOLDER"]
			if (!(own in rank))
				print own " has no layer"
		}
		{
			folder = $2
			if (!sub("/[^/]*$", "", folder)) # in the folder itself, in tracer/ or bpf/
				folder = (getline line < (own "/" $2)) >= 0 ? own : "bpf"
			else if (("utils/" folder) in rank)
				folder = "utils/" folder
			else if (("tracer/" folder) in rank)
				folder = "tracer/" folder
			if (!(folder in rank))
				print $1 $2 ": in no layer"
			else if (folder != own && rank[folder] >= rank[own])
				print $1 $2 ": is not below " own
		}')
	if [ -z "$wrong" ]; then
		echo "ok $number - $folder includes itself and what is below"
	else
		failed=1
		echo "not ok $number - $folder includes itself and what is below"
		echo "$wrong" | sed 's/^/# /'
	fi
done
echo "1..$number"
exit "$failed"
