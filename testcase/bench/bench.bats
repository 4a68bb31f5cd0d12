# SPDX-License-Identifier: BSD-2-Clause
# The bench as a program: what it does with samples, whose right answer is known. No clock is asked,
# and no root is needed.

bats_require_minimum_version 1.5.0

TREE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
BENCH=${TRACER_BUILD:-$TREE/build}/bench

setup()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-bench.XXXXXX")
	cd "$dir" || return 1
}

teardown()
{
	rm -rf "$dir"
}

# Three rounds. The second was disturbed from begin to end, so its ratios are as good as the others.
write_run()
{
	local round sequence=0

	: >run.samples
	echo seq,op,status,copy_ns,chunks,restore_path >run.csv
	for round in 1000 7000 1000; do
		printf 'memcpy,-,-,4096,0,%d\nprocess_vm_readv,-,-,4096,0,%d\n' "$round" \
			$((round * 4)) >>run.samples
		printf 'checkpoint,-,slab,4096,%d,%d\nrestore,dirty_0,slab,4096,%d,%d\n' \
			$((sequence + 1)) $((round * 8)) $((sequence + 2)) $((round * 12)) \
			>>run.samples
		printf '%d,checkpoint,ok,%d,16,-\n%d,restore,ok,%d,16,bpf\n' $((sequence + 1)) \
			$((round * 2)) $((sequence + 2)) $((round * 3)) >>run.csv
		sequence=$((sequence + 2))
	done
}

collect()
{
	"$BENCH/bench_collect" -o bench.csv -t now -k kernel -c cpu -r commit "$@" run
}

# field OP NAME
field()
{
	awk -F, -v op="$1" -v name="$2" '{ sub(/\r/, "") }
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
		$at["op"] == op { print $at[name] }' bench.csv
}

@test 'every program says how it is called' {
	for program in "$BENCH"/bench_*; do
		[[ $program != *.* ]] || continue
		for option in -h --help; do
			"$program" $option >out 2>err
			grep "^usage: ${program##*/} " out
			[ ! -s err ]
		done
	done
	[ -z "$(ls -- -* 2>/dev/null)" ] # no file was made of that name
}

@test 'a median, and ratios that are taken within the rounds' {
	write_run
	collect
	[ "$(field checkpoint samples)" = 3 ]
	[ "$(field checkpoint latency_ns)" = 8000.000 ]
	[ "$(field checkpoint latency_p90_ns)" = 56000.000 ]
	[ "$(field checkpoint copy_ns)" = 2000.000 ]
	[ "$(field checkpoint latency_to_memcpy)" = 8.000 ]
	[ "$(field checkpoint latency_to_process_vm)" = 2.000 ]
	[ "$(field checkpoint copy_to_process_vm)" = 0.500 ]
	[ "$(field restore latency_to_checkpoint)" = 1.500 ]
	[ "$(field restore copy_to_checkpoint)" = 1.500 ]
	[ "$(field checkpoint ns_per_chunk)" = 125.000 ]
}

@test 'an emulated machine: ratios and no times' {
	write_run
	collect -e
	[ -z "$(field checkpoint latency_ns)$(field checkpoint copy_ns)" ]
	[ -z "$(field checkpoint ns_per_chunk)" ]
	[ "$(field checkpoint latency_to_memcpy)" = 8.000 ]
	"$BENCH/bench_goals" bench.csv >goals
	[ "$(grep -c 'not judged here' goals)" -ge 14 ]
	run ! grep -E '(reached|missed) *$' goals
}

@test 'goals are judged' {
	write_run
	sed -i 's/,4096,/,1048576,/' run.samples
	collect
	"$BENCH/bench_goals" bench.csv >goals
	grep -E "copy of a checkpoint, worst .* 2.00 +reached" goals
	grep -E 'nothing dirty, copy, worst .* 1.50 +missed' goals
	grep -E 'the same +at least 0.50 times memcpy +0.50 +reached' goals
}

@test 'what the tracer adds to a system call' {
	printf 'map_pair,off,-,1073741824,0,%d\n' 6000 7000 8000 >run.samples
	printf 'map_pair,on,auto,1073741824,0,%d\n' 9000 8000 10000 >>run.samples
	collect
	[ "$(field map_pair_added latency_ns)" = 2000.000 ]
	[ "$(awk -F, '$6 == "on" { print $17 }' bench.csv)" = 1.286 ]
}

# The machine becomes three times slower in the second turn, and so do all of its values.
@test 'values with and without a tracer that were taken in turns are compared in pairs' {
	for slower in 1 3 1; do
		for value in 'off 100' 'on 101' 'armed 110'; do
			printf 'fault_other,%s,-,0,0,%d\n' "${value% *}" $((${value#* } * slower))
		done
	done >run.samples
	sed -i 's/armed,-,0,0,330/armed,-,0,0,340/' run.samples
	collect
	[ "$(awk -F, '$6 == "on" { print $17 }' bench.csv)" = 1.010 ]
	[ "$(awk -F, '$6 == "armed" { print $17 }' bench.csv)" = 1.100 ]
	"$BENCH/bench_goals" bench.csv >goals
	grep -E 'while pages are armed .* 1.10 +reached' goals
}

@test 'a request that the report does not have, or not as ok, is an error' {
	write_run
	sed -i 's/^6,restore,ok/6,restore,failed/' run.csv
	run ! collect
	[[ $output == *'no good restore as number 6'* ]]
	sed -i '/^6,/d' run.csv
	run ! collect
	[[ $output == *'no good restore as number 6'* ]]
}

@test 'tables of a run, as text and in Markdown' {
	write_run
	collect
	"$BENCH/bench_table" bench.csv | grep -E '4 KiB +8.0 us +2.0 us +12.0 us +3.0 us'
	"$TREE/testcase/bench/bench.sh" --markdown bench.csv | grep -E '^. 4 KiB .*[|] +8.00 [|] +2.00 [|] +12.0 [|] +3.00 [|]$'
}

@test 'the tables in results/ are those of the CSV files beside them' {
	for name in reference reference-vm; do
		"$TREE/testcase/bench/bench.sh" --markdown "$TREE/results/$name.csv" >tables
		sed -n '/^Measured/,$p' "$TREE/results/$name.md" | diff - tables
	done
}

@test 'bench.sh refuses wrong options' {
	for options in '--sizes 5K' '--sizes 2K' '--sizes 4096' '--sizes' '--passes 0' '--budget x' \
		--wrong; do
		# shellcheck disable=SC2086 # an option and its value
		run -2 "$TREE/testcase/bench/bench.sh" $options
	done
}
