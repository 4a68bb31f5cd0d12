# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # variables of bench.sh
#
# What bench.sh does with a CSV file that it has: tables in Markdown, plots, and the reference run.

# No goals from an emulated machine: none is judged there.
print_markdown()
{
	"$bench/bench_table" --markdown "$1"
	is_emulated "$1" || "$bench/bench_goals" --markdown "$1"
}

# No times in it?
is_emulated()
{
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "latency_ns") at = i }
		NR > 1 && $at != "" { found = 1 } END { exit found }' "$1"
}

# draw_plots FILE STEM "FORMAT..."
draw_plots()
{
	local file=$1 stem=$2 format emulated=0 said

	command -v gnuplot >/dev/null ||
		die 'gnuplot is missing; type: apt-get install gnuplot-nox'
	! is_emulated "$file" || emulated=1
	for format in $3; do
		# it warns of figures that were not measured
		said=$(gnuplot -c "$here/plots.gp" "$file" "$stem" "$format" "$emulated" 2>&1) ||
			die "gnuplot could not draw $file: $said"
	done
}

# publish FILE: the run becomes a reference, results/NAME.csv and results/NAME.md, with its plots
publish()
{
	local file=$1 reference=reference title='The reference run'

	if is_emulated "$file"; then
		reference+=-vm
		title+=' in a virtual machine'
	fi
	mkdir -p "$root/results" "$root/docs/plots"
	[[ $file -ef $root/results/$reference.csv ]] || cp "$file" "$root/results/$reference.csv"
	draw_plots "$file" "$root/docs/plots/$reference" svg
	{
		cat <<-END
			# $title

			For those who compare figures: every table of one run of the bench.
			[docs/performance.md](../docs/performance.md) explains them. Made by
			\`testcase/bench/bench.sh --publish\` from [$reference.csv]($reference.csv).

		END
		print_markdown "$file"
	} >"$root/results/$reference.md"
	say "results/$reference.csv, results/$reference.md and docs/plots/ are new"
}
