#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# layout.sh FILE...: names each line with a fault that clang-format does not see, because it leaves
# comments alone (see .clang-format). Files are C, and others with comments that begin with "#": of
# those, comments are looked at. Exit status: 0 no fault, 1 a fault.

awk '
	function wrong(why) {
		print FILENAME ":" FNR ": " why ": " $0
		status = 1
	}
	FILENAME !~ /\.[ch]$/ && !/^[ \t]*#/ { next }
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
