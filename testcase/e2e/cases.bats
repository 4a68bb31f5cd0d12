# SPDX-License-Identifier: BSD-2-Clause
# The cases of testcase, which verify every byte, and the report of each run.

load common

HEADER=run_id,seq,time_utc,pid,comm,op,engine,regions,ranges,chunks,bytes,absent_chunks
HEADER+=,repaired_chunks,failed_chunks,copy_ns,latency_ns,mib_per_s,restore_path,kernel,status
HEADER+=,new_chunks,gone_chunks,clean_chunks,dirty_way,dirty_pages

# run_case ARG...: testcase must find every byte right, and every row must say ok.
run_case()
{
	trace "$TESTCASE" -t 0 "$@"
	expect_status 0
	[ "$(rows)" -ge 2 ]
	expect_each status ok
	expect_each failed_chunks 0
	expect_no_control_files
}

@test 'all cases' {
	run_case --case all
	expect_text "$out" '9 of 9 cases ok'
}

@test 'all cases with 2^13 integers and another seed' {
	run_case --case all -n 13 --seed 18446744073709551615
	expect_text "$out" '9 of 9 cases ok'
}

@test 'all cases, restored with process_vm_writev although BPF may' {
	[ "$(restore_path)" = bpf ] || skip 'BPF may not write on this kernel: the same as above'
	trace --restore-path process_vm "$TESTCASE" -t 0 --case all
	expect_status 0
	[ "$(column restore_path | sort -u | xargs)" = '- process_vm' ]
}

@test 'one integer' {
	run_case --case all -n 0
}

@test 'a heap of 2^17 integers' {
	run_case --case scramble -n 17 --seed 1
}

@test 'a private mapping of 2^19 integers' {
	run_case --case anon -n 19 --seed 2
}

@test 'a shared mapping of 2^15 integers' {
	run_case --case shared -n 15 --seed 3
}

@test 'with -q testcase prints its results only' {
	trace "$TESTCASE" -q -t 0 --case repeat --seed 23
	expect_status 0
	[ "$(cat "$out")" = 'repeat: ok, every byte is right (seed 23)' ]
}

@test 'loops of idle and scramble' {
	trace "$TESTCASE" -t 2 --case all -n 5
	expect_status 0
	[ "$(rows)" -ge 43 ] # what all cases make without a loop, however slow the machine is
	expect_each status ok
}

@test 'the report has the documented columns and a row for each operation' {
	trace "$TESTCASE" -t 0 --case repeat
	expect_status 0
	[ "$(head -n 1 "$csv")" = "$HEADER"$'\r' ]
	expect_column seq $(seq 1 24)
	expect_column op checkpoint $(yes restore | head -n 23)
	expect_column restore_path - $(yes "$(restore_path)" | head -n 23)
	[ "$(column kernel | sort -u)" = "$(uname -r)" ]
	expect_each regions mmap,heap,bss
	expect_each comm testcase
	expect_each engine auto
	[ "$(column run_id | sort -u | wc -l)" = 1 ]
	expect_each time_utc '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z'
	expect_each latency_ns '[1-9][0-9]*'
	expect_each copy_ns '[1-9][0-9]*'
}

@test 'each line of the report ends in CR LF' {
	trace "$TESTCASE" -t 0 --case replace
	expect_status 0
	[ "$(wc -l <"$csv")" = 6 ]
	[ "$(grep -c $'\r$' "$csv")" = 6 ]
	[ "$(tr -cd '\r' <"$csv" | wc -c)" = 6 ]
}

@test 'a name with a comma and a quote is quoted in the report' {
	cp "$E2E/steps" "$dir/a,\"b"
	trace "$dir/a,\"b" save
	expect_status 0
	expect_text "$csv" '"a,""b"'
	expect_column comm 'a,"b'
}

@test 'rows are appended as they happen, and a killed tracer leaves those it had' {
	start_tracer "$E2E/steps" save touch="$dir/saved" await="$dir/go" restore
	wait_until 'the checkpoint' test -e "$dir/saved"
	wait_until 'its row' says "$csv" ,checkpoint, # the target may be quicker
	kill -KILL "$tracer_pid"
	wait "$tracer_pid" || true
	started+=("$(pid_of_program)")
	expect_column op checkpoint
	[ "$(grep -c $'\r$' "$csv")" = 2 ]
}

@test 'the default report is results/PROGRAM-TIME-PID.csv in the current folder' {
	cp "$TRACER" "$dir/tracer"
	run_limited "$dir/tracer" --control-dir "$control" "$E2E/steps" save restore
	expect_status 0
	csv=$(echo results/steps-*.csv)
	[[ $csv =~ ^results/steps-[0-9]{8}T[0-9]{6}Z-[0-9]+\.csv$ ]]
	expect_column op checkpoint restore
	expect_text "$err" "report: $csv"
}

@test 'the default report of a build tree is in its results folder' {
	mkdir -p tree/build tree/results
	touch tree/Makefile
	cp "$TRACER" tree/build/tracer
	cd tree/build
	run_limited ./tracer --control-dir "$control" "$E2E/steps" save
	expect_status 0
	csv=$(echo "$dir"/tree/results/steps-*.csv)
	expect_column op checkpoint
	[ ! -e results ]
}

@test 'the summary has at most ten lines; maps and memory are told with --stats' {
	trace "$TESTCASE" -t 0 --case repeat
	expect_status 0
	[ "$(wc -l <"$err")" -le 10 ]
	expect_text "$err" '^tracer: .* restore ' '^  checkpoint  *1  *0  *0 ' \
		'^  restore  *23  *0  *0 ' "report: $csv"
	expect_no_text "$err" 'peak resident memory'
	trace "$E2E/steps" save save restore whole unmap restore # each line that there can be
	expect_status 0
	[ "$(wc -l <"$err")" -le 10 ]
	expect_text "$err" '^  checkpoint  *3 ' '^  restore  *2 ' '^  rollback  *1 ' \
		'^  checkpoints: .* pages looked at; restores: ' \
		'^  note: [1-9][0-9]* chunks gone at restores' "report: $csv"
	for option in --stats -v; do
		trace $option "$TESTCASE" -t 0 --case repeat
		expect_status 0
		expect_text "$err" '^  checkpoint  *1  *0  *0 ' '^  restore  *23  *0  *0 ' \
			'^  copy inside BPF' '^  chunks  *[1-9]' \
			'peak resident memory of the tracer: [1-9]' "report: $csv"
	done
}

@test 'testcase without a tracer ends with a clear error' {
	TRACER_CONTROL_DIR=$control TRACER_TIMEOUT_MS=200 run_limited "$TESTCASE" --case all
	expect_status 2
	expect_text "$err" 'no tracer answered'
	expect_no_control_files
}
