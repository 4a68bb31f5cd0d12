#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# layout.sh FILE...: names each line of these C files that clang-format lets pass and that is wrong
# all the same: it breaks no comment (see .clang-format), so it does not see what is wrong in one.
# Exit status: 0 none, 1 there is one.

awk '
	function wrong(why) {
		print FILENAME ":" FNR ": " why ": " $0
		status = 1
	}
	{
		line = $0
		while ((at = index(line, "\t")) > 0)
			line = sprintf("%s%*s%s", substr(line, 1, at - 1), \
				       8 - (at - 1) % 8, "", substr(line, at + 1))
	}
	length(line) > 100 { wrong("longer than 100 columns") }
	/^\t* \*[^ \t\/]/ { wrong("no space after the star") }
	/^[ \t]*\/?\* .*\\"/ { wrong("a quote with a backslash") }
	END { exit status }' "$@"
