#!/bin/bash
#
# Measures the tracer beside memcpy, process_vm_readv and process_vm_writev, and fork, on the same
# bytes and in the same run; writes results/bench-TIME.csv and prints its tables. docs/performance.md
# tells what the figures mean. `make bench` builds what this needs.
# All is measured in passes, one after the other, so that a noisy minute spoils a part of each
# figure and not all of one. Only an error fails it, never a clock. An emulated machine gets ratios
# alone: its times say nothing.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$root/$build
bench=$build/bench
engines=(chunk slab)
chunk_bytes=256
seed=23

usage()
{
	cat <<-'END'
	Usage: bench.sh [OPTIONS]
	       bench.sh --markdown FILE

	Measure the tracer (as root) and write results/bench-TIME.csv.

	  --powers "P..."   sizes to measure, 2^P ints each (default "10 12 ... 24")
	  --passes N        times that everything is measured (default 3)
	  --budget MS       time for each size and pass, in milliseconds (default 700)
	  -o, --output FILE the CSV file
	  --markdown FILE   measure nothing: print the tables of FILE, a CSV file of an earlier run,
	                    in Markdown
	  -h, --help        print this text

	Where TRACER_VM is set or the processor is an emulated one, the defaults are smaller and no
	times are written, only ratios.
	END
}

die()
{
	printf 'bench.sh: %s\n' "$1" >&2
	exit "${2:-1}"
}

say()
{
	printf 'bench.sh: %s\n' "$1" >&2
}

powers=
passes=
budget_ms=
output=
markdown=
while (($#)); do
	case $1 in
	--powers | --passes | --budget | --markdown | -o | --output)
		(($# > 1)) || die "$1 needs a value" 2
		;;&
	--powers)
		powers=$2
		shift
		;;
	--passes)
		passes=$2
		shift
		;;
	--budget)
		budget_ms=$2
		shift
		;;
	--markdown)
		markdown=$2
		shift
		;;
	-o | --output)
		output=$2
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done

for program in bench_client bench_calls bench_store bench_slab bench_collect bench_table; do
	[[ -x $bench/$program ]] || die "$bench/$program is missing; type: make bench"
done
if [[ $markdown ]]; then
	exec "$bench/bench_table" --markdown "$markdown"
fi
((EUID == 0)) || die 'the tracer needs root; type: sudo make bench'

cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
emulated=()
if [[ ${TRACER_VM:-} || $cpu == *QEMU* || $cpu == *TCG* ]]; then
	emulated=(-e)
	say 'an emulated machine: ratios only'
fi
if ((${#emulated[@]})); then
	: "${powers:=10 12 14 16}" "${passes:=1}" "${budget_ms:=1000}"
else
	: "${powers:=10 12 14 16 18 20 22 24}" "${passes:=3}" "${budget_ms:=700}"
fi
[[ $passes =~ ^[1-9][0-9]?$ ]] || die "--passes $passes: not a whole number from 1 to 99" 2
[[ $budget_ms =~ ^[1-9][0-9]{0,5}$ ]] ||
	die "--budget $budget_ms: not a whole number from 1 to 999999" 2
read -ra sizes <<<"$powers"
((${#sizes[@]})) || die '--powers names no size' 2
for power in "${sizes[@]}"; do
	[[ $power =~ ^(1[0-9]|2[0-4])$ ]] || die "--powers: $power is not from 10 to 24" 2
done

commit=$(git -c safe.directory="$root" -C "$root" rev-parse --short HEAD 2>/dev/null) ||
	commit=unknown
if [[ $commit != unknown &&
	$(git -c safe.directory="$root" -C "$root" status --porcelain --untracked-files=no) ]]; then
	commit+=-dirty
fi
now=$(date -u +%Y%m%dT%H%M%SZ)
if [[ ! $output ]]; then
	mkdir -p "$root/results"
	output=$root/results/bench-$now.csv
fi

work=$(mktemp -d)
idle=
clean_up()
{
	if [[ $idle ]]; then
		kill "$idle" 2>/dev/null || true
		wait "$idle" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/control"

# A command, not a function: in the background, a signal must reach the tracer and not a subshell.
tracer=("$build/tracer" --user "$(id -un)" --control-dir "$work/control" --max-chunks 1048576)

# Places for so many bytes and for what else the program has; no fewer than there are by default,
# and no more than needed, since each operation visits all of them.
ready_for()
{
	local chunks=$(($1 / chunk_bytes + 2048))

	echo "$((chunks < 4096 ? 4096 : chunks))"
}

# At least 23 rounds of the smaller sizes in all passes together, and 5 of the greatest.
measure_size()
{
	local pass=$1 engine=$2 power=$3 bytes=$((4 << $3)) least stem

	stem=$work/client-$pass-$engine-$power
	least=$(((power < 23 ? 23 : 5) / passes + 1))
	((${#emulated[@]} == 0)) || least=3
	"${tracer[@]}" --output "$stem.csv" --ready-chunks "$(ready_for "$bytes")" -q \
		--engine "$engine" "$bench/bench_client" "$bytes" "$least" 67 "$budget_ms" "$seed" \
		"$engine" "$stem.samples"
}

# What testcase says after "pairs of save and recover", and what the summary says of the store.
measure_pairs()
{
	local stem=$work/pairs-$1 pairs memory

	"${tracer[@]}" --engine auto --output "$stem.report" "$build/testcase" --case idle -n 10 -t 1 \
		>"$stem.out" 2>"$stem.err" || die "testcase failed: $(cat "$stem.out" "$stem.err")"
	pairs=$(sed -n 's/.*(\([0-9.]*\) pairs per second.*/\1/p' "$stem.out")
	memory=$(awk '$1 == "chunks" && $3 ~ /^[0-9]+$/ && $4 ~ /^[0-9]+$/ && /limit/ {
			printf "%.3f", $4 * 1024 / $3 }' "$stem.err")
	[[ $pairs ]] || die "no rate in what testcase said: $(cat "$stem.out")"
	[[ $memory ]] || die "no line of the map chunks in the summary: $(cat "$stem.err")"
	printf 'pairs,-,auto,4096,0,%s\nstore_bytes_per_chunk,tracer,chunk,%d,0,%s\n' \
		"$pairs" "$chunk_bytes" "$memory" >"$stem.samples"
}

measure_maps()
{
	local stem=$work/maps-$1

	"$bench/bench_calls" "$stem.samples" maps off
	"${tracer[@]}" --engine chunk --output "$stem.report" --ready-chunks 20480 -q \
		"$bench/bench_calls" "$stem.samples" maps on
}

# Hooks of another tracer would slow down what is measured here without one: such samples are not
# kept. Nothing is left of this when a machine is never quiet, and the ratio is then left out.
measure_untraced()
{
	local samples=$1 i

	for ((i = 0; i < 50; i++)); do
		if ! pgrep -x tracer >/dev/null; then
			rm -f "$work/untraced"
			"$bench/bench_calls" "$work/untraced" other off
			if ! pgrep -x tracer >/dev/null; then
				cat "$work/untraced" >>"$samples"
				return
			fi
		fi
		sleep 0.1
	done
	say 'another tracer is running all the time: other processes are not compared in this pass'
}

# With a target that sleeps: a hook can then not turn back because there is no target at all.
measure_other()
{
	local stem=$work/other-$1 i

	measure_untraced "$stem.samples"
	"${tracer[@]}" --output "$stem.report" -q sh -c "echo >'$stem.ready'; exec sleep 600" &
	idle=$!
	for ((i = 0; i < 600; i++)); do
		[[ -e $stem.ready ]] && break
		kill -0 "$idle" 2>/dev/null || die 'the tracer did not start'
		sleep 0.1
	done
	sleep 0.2
	"$bench/bench_calls" "$stem.samples" other on
	kill "$idle"
	wait "$idle" 2>/dev/null || true # ended by that signal
	idle=
	measure_untraced "$stem.samples"
}

measure_startup()
{
	local stem=$work/startup-$1

	"$bench/bench_calls" "$stem.samples" startup 2 "${tracer[@]}" \
		--output "$stem.report" -q true
}

for ((pass = 1; pass <= passes; pass++)); do
	say "pass $pass of $passes"
	for power in "${sizes[@]}"; do
		for engine in "${engines[@]}"; do
			measure_size "$pass" "$engine" "$power"
		done
	done
	measure_pairs "$pass"
	measure_maps "$pass"
	measure_other "$pass"
	measure_startup "$pass"
	"$bench/bench_store" "$work/store-$pass.samples"
	"$bench/bench_slab" "$work/slab-$pass.samples"
done

stems=("$work"/*.samples)
"$bench/bench_collect" -o "$output" -t "$now" -k "$(uname -r)" -c "$cpu" -r "$commit" \
	"${emulated[@]}" "${stems[@]%.samples}"
"$bench/bench_table" "$output"
printf '  report: %s\n' "$output"
