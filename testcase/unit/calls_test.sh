#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# calls_test.sh: who calls whom in a folder goes one way, in TAP. Objects are built in several
# forms; each form of a folder is looked at by itself. If files need each other's functions in a
# circle, no order of them is right, and tsort(1) names the circle.
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1

number=0
failed=0
folders=$(find "${BUILD:-build}" \( -path '*/utils/*.o' -o -path '*/tracer/*.o' \) -print |
	sed 's|/[^/]*$||' | sort -u)
if [ -z "$folders" ]; then
	echo "Bail out! there are no objects; make builds them"
	exit 1
fi
for folder in $folders; do
	number=$((number + 1))
	source=$(echo "$folder" | sed 's#^.*/\(utils\|tracer\)#\1#')
	objects=
	for object in "$folder"/*.o; do
		name=${object##*/}
		[ ! -f "$source/${name%.o}.c" ] || objects="$objects $object" # else it is an old one
	done
	# names of our own have two underscores inside; "user definer" for each that is used
	# shellcheck disable=SC2086 # a list
	wrong=$(nm -A -g $objects | sed 's|^[^:]*/\([^/:]*\)\.o:|\1 |' | awk '
		$NF !~ /[a-z]__[a-z]/ { next }
		$(NF - 1) == "U" { users[$NF] = users[$NF] " " $1; next }
		{ definer[$NF] = $1 }
		END {
			for (name in users) {
				n = split(users[name], user, " ")
				for (i = 1; i <= n && name in definer; i++)
					print user[i], definer[name]
			}
		}' | tsort 2>&1 >/dev/null)
	if [ -z "$wrong" ]; then
		echo "ok $number - calls in $folder go one way"
	else
		failed=1
		echo "not ok $number - calls in $folder go one way"
		echo "$wrong" | sed 's/^/# /'
	fi
done
echo "1..$number"
exit "$failed"
