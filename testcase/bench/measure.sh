# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # variables of bench.sh
#
# The measurements of bench.sh, which reads this file and has the variables used here. Each leaves
# NAME.samples in $work, in the format that bench.h tells, and NAME.csv, the tracer's report, if
# bench_collect must look up the requests in it.

chunk_bytes=256
other_turns=7

# Reads "4K 1M ..." into sizes, in bytes.
read_sizes()
{
	local text power
	local -A shifts=([K]=10 [M]=20 [G]=30)

	sizes=()
	for text in $1; do
		[[ $text =~ ^([1-9][0-9]{0,3})([KMG])$ ]] ||
			die "--sizes: $text is not a size like 64K, 16M or 1G" 2
		power=$((BASH_REMATCH[1] << shifts[${BASH_REMATCH[2]}]))
		(((power & (power - 1)) == 0 && power >= 4096 && power <= 64 * GiB)) ||
			die "--sizes: $text is not a power of two from 4K to 64G" 2
		sizes+=("$power")
	done
	((${#sizes[@]})) || die '--sizes names no size' 2
}

available_bytes()
{
	awk '$1 == "MemAvailable:" { printf "%.0f", $2 * 1024 }' /proc/meminfo
}

# The memory itself, a copy by memcpy, one in another process, the store, and some to spare. Chunks
# need 336 bytes for 256.
memory_for()
{
	echo $(($1 * 9 / 2 + 512 * MiB))
}

# Leaves out the sizes for which this machine has not the memory.
check_memory()
{
	local bytes fitting=() available

	available=$(available_bytes)
	for bytes in "${sizes[@]}"; do
		if (($(memory_for "$bytes") <= available)); then
			fitting+=("$bytes")
		else
			say "$((bytes / MiB)) MiB are left out: that needs $(($(memory_for "$bytes") / \
				MiB)) MiB, and $((available / MiB)) are available"
		fi
	done
	((${#fitting[@]})) || die 'there is no memory for any size'
	sizes=("${fitting[@]}")
	for engine in "${engines[@]}"; do
		if ((sizes[-1] > ${greatest[$engine]})); then
			say "engine $engine is measured up to $((${greatest[$engine]} / MiB)) MiB"
		fi
	done
}

# The least number of rounds in all passes together. A round of 4 GiB takes some 10 seconds.
rounds_for()
{
	if ((${#emulated[@]})); then
		echo 3
	elif (($1 <= 16 * MiB)); then
		echo 23
	elif (($1 <= 256 * MiB)); then
		echo 9
	else
		echo 3
	fi
}

# Large sizes are not measured in every pass.
is_left_out()
{
	local pass=$1 engine=$2 bytes=$3

	((bytes > ${greatest[$engine]} || (bytes > 256 * MiB && pass > 2) ||
		(bytes > GiB && pass > 1)))
}

# Places for so many bytes and for the rest of the program: at least the default number, and no more
# than needed, because each operation visits all of them.
ready_for()
{
	local chunks=$(($1 / chunk_bytes + 2048))

	echo "$((chunks < 4096 ? 4096 : chunks))"
}

# The memory of the snapshot by the summary, chunks and slabs together.
emit_store()
{
	local engine=$1 bytes=$2 summary=$3 kib

	kib=$(awk '($1 == "chunks" || $1 == "slabs") && $3 ~ /^[0-9]+$/ && $4 ~ /^[0-9]+$/ {
		sum += $4; lines++ } END { if (lines == 2) print sum }' "$summary")
	[[ $kib ]] || die "no lines of the maps chunks and slabs in the summary: $(cat "$summary")"
	printf 'store,-,%s,%d,0,%d\n' "$engine" "$bytes" $((kib * 1024))
}

# The engines are measured in the other order in the next pass.
turn_engines()
{
	local engine turned=()

	for engine in "${engines[@]}"; do
		turned=("$engine" "${turned[@]}")
	done
	engines=("${turned[@]}")
}

measure_size()
{
	local pass=$1 engine=$2 bytes=$3 least stem ready=()

	if is_left_out "$pass" "$engine" "$bytes"; then
		return
	fi
	stem=$work/client-$pass-$engine-$bytes
	least=$((($(rounds_for "$bytes") + passes - 1) / passes))
	((bytes <= 256 * MiB)) || least=3
	[[ $engine != chunk || $bytes -lt $((64 * MiB)) ]] || least=1
	[[ $engine != chunk ]] || ready=(--ready-chunks "$(ready_for "$bytes")")
	"${tracer[@]}" --stats --output "$stem.csv" "${ready[@]}" --engine "$engine" \
		"$bench/bench_client" "$bytes" "$least" 67 "$budget_ms" "$seed" "$engine" \
		"$stem.samples" 2>"$stem.err" || die "bench_client failed: $(cat "$stem.err")"
	emit_store "$engine" "$bytes" "$stem.err" >>"$stem.samples"
}

# The ways to find dirty pages that this machine has.
find_ways()
{
	local works

	works=$("$build/tracer" check | awk '$0 ~ / yes  / { print $1 }')
	ways=()
	if [[ $works == *WP_ASYNC* ]]; then
		[[ $works != *fault* ]] || ways+=(faults)
		ways+=(scan)
	fi
	[[ $works != *soft-dirty* ]] || ways+=(soft)
	ways+=(compare)
}

# measure_way PASS WAY BYTES: with that way to find dirty pages
measure_way()
{
	local pass=$1 way=$2 bytes=$3 stem least=9

	if is_left_out "$pass" slab "$bytes" || ((bytes < 64 * 1024)); then
		return
	fi
	((bytes <= 256 * MiB)) || least=3
	stem=$work/way-$pass-$way-$bytes
	"${tracer[@]}" --output "$stem.report" --engine slab --dirty "$way" "$bench/bench_dirty" \
		"$bytes" "$least" "$((budget_ms / 4))" "$way" "$stem.samples" 2>"$stem.err" ||
		die "bench_dirty failed: $(cat "$stem.err")"
}

# The number of testcase after "pairs of save and recover".
measure_pairs()
{
	local stem=$work/pairs-$1 pairs

	settle
	"${tracer[@]}" --engine auto --output "$stem.report" -q "$build/testcase" --case idle -n 10 \
		-t 1 >"$stem.out" 2>"$stem.err" ||
		die "testcase failed: $(cat "$stem.out" "$stem.err")"
	pairs=$(sed -n 's/.*(\([0-9.]*\) pairs per second.*/\1/p' "$stem.out")
	[[ $pairs ]] || die "no rate in what testcase said: $(cat "$stem.out")"
	printf 'pairs,-,auto,4096,0,%s\n' "$pairs" >"$stem.samples"
}

# A program in the style of the first ones, beside what it cannot do without.
measure_files()
{
	local stem=$work/files-$1

	settle
	"${tracer[@]}" --engine auto --output "$stem.report" -q "$bench/bench_files" \
		"$stem.samples" auto
}

# Waits until the hooks of the last tracer are gone. A helper takes them away after its end, and
# they slow others down until then.
settle()
{
	local i

	for ((i = 0; i < 100; i++)); do
		pgrep -r D,R,S -x tracer-detach >/dev/null || return 0
		sleep 0.1
	done
	say 'the hooks of the last tracer are still there after 10 s'
}

# untraced SAMPLES KIND: bench_calls without a tracer. Hooks of another tracer would slow it down,
# so samples beside one are not kept. On a machine that always has one no sample is left, and the
# ratio is left out.
untraced()
{
	local samples=$1 kind=$2 i

	for ((i = 0; i < 10; i++)); do
		settle
		if ! pgrep -x tracer >/dev/null; then
			rm -f "$work/untraced"
			"$bench/bench_calls" "$work/untraced" "$kind" off -
			if ! pgrep -x tracer >/dev/null; then
				cat "$work/untraced" >>"$samples"
				return
			fi
		fi
		sleep 0.3
	done
	say "another tracer is running all the time: no $kind without one in this pass"
}

# without_requests LOG COMMAND...: under the tracer, which says in the end that no request came
without_requests()
{
	local log=$1

	shift
	"$@" 2>"$log" || die "$* failed: $(cat "$log")"
}

# measure_calls PASS maps|churn: in the target.
measure_calls()
{
	local kind=$2 stem=$work/$2-$1 engine

	for engine in "${engines[@]}"; do
		[[ $engine == chunk || $engine == auto ]] || continue # to others as to auto
		untraced "$stem.samples" "$kind"
		settle
		without_requests "$stem.err" "${tracer[@]}" --engine "$engine" \
			--output "$stem.report" --ready-chunks 20480 -q \
			"$bench/bench_calls" "$stem.samples" "$kind" on "$engine"
	done
}

# await FILE: until the target has made it, and a moment more, for the target to wait again
await()
{
	local i

	for ((i = 0; i < 600; i++)); do
		if [[ -e $1 ]]; then
			sleep 0.1
			return
		fi
		kill -0 "${started[-1]}" 2>/dev/null || die 'the tracer did not start'
		sleep 0.1
	done
	die "the target has not made $1 within a minute"
}

# In turns without a tracer, with a target that waits, and with the same one when its pages are
# armed and its faults are listed: each ratio is of figures that were taken within a second. Without
# any target a hook would return even earlier.
measure_other()
{
	local stem=$work/other-$1 ready turn

	for ((turn = 0; turn < other_turns; turn++)); do
		ready=$work/ready-$1-$turn
		untraced "$stem.samples" other
		settle
		"${tracer[@]}" --output "$ready.report" -q "$bench/bench_calls" "$ready" armed &
		started+=("$!")
		await "$ready"
		"$bench/bench_calls" "$stem.samples" other on -
		pkill -USR1 -P "${started[-1]}"
		await "$ready-armed"
		"$bench/bench_calls" "$stem.samples" other armed -
		kill "${started[-1]}"
		wait "${started[-1]}" 2>/dev/null || true # ended by that signal
		started=()
	done
}

measure_startup()
{
	local stem=$work/startup-$1

	settle
	without_requests "$stem.err" "$bench/bench_calls" "$stem.samples" startup 2 \
		"${tracer[@]}" --output "$stem.report" -q true
}
