# SPDX-License-Identifier: BSD-2-Clause
# Things that go wrong half-way: the target or the tracer dies, an operation fails, a limit is
# reached, events are lost. TRACER_FAULT is described in tracer/target/fault_injection.h.

load common

# restore_point: a point that a restore passes when pages are missing, and a checkpoint does not
restore_point()
{
	if [ "$(restore_path)" = bpf ]; then
		echo repair
	else
		echo restore
	fi
}

# expect_dead_target: the operation has failed because the target ended, and nothing else is left.
expect_dead_target()
{
	expect_status 125
	expect_text "$err" 'has failed'
	[ ! -e "/proc/$(pid_of_program)" ]
	expect_no_control_files
}

@test 'the target is killed before a checkpoint' {
	TRACER_FAULT=prepare:kill-target trace "$E2E/steps" save
	expect_dead_target
	expect_column status failed
}

@test 'the target is killed in a checkpoint' {
	TRACER_FAULT=copied:kill-target trace --engine chunk "$E2E/steps" save
	expect_dead_target
	expect_column op checkpoint
	expect_column status failed
}

@test 'the target is killed in a checkpoint, of any engine' {
	for engine in slab auto page; do
		TRACER_FAULT=copied:kill-target trace --engine "$engine" "$E2E/steps" save
		if [ "$(column status)" = ok ]; then # all was read before it died
			expect_status 137
		else
			expect_dead_target
		fi
		expect_no_control_files
	done
}

@test 'the target is killed in the repair of a checkpoint' {
	TRACER_FAULT=repair:kill-target trace --engine chunk "$E2E/ranges" no-access-before
	expect_status 125
	expect_column op checkpoint
	expect_column status failed
	expect_no_control_files
}

@test 'the target is killed in a restore' {
	TRACER_FAULT=$(restore_point):kill-target trace "$E2E/steps" save discard restore
	expect_dead_target
	expect_steps 'save: 0'
	expect_column op checkpoint restore
	expect_column status ok failed
}

@test 'the target is killed before its answer' {
	TRACER_FAULT=completion:kill-target trace "$E2E/steps" save
	[ "$status" -eq 125 ] || [ "$status" -eq 137 ]
	expect_no_control_files
}

# expect_orphan RESULT LINE...: the tracer has killed itself. The target goes on, gets no answer,
# and leaves no file. Then another tracer can use the folder.
expect_orphan()
{
	expect_status 137
	pid=$(pid_of_program)
	started+=("$pid")
	tracer_pid=
	[ ! -e "$control/checkpoint_complete" ]
	[ ! -e "$control/restore_complete" ]
	wait_until 'the steps of the orphan' test -e "$dir/done"
	expect_steps "$@"
	expect_running "$pid"
	touch "$dir/go"
	wait_until 'the end of the orphan' has_ended "$pid"
	expect_no_control_files
	unset TRACER_FAULT
	rm "$dir/done"
	trace "$E2E/steps" save scramble restore verify
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
}

@test 'the tracer is killed before a checkpoint' {
	export TRACER_FAULT=prepare:die TRACER_TIMEOUT_MS=$NOBODY_ANSWERS_MS
	trace "$E2E/steps" save verify touch="$dir/done" await="$dir/go"
	expect_orphan 'save: -110' 'verify: ok'
}

@test 'the tracer is killed in a checkpoint' {
	export TRACER_FAULT=copied:die TRACER_TIMEOUT_MS=$NOBODY_ANSWERS_MS
	trace "$E2E/steps" save verify touch="$dir/done" await="$dir/go"
	expect_orphan 'save: -110' 'verify: ok'
}

@test 'the tracer is killed before it answers' {
	export TRACER_FAULT=completion:die TRACER_TIMEOUT_MS=$NOBODY_ANSWERS_MS
	trace "$E2E/steps" save verify touch="$dir/done" await="$dir/go"
	expect_orphan 'save: -110' 'verify: ok'
}

@test 'the tracer is killed in a restore' {
	TRACER_FAULT=$(restore_point):die trace "$E2E/steps" save discard \
		wait=$NOBODY_ANSWERS_MS restore \
		touch="$dir/done" await="$dir/go"
	expect_column op checkpoint
	expect_orphan 'save: 0' 'restore: -110'
}

@test 'testcase ends with an error when the tracer is killed' {
	export TRACER_FAULT=copied:die TRACER_TIMEOUT_MS=$NOBODY_ANSWERS_MS
	trace "$TESTCASE" --case repeat
	expect_status 137
	wait_until 'the end of testcase' says "$out" 'repeat: could not be run'
	expect_text "$err" 'no tracer answered'
	expect_no_control_files
}

@test 'a checkpoint that fails is told at once, and the next is right' {
	for point in prepare copied completion; do
		TRACER_FAULT=$point:fail trace "$E2E/steps" \
			save verify save scramble restore verify
		expect_status 125
		expect_steps 'save: -5' 'verify: ok' 'save: 0' 'restore: 0' 'verify: ok'
		expect_column op checkpoint checkpoint restore
		expect_column status failed ok ok
		expect_text "$err" 'checkpoint 1 of process'
		expect_no_control_files
	done
}

@test 'a slab that is damaged in the store is not restored, with --verify' {
	for engine in slab page; do
		rm -f "$csv"
		TRACER_FAULT=saved:damage trace --verify -e "$engine" "$E2E/steps" \
			save scramble restore save scramble restore verify
		expect_status 125
		expect_steps 'save: 0' 'restore: -5' 'save: 0' 'restore: 0' 'verify: ok'
		expect_column status ok partial ok ok
		expect_column failed_chunks 0 16 0 0
		expect_text "$err" 'slabs that are not what was saved, and were not restored' \
			'is partial: 16 chunks could not be written; some have a wrong checksum'
	done
	for path in process_vm auto; do
		trace --verify --restore-path "$path" "$TESTCASE" -t 0 --case all -n 12
		expect_status 0
		expect_each status ok
	done
}

@test 'a checkpoint that failed cannot be restored' {
	TRACER_FAULT=copied:fail trace "$E2E/steps" save fill=1 restore verify
	expect_status 125
	expect_steps 'save: -5' 'restore: -5' 'verify: ok'
	expect_column status failed failed
	expect_text "$err" 'no snapshot'
}

@test 'a restore that fails is told at once, and the next is right' {
	TRACER_FAULT=$(restore_point):fail trace "$E2E/steps" \
		save discard restore scramble restore verify
	expect_status 125
	expect_steps 'save: 0' 'restore: -5' 'restore: 0' 'verify: ok'
	expect_column op checkpoint restore restore
	expect_column status ok failed ok
}

@test 'a restore before any checkpoint' {
	trace "$E2E/steps" restore verify save scramble restore verify
	expect_status 125
	expect_steps 'restore: -5' 'verify: ok' 'save: 0' 'restore: 0' 'verify: ok'
	expect_column status failed ok ok
	expect_text "$err" 'no snapshot to restore; ask for a checkpoint first'
}

@test 'a program that executes another loses its snapshot, and can have a new one' {
	trace "$E2E/steps" save exec restore verify save scramble restore verify
	expect_status 125
	expect_steps 'save: 0' 'restore: -5' 'verify: ok' 'save: 0' 'restore: 0' 'verify: ok'
	expect_column op checkpoint restore checkpoint restore
	expect_column status ok failed ok ok
	expect_text "$err" 'no snapshot to restore'
}

@test 'a program that executes another again and again' {
	trace "$E2E/steps" save exec save exec save scramble restore verify
	expect_status 0
	expect_steps 'save: 0' 'save: 0' 'save: 0' 'restore: 0' 'verify: ok'
	expect_each status ok
}

@test 'the chunk limit, reached at mmap' {
	trace --engine chunk --max-chunks 2048 "$E2E/steps" bytes=1048576 save verify unmap \
		bytes=4096 save scramble restore verify
	expect_status 125
	expect_steps 'save: -5' 'verify: ok' 'save: 0' 'restore: 0' 'verify: ok'
	expect_column status failed ok ok
	expect_text "$err" 'found no room: the limit of the chunk store is reached.*--max-chunks' \
		'checkpoint 1 of process .* the limit of the chunk store is reached.*--max-chunks'
}

@test 'the chunk limit, reached at the checkpoint' {
	trace --engine chunk --max-chunks 23 "$E2E/steps" save verify restore verify exit=0
	expect_status 125
	expect_steps 'save: -5' 'verify: ok' 'restore: -5' 'verify: ok'
	expect_column status failed failed
	expect_text "$err" 'checkpoint 1 of process .* the limit of the chunk store is reached.*--max-chunks'
}

@test 'the chunk limit, reached after a checkpoint: the snapshot is still good' {
	trace --engine chunk --max-chunks 2048 "$E2E/steps" save churn=1 scramble restore verify
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
}

# The calls below make twice as many events as the ring holds, and the tracer reads none of them.
stand_still_while_it_churns()
{
	wait_until 'the program' test -e "$dir/ready"
	kill -STOP "$tracer_pid"
	touch "$dir/go"
	wait_until 'many mappings' test -e "$dir/churned"
	kill -CONT "$tracer_pid"
	finish_tracer
}

@test 'a full ring of events, before a checkpoint' {
	start_tracer "$E2E/steps" touch="$dir/ready" await="$dir/go" churn=30000 \
		touch="$dir/churned" save scramble restore verify
	stand_still_while_it_churns
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
	expect_text "$err" 'the ring of events was full; ranges were read anew' \
		'events lost, the ring was full'
	expect_each status ok
}

@test 'a full ring of events, after a checkpoint: a restore is refused' {
	start_tracer "$E2E/steps" save touch="$dir/ready" await="$dir/go" churn=30000 \
		touch="$dir/churned" fill=1 restore verify save scramble restore verify
	stand_still_while_it_churns
	expect_status 125
	expect_steps 'save: 0' 'restore: -5' 'verify: ok' 'save: 0' 'restore: 0' 'verify: ok'
	expect_text "$err" 'events were lost and the snapshot with them'
	expect_column status ok failed ok ok
}

@test 'a tracer that is stopped for a while does not lose a request' {
	start_tracer "$E2E/steps" touch="$dir/ready" await="$dir/go" save scramble restore verify
	wait_until 'the program' test -e "$dir/ready"
	kill -STOP "$tracer_pid"
	touch "$dir/go"
	wait_until 'the request' test -e "$control/ready_to_checkpoint"
	kill -CONT "$tracer_pid"
	finish_tracer
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
}

# The client sleeps between its polls, so it has polled.
has_asked_again()
{
	[ -e "$dir/given-up" ] && [ "$(state_of "$(pid_of_program)")" = S ] &&
		{ [ -e "$control/ready_to_checkpoint" ] || [ -e "$control/ready_to_restore" ]; }
}

# The same thread asks again while the tracer still prepares the first request. It is refused at
# once (-5); it does not time out (-110), and is not answered with the work for the first one.
@test 'a target that gives a request up and asks for something else' {
	for order in 'save restore' 'restore save' 'save save'; do
		start_tracer "$E2E/steps" save touch="$dir/ready" await="$dir/go" \
			wait=50 "${order% *}" touch="$dir/given-up" wait=0 "${order#* }" \
			save scramble restore verify
		wait_until 'the program' test -e "$dir/ready"
		kill -STOP "$tracer_pid"
		touch "$dir/go"
		wait_until 'the second request' has_asked_again
		kill -CONT "$tracer_pid"
		finish_tracer
		expect_status 125
		[ "$(sed -nE 's/^(save|restore|verify): //p' "$out" | xargs)" = '0 -110 -5 0 0 ok' ]
		rm -f "$dir/ready" "$dir/go" "$dir/given-up"
	done
}

@test 'a target that is stopped and goes on' {
	start_tracer "$TESTCASE" -t "$LIMIT_SECONDS" --case scramble
	wait_until 'the first operations' says "$csv" ,restore,
	pid=$(column pid | head -n 1)
	for _ in 1 2 3 4 5; do
		kill -STOP "$pid"
		sleep 0.05
		kill -CONT "$pid"
		sleep 0.05
	done
	kill -INT "$pid"
	finish_tracer
	expect_status 0
	expect_text "$out" 'every byte is right'
	expect_each status ok
}
