# SPDX-License-Identifier: BSD-2-Clause
# Control files that are in the way, or belong to somebody else; and two tracers at once.

load common

@test 'old control files are removed at the start' {
	touch "$control"/{ready_to_checkpoint,checkpoint_complete,ready_to_restore,restore_complete}
	trace ls -A "$control"
	expect_status 0
	[ ! -s "$out" ]
	expect_no_control_files
}

@test 'something else with the name of a control file is left alone, and told' {
	echo precious >"$dir/victim"
	mkdir "$dir/folder"
	for name in ready_to_checkpoint checkpoint_complete ready_to_restore restore_complete; do
		for command in "ln -s $dir/victim" "ln -s $dir/nothing" "ln -s $dir/folder" mkdir mkfifo; do
			$command "$control/$name"
			trace touch "$dir/ran"
			expect_status 125
			expect_text "$err" "$control/$name is not a plain file"
			[ -e "$control/$name" ] || [ -L "$control/$name" ]
			rm -rf "${control:?}/$name"
		done
	done
	[ "$(cat "$dir/victim")" = precious ]
	[ ! -e "$dir/nothing" ]
	[ ! -e "$dir/ran" ]
}

@test 'wrong control folders' {
	control=$dir/nothing
	trace touch "$dir/ran"
	expect_status 125
	expect_text "$err" "$dir/nothing: No such file"
	control=$csv
	touch "$csv"
	trace touch "$dir/ran"
	expect_status 125
	control=$dir/$(printf '%0230d' 0)
	mkdir "$control"
	trace touch "$dir/ran"
	expect_status 125
	expect_text "$err" 'name is too long'
	[ ! -e "$dir/ran" ]
}

@test 'a relative control folder, and one with slashes at its end' {
	mkdir -p "$dir/relative"
	control=relative
	trace "$E2E/foreign"
	expect_status 0
	control=$dir/relative//
	trace "$E2E/steps" save scramble restore verify
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
	control=$dir/link
	ln -s "$dir/relative" "$dir/link"
	trace "$E2E/foreign"
	expect_status 0
}

# blocked WHAT...: WHAT takes the name of the completion file before the request, and must keep it.
blocked()
{
	trace sh -c '"$@" "$TRACER_CONTROL_DIR/checkpoint_complete" && exec "$STEPS" save verify' \
		sh "$@"
}

@test 'the client does not ask while something else has the name of the completion file' {
	export STEPS=$E2E/steps
	echo precious >"$dir/victim"
	blocked mkdir
	expect_status 0
	expect_steps 'save: -17' 'verify: ok'
	rm -rf "$control/checkpoint_complete"
	blocked ln -s "$dir/victim"
	expect_steps 'save: -17' 'verify: ok'
	[ "$(cat "$dir/victim")" = precious ]
	[ "$(stat -c %u "$dir/victim")" = 0 ]
}

# obstacle WHAT...: the same with a client that does not look. The tracer must leave the thing
# alone, fail with a message, and remove the request.
obstacle()
{
	trace sh -c '"$@" "$TRACER_CONTROL_DIR/checkpoint_complete" && exec "$FOREIGN" -n -g' \
		sh "$@"
}

expect_obstacle()
{
	expect_status 125
	expect_text "$err" 'cannot create .*checkpoint_complete'
	expect_text "$err" 'checkpoint_complete is there, and is not a plain file of user 0: a client'
	[ "$(column status | head -n 1)" = failed ]
	[ ! -e "$control/ready_to_checkpoint" ]
}

@test 'a symbolic link in place of the completion file is not followed' {
	export FOREIGN=$E2E/foreign
	obstacle ln -s "$dir/nothing"
	expect_obstacle
	[ ! -e "$dir/nothing" ]
	[ -L "$control/checkpoint_complete" ]
	expect_text "$out" 'ready_to_checkpoint was refused'
}

@test 'a folder in place of the completion file is left alone' {
	export FOREIGN=$E2E/foreign
	obstacle mkdir
	expect_obstacle
	[ -d "$control/checkpoint_complete" ]
}

@test 'a file of another user in place of the completion file is not replaced' {
	export FOREIGN=$E2E/foreign
	obstacle install -m 644 -o 65534 /dev/null
	expect_obstacle
	expect_no_control_files # at its end the tracer removes whatever plain files have these names
}

@test 'a request that is a symbolic link is not answered' {
	export FOREIGN=$E2E/foreign
	start_tracer sh -c 'ln -s "$1" "$TRACER_CONTROL_DIR/ready_to_checkpoint" && exec "$FOREIGN"' \
		sh "$dir/elsewhere"
	wait_until 'the message' says "$err" 'ready_to_checkpoint is not a plain file of user 0'
	kill -TERM "$tracer_pid"
	finish_tracer
	expect_status 125
	[ "$(column status | head -n 1)" = failed ]
	[ ! -e "$control/checkpoint_complete" ]
}

@test 'a second tracer in the same folder is refused, the first goes on' {
	start_tracer "$E2E/steps" touch="$dir/ready" await="$dir/go" save scramble restore verify
	wait_until 'the first' test -e "$dir/ready"
	status=0
	timeout "$LIMIT_SECONDS" "$TRACER" --control-dir "$control" -o "$dir/second.csv" \
		touch "$dir/ran" 2>"$dir/second" 3>&- || status=$?
	expect_status 125
	expect_text "$dir/second" 'another tracer' '--control-dir'
	[ ! -e "$dir/ran" ]
	touch "$dir/go"
	finish_tracer
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
}

@test 'a tracer that was killed leaves no lock' {
	start_tracer "$E2E/steps" touch="$dir/ready" await="$dir/go"
	wait_until 'the first' test -e "$dir/ready"
	kill -KILL "$tracer_pid"
	finish_tracer
	touch "$dir/go"
	trace true
	expect_status 0
}

@test 'tracers with different folders do not disturb each other' {
	for i in 1 2 3; do
		mkdir "$dir/$i"
		timeout "$LIMIT_SECONDS" "$TRACER" -q --control-dir "$dir/$i" -o "$dir/$i.csv" \
			"$TESTCASE" -t 1 --case all --seed "$i" >"$dir/$i.out" 2>"$dir/$i.err" 3>&- &
		pids[i]=$!
	done
	for i in 1 2 3; do
		status=0
		wait "${pids[i]}" || status=$?
		cp "$dir/$i.out" "$out"
		cp "$dir/$i.err" "$err"
		csv=$dir/$i.csv
		expect_status 0
		expect_text "$out" '9 of 9 cases ok'
		expect_each status ok
	done
}

@test 'one after the other in the same folder' {
	for _ in 1 2 3; do
		trace "$E2E/steps" save scramble restore verify
		expect_status 0
		expect_steps 'save: 0' 'restore: 0' 'verify: ok'
	done
}
