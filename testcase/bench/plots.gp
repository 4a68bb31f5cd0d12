# SPDX-License-Identifier: BSD-2-Clause
#
# Draws a CSV file of bench.sh: gnuplot -c plots.gp FILE STEM FORMAT EMULATED
# FORMAT is svg or png, EMULATED 1 if the file has no times. The pictures are STEM-WHAT.FORMAT.

file = ARG1
stem = ARG2
format = ARG3
emulated = ARG4 + 0

set datafile separator ","
set datafile missing NaN
set logscale x 2
greatest = real(system(sprintf("awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } \
	$at[\"op\"] == \"checkpoint\" && $at[\"bytes\"] + 0 > most { most = $at[\"bytes\"] + 0 } \
	END { print most }' '%s'", file)))
set xrange [2896:greatest * 1.42]
set xtics ("4 KiB" 2**12, "16 KiB" 2**14, "64 KiB" 2**16, "256 KiB" 2**18, "1 MiB" 2**20, \
	"4 MiB" 2**22, "16 MiB" 2**24, "64 MiB" 2**26, "256 MiB" 2**28, "1 GiB" 2**30, \
	"4 GiB" 2**32) rotate by -40
set key outside right top Left reverse
set grid ytics lc rgb "#bbbbbb" lt 1 lw 0.5
set border 3
set tics nomirror
if (format eq "svg") {
	set terminal svg size 900,480 font "sans,13" background rgb "white"
} else {
	set terminal pngcairo size 1350,720 font "sans,15"
}
set style data linespoints
set style line 1 lc rgb "#000000" pt 7 ps 0.6
set style line 2 lc rgb "#888888" pt 5 ps 0.6
set style line 3 lc rgb "#d55e00" pt 9 ps 0.7
set style line 4 lc rgb "#0072b2" pt 13 ps 0.7
set style line 5 lc rgb "#56b4e9" pt 11 ps 0.7
set style line 6 lc rgb "#009e73" pt 4 ps 0.7
set style line 7 lc rgb "#cc79a7" pt 6 ps 0.7
set style line 8 lc rgb "#e69f00" pt 8 ps 0.7

# The rows of a figure: bytes, value, and its 10th and 90th percentile where there are any.
rows(op, variant, engine, value) = sprintf("< awk -F, -v OFS=, -v op=%s -v variant=%s -v engine=%s \
	-v value=%s '{ sub(/\r/, \"\") } NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; \
	low = high = value; sub(/_ns$/, \"_p10_ns\", low); sub(/_ns$/, \"_p90_ns\", high); next } \
	$at[\"op\"] == op && $at[\"variant\"] == variant && $at[\"engine\"] == engine && \
	$at[value] != \"\" { print $at[\"bytes\"], $at[value], $at[low], $at[high] }' '%s' | LC_ALL=C sort -n", \
	op, variant, engine, value, file)
# The engines that were measured.
engines = system(sprintf("awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } \
	$at[\"op\"] == \"checkpoint\" && !seen[$at[\"engine\"]]++ { print $at[\"engine\"] }' '%s'", file))
shares = "0 1 10 100"
# The ways to find dirty pages.
ways = system(sprintf("awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } \
	$at[\"op\"] == \"way_restore\" && !seen[$at[\"engine\"]]++ { print $at[\"engine\"] }' '%s'", file))

if (!emulated) {
	# The bars are the 10th and the 90th percentile.
	set output sprintf("%s-copy.%s", stem, format)
	set title "Checkpoint: speed of the copy alone"
	set ylabel "GB/s"
	plot rows("memcpy", "-", "-", "latency_ns") \
		using 1:($1/$2):($1/$4):($1/$3) with yerrorlines ls 1 title "memcpy", \
	rows("process_vm_readv", "-", "-", "latency_ns") \
		using 1:($1/$2):($1/$4):($1/$3) with yerrorlines ls 2 \
		title "process_vm_readv" noenhanced, \
	for [i=1:words(engines)] rows("checkpoint", "-", word(engines, i), "copy_ns") \
		using 1:($1/$2):($1/$4):($1/$3) with yerrorlines ls 2 + i title word(engines, i)

	set output sprintf("%s-call.%s", stem, format)
	set title "Time from the request to the answer, engine auto"
	set ylabel ""
	set logscale y
	set ytics ("100 ns" 0.1, "1 us" 1, "10 us" 10, "100 us" 100, "1 ms" 1e3, "10 ms" 1e4, \
		"100 ms" 1e5, "1 s" 1e6)
	plot rows("memcpy", "-", "-", "latency_ns") using 1:($2/1e3) ls 1 title "memcpy", \
	rows("fork_exit", "-", "-", "latency_ns") using 1:($2/1e3) ls 7 title "fork+exit", \
	rows("checkpoint", "-", "auto", "latency_ns") \
		using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines ls 3 title "checkpoint", \
	rows("restore", "dirty_0", "auto", "latency_ns") \
		using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines ls 4 \
		title "restore, nothing changed", \
	rows("restore", "dirty_100", "auto", "latency_ns") \
		using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines ls 5 \
		title "restore, all changed", \
	rows("criu_dump", "-", "-", "latency_ns") using 1:($2/1e3) ls 8 title "criu dump", \
	rows("memcr_checkpoint", "-", "-", "latency_ns") using 1:($2/1e3) ls 6 \
		title "memcr checkpoint"

	if (words(ways)) {
		set output sprintf("%s-dirty.%s", stem, format)
		set title "Calls with 4 pages dirty, by the way to find them (engine slab)"
		plot for [i=1:words(ways)] rows("way_restore", "dirty_4_pages", word(ways, i), "latency_ns") \
			using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines ls 2 + i \
			title "restore, ".word(ways, i), \
		for [i=1:words(ways)] rows("way_checkpoint", "dirty_4_pages", word(ways, i), "latency_ns") \
			using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines ls 2 + i dt 2 \
			title "checkpoint, ".word(ways, i)
	}
	set ytics auto
}

# Nothing below is a time, so an emulated machine has it too.
set ylabel "times memcpy"
set logscale y
set output sprintf("%s-ratio.%s", stem, format)
set title "Checkpoint: the whole call, by memcpy of the same bytes"
plot rows("process_vm_readv", "-", "-", "latency_to_memcpy") ls 2 title "process_vm_readv" \
	noenhanced, \
for [i=1:words(engines)] rows("checkpoint", "-", word(engines, i), "latency_to_memcpy") \
	ls 2 + i title word(engines, i), \
rows("fork_exit", "-", "-", "latency_to_memcpy") ls 7 title "fork+exit"

set output sprintf("%s-restore.%s", stem, format)
set title "Slabs: copy of a restore, by the share of dirty pages"
set ylabel "times the copy of a checkpoint"
unset logscale y
set yrange [0:*]
plot for [i=1:words(shares)] rows("restore", "dirty_".word(shares, i), "slab", "copy_to_checkpoint") \
	ls 4 + i title word(shares, i)." % dirty"
