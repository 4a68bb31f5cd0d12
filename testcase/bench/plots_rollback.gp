# SPDX-License-Identifier: BSD-2-Clause
#
# Draws a CSV file of bench_rollback.sh: gnuplot -c plots_rollback.gp FILE STEM
# The pictures are STEM-hot.svg and STEM-wandering.svg. The bars are the 10th and 90th percentile.

file = ARG1
stem = ARG2

set datafile separator ","
set logscale xy
set xrange [46341:2**30 * 1.42]
set xtics ("64 KiB" 2**16, "256 KiB" 2**18, "1 MiB" 2**20, "4 MiB" 2**22, "16 MiB" 2**24, \
	"64 MiB" 2**26, "256 MiB" 2**28, "1 GiB" 2**30) rotate by -40
set ytics ("100 ns" 0.1, "1 us" 1, "10 us" 10, "100 us" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5)
set key outside right top Left reverse
set grid ytics lc rgb "#bbbbbb" lt 1 lw 0.5
set border 3
set tics nomirror
set terminal svg size 900,480 font "sans,13" background rgb "white"
set style data linespoints

# The rows with 4 pages written: bytes, and the median, 10th and 90th percentile of a round.
rows(op, pages) = sprintf("< awk -F, -v OFS=, '$4 == \"%s\" && $5 == \"%s\" && $7 == 4 \
	{ print $6, $9, $10, $11 }' '%s' | LC_ALL=C sort -n", op, pages, file)

ops = "fork memcpy rollback promised ranges list list-range"
titles = "'fork() and _exit()' 'memcpy of all' 'librollback' 'fixed state' 'ranges' \
	'fixed state, with a tracer' 'ranges, with a tracer'"
colors = "#cc79a7 #000000 #d55e00 #0072b2 #56b4e9 #009e73 #e69f00"

do for [pages in "hot wandering"] {
	set output sprintf("%s-%s.svg", stem, pages)
	set title "Write 4 pages and go back: ".(pages eq "hot" ? "the same pages each time" : \
		"other pages each time")
	plot for [i=1:words(ops)] rows(word(ops, i), pages) \
		using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines \
		lc rgb word(colors, i) pt 4 + i ps 0.6 title word(titles, i) noenhanced
}
