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

# replace NAME TEXT FILE: puts the text between the lines <!-- NAME --> and <!-- end of NAME -->
replace()
{
	local name=$1 text=$2 file=$3

	grep -qx "<!-- $name -->" "$file" || die "$file has no line <!-- $name -->"
	awk -v name="$name" -v text="$text" '
		$0 == "<!-- end of " name " -->" { inside = 0 }
		!inside { print }
		$0 == "<!-- " name " -->" {
			inside = 1
			print ""
			while ((getline line < text) > 0)
				print line
		}' "$file" >"$file.new" && mv "$file.new" "$file"
}

publish()
{
	local file=$1 page=$root/docs/performance.md name='a run' reference=reference text

	if is_emulated "$file"; then
		name+=' in a virtual machine'
		reference+=-vm
	fi
	[[ $file -ef $root/results/$reference.csv ]] || cp "$file" "$root/results/$reference.csv"
	mkdir -p "$root/docs/plots"
	draw_plots "$file" "$root/docs/plots/$reference" svg
	text=$(mktemp)
	print_markdown "$file" >"$text"
	replace "$name" "$text" "$page"
	rm -f "$text"
	say "results/$reference.csv, docs/plots/ and the section '$name' of docs/performance.md are new"
}
