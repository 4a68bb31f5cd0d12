#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Measures the tracer beside memcpy, process_vm_readv and process_vm_writev, fork, and criu and
# memcr where they work, on the same bytes and in the same run; writes results/bench-TIME.csv with
# plots beside it, and prints its tables. docs/performance.md explains the figures. `make bench`
# builds what this needs; measure.sh has the measurements, peers.sh those of criu and memcr.
# Everything is measured in several passes, so that a noisy minute spoils a part of each figure and
# not all of one. Only an error makes it fail, never a clock. For an emulated machine it writes
# ratios alone: its times mean nothing.

# shellcheck disable=SC2034,SC2154 # variables are shared with the parts
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$root/$build
bench=$build/bench
MiB=$((1 << 20)) GiB=$((1 << 30))

seed=23

# The engines, and the greatest size for each: above it chunks take seconds, and each page takes a
# poll.
engines=(chunk slab auto page)
declare -A greatest=([chunk]=$((256 * MiB)) [slab]=$((4 * GiB)) [auto]=$GiB [page]=$((16 * MiB)))

usage()
{
	cat <<-'END'
	Usage: bench.sh [OPTIONS]
	       bench.sh --markdown FILE | --plots FILE | --publish FILE

	Measure the tracer (as root) and write results/bench-TIME.csv, with plots beside it.

	  --quick           smaller sizes and fewer rounds: less than two minutes
	  --sizes "S..."    sizes to measure, powers of two from 4K to 64G (K, M or G)
	  --passes N        times that everything is measured (default 3)
	  --budget MS       time for each size, engine and pass, in milliseconds (default 400)
	  --no-peers        leave out criu and memcr
	  -o, --output FILE the CSV file
	  -h, --help        print this text

	With FILE, a CSV file of an earlier run, nothing is measured:

	  --markdown FILE   print its tables in Markdown
	  --plots FILE      draw its plots again, beside it
	  --publish FILE    make it the reference run: results/reference.csv, its tables in
	                    results/reference.md and its plots in docs/plots/ (a run in a virtual
	                    machine: reference-vm)

	Where TRACER_VM is set or the processor is an emulated one, the defaults are smaller and no
	times are written, only ratios.
	END
}

# On a terminal, the line that progress has drawn is erased before another one.
erase=
[[ ! -t 2 ]] || erase=$'\r\e[K'

die()
{
	printf '%sbench.sh: %s\n' "$erase" "$1" >&2
	exit "${2:-1}"
}

say()
{
	printf '%sbench.sh: %s\n' "$erase" "$*" >&2
}

# progress WORDS: on a terminal, shows which step of how many begins.
progress()
{
	step=$((step + 1))
	[[ ! $erase ]] || printf '%sbench.sh: step %d of %d: %s' "$erase" "$step" "$steps" "$*" >&2
}

for part in measure peers publish; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done

quick=
sizes_text=
passes=
budget_ms=
output=
with_peers=1
action=measure
file=
while (($#)); do
	case $1 in
	--sizes | --passes | --budget | --markdown | --plots | --publish | -o | --output)
		(($# > 1)) || die "$1 needs a value" 2
		;;&
	--quick) quick=1 ;;
	--no-peers) with_peers= ;;
	--sizes)
		sizes_text=$2
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
	--markdown | --plots | --publish)
		action=${1#--}
		file=$2
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

for program in client dirty calls store slab peer collect table goals; do
	[[ -x $bench/bench_$program ]] || die "$bench/bench_$program is missing; type: make bench"
done
case $action in
markdown)
	print_markdown "$file"
	exit
	;;
plots)
	draw_plots "$file" "${file%.csv}" 'svg png'
	exit
	;;
publish)
	publish "$file"
	exit
	;;
esac
((EUID == 0)) || die 'the tracer needs root; type: sudo make bench'

cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
cpu=${cpu//,/}
emulated=()
if [[ ${TRACER_VM:-} || $cpu == *QEMU* || $cpu == *TCG* ]]; then
	emulated=(-e)
	say 'an emulated machine: ratios only'
fi
if ((${#emulated[@]})); then
	: "${sizes_text:=4K 64K 1M 4M}" "${passes:=1}" "${budget_ms:=1000}"
	greatest[chunk]=$MiB greatest[page]=$MiB
elif [[ $quick ]]; then
	: "${sizes_text:=4K 64K 1M 16M 256M}" "${passes:=1}" "${budget_ms:=400}"
	greatest[chunk]=$((16 * MiB)) greatest[auto]=$((16 * MiB)) greatest[page]=$MiB
else
	: "${sizes_text:=4K 16K 64K 256K 1M 4M 16M 64M 256M 1G 4G}" "${passes:=3}" "${budget_ms:=400}"
fi
[[ $passes =~ ^[1-9][0-9]?$ ]] || die "--passes $passes: not a whole number from 1 to 99" 2
[[ $budget_ms =~ ^[1-9][0-9]{0,5}$ ]] ||
	die "--budget $budget_ms: not a whole number from 1 to 999999" 2
read_sizes "$sizes_text"

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
# In memory: to make and remove a file on a disk takes as long as the rest of a small operation, and
# twice as long in one folder as in another.
control=$(mktemp -d /dev/shm/tracer-bench.XXXXXX)
clean_up_at_exit

# A command, not a function: in the background, a signal must reach the tracer and not a subshell.
tracer=("$build/tracer" --user "$(id -un)" --control-dir "$control" --max-chunks 2097152)
export TRACER_TIMEOUT_MS=120000 # the first checkpoint of some GiB makes its store

check_memory
find_peers
ways=()
((${#emulated[@]})) || find_ways # there they would take minutes
step=0
steps=$((passes * (${#sizes[@]} * (${#engines[@]} + ${#ways[@]} + 1) + 3)))
for ((pass = 1; pass <= passes; pass++)); do
	say "pass $pass of $passes"
	turn_engines
	for bytes in "${sizes[@]}"; do
		for engine in "${engines[@]}"; do
			progress "$((bytes / 1024)) KiB, $engine"
			measure_size "$pass" "$engine" "$bytes"
		done
		for way in "${ways[@]}"; do
			progress "$((bytes / 1024)) KiB, --dirty $way"
			measure_way "$pass" "$way" "$bytes"
		done
		progress "$((bytes / 1024)) KiB, other tools"
		measure_peers "$pass" "$bytes"
	done
	progress 'pairs of save and recover'
	measure_pairs "$pass"
	measure_files "$pass"
	progress 'system calls'
	measure_calls "$pass" maps
	measure_calls "$pass" churn
	measure_other "$pass"
	measure_startup "$pass"
	progress 'stores and allocators'
	"$bench/bench_store" "$work/store-$pass.samples"
	"$bench/bench_slab" "$work/slab-$pass.samples"
done
printf %s "$erase" >&2

stems=("$work"/*.samples)
"$bench/bench_collect" -o "$output" -t "$now" -k "$(uname -r)" -c "$cpu" -r "$commit" \
	"${emulated[@]}" "${stems[@]%.samples}"
"$bench/bench_table" "$output"
"$bench/bench_goals" "$output"
if command -v gnuplot >/dev/null; then
	draw_plots "$output" "${output%.csv}" 'svg png'
else
	say 'no plots, for gnuplot is missing; apt-get install gnuplot-nox'
fi
printf '  report: %s\n' "$output"
