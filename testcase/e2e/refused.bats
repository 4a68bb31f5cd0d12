# SPDX-License-Identifier: BSD-2-Clause
# Operations that would break the program are refused before a byte is written (refused.c). The
# message says why and what to do. Requests that nobody would answer are noticed.

load common

# play SCENE STATUS...: with each engine, the scene must succeed, and its operations have these
# statuses.
play()
{
	local scene=$1 expected=0

	shift
	[ "$*" = "${*//failed/}" ] || expected=125
	for engine in auto chunk; do
		rm -f "$csv"
		trace -q -e "$engine" "$E2E/refused" "$scene"
		expect_status $expected
		expect_text "$out" "$scene: ok"
		expect_column status "$@"
		expect_no_control_files
	done
}

@test 'every scene is played here' {
	for scene in $("$E2E/refused" list); do
		expect_text "$BATS_TEST_FILENAME" "	play $scene \\|/refused\" $scene"
	done
}

# ---- threads ----

@test 'a thread has started since the checkpoint: the restore is refused, and names it' {
	play thread-started ok failed ok ok
	expect_text "$err" 'restore 2 of .*new checkpoint (started: [0-9]* (refused)); its memory is'
}

@test 'a thread has ended since the checkpoint: the restore is refused, and names it' {
	play thread-ended ok failed ok ok
	expect_text "$err" 'restore 2 of .*new checkpoint (ended: [0-9]* (refused)); its memory is'
}

@test 'a thread has been replaced since the checkpoint: the restore is refused, and names both' {
	play thread-replaced ok failed ok ok
	expect_text "$err" '(started: [0-9]* (refused); ended: [0-9]* (refused)); its memory is'
}

@test 'threads that come and go between checkpoint and restore' {
	play threads-between ok ok ok ok ok ok ok ok ok ok ok ok ok ok
	[ ! -s "$err" ]
}

# ---- stacks ----

@test 'a coroutine that asks, with its stack in the heap, is refused' {
	play coroutine failed failed ok ok
	expect_text "$err" 'checkpoint 1 of .* the stack of the thread that polls is in tracked memory'
}

@test 'a coroutine that asks, with its stack in untracked memory' {
	play coroutine-untracked ok ok
	[ ! -s "$err" ]
}

@test 'a thread that asks, with its stack in tracked memory, is refused' {
	play other-thread failed failed ok ok
	expect_text "$err" 'checkpoint 1 of .* the stack of the thread that polls is in tracked memory'
}

@test 'a restore of the stack that polls is refused' {
	for engine in auto chunk; do
		trace -q -e $engine --regions mmap,heap,bss,data,stack "$E2E/steps" \
			save scramble restore save
		expect_status 125
		expect_steps 'save: 0' 'restore: -5' 'save: 0'
		expect_text "$err" 'restore 2 of .* --regions has stack, .*; its memory is as it was'
	done
}

@test 'a program whose first thread has ended is refused, and told why' {
	play first-ended failed failed
	expect_text "$err" 'checkpoint 1 of .* the thread that showed its memory has ended'
}

# ---- memory that is gone ----

@test 'memory that is gone is told once, also with -q' {
	trace -q "$E2E/steps" save unmap restore restore restore save restore
	expect_status 0
	[ "$(grep -c 'chunks were not restored, for the target has unmapped' "$err")" = 1 ]
	expect_text "$err" '^tracer: restore 2: .*GLIBC_TUNABLES='
}

@test 'a crash after a restore is explained, also with -q' {
	trace -q "$E2E/steps" save restore raise=11
	expect_status 139
	expect_text "$err" '^tracer: process [0-9]* (steps) was ended by signal 11 (.*) after restore 2. '
	for steps in 'save raise=11' 'save restore raise=15' 'save restore exec raise=11'; do
		# shellcheck disable=SC2086 # several
		trace -q "$E2E/steps" $steps
		expect_no_text "$err" 'was ended by signal'
	done
}

@test 'a script that a restore brings back into its checkpoint is noticed, also with -q' {
	command -v perl >/dev/null || skip 'there is no perl'
	cat >"$dir/script.pl" <<-'end'
		use POSIX ();
		sub ask {
			my ($request, $complete) = map { "$ENV{TRACER_CONTROL_DIR}/$_" } @_;
			open(my $file, '>', $request) or die;
			close $file;
			until (POSIX::access($complete, 0)) {}
			unlink $complete, $request;
		}
		my @numbers = (1) x 1000;
		ask('ready_to_checkpoint', 'checkpoint_complete');
		ask('ready_to_restore', 'restore_complete');
	end
	start_tracer -q perl "$dir/script.pl"
	wait_until 'the message' says "$err" 'polls'
	kill -TERM "$tracer_pid"
	finish_tracer
	expect_text "$err" "process [0-9]* (perl) polls $control/checkpoint_complete again" \
		'restore 2 has brought it back .* scripts'
	[ "$(wc -l <"$err")" = 1 ]
}

# ---- requests that are not the target's ----

has_two_children()
{
	[ "$(grep -c '^pid: ' "$out")" -eq 2 ]
}

@test 'a request of a child is noticed, also with -q, and told once' {
	start_tracer -q sh -c '"$@"; "$@"; true' sh "$E2E/steps" save
	wait_until 'the message' says "$err" "$control/ready_to_checkpoint is there"
	kill -KILL "$(pid_of_program)"
	wait_until 'the second child' has_two_children
	sleep 2 # time enough for a mistake
	kill -KILL "$(sed -n 's/^pid: //p' "$out" | tail -n 1)"
	finish_tracer
	expect_status 0
	[ "$(grep -c '^tracer: ' "$err")" = 1 ]
	expect_text "$err" "but process [0-9]* (sh) did not" \
		'children are not followed; .* --wait'
}

@test 'a request that the target overtakes by another one is refused' {
	start_tracer -q "$E2E/steps" "touch=$control/ready_to_checkpoint" restore "await=$dir/go"
	wait_until 'the restore is over' says "$out" 'restore: -5'
	wait_until 'the request is gone' [ ! -e "$control/ready_to_checkpoint" ]
	touch "$dir/go"
	finish_tracer
	expect_status 125
	expect_text "$err" 'a checkpoint of process [0-9]* (steps) has failed: .* one thing at a time'
	run ! grep 'did not create it' "$err"
}

@test 'the same, while the target goes on asking' {
	trace -q "$E2E/steps" "touch=$control/ready_to_checkpoint" "busy=$control/ready_to_checkpoint"
	expect_status 125
	expect_text "$out" 'busy: the file is gone'
	expect_text "$err" 'a checkpoint of process [0-9]* (steps) has failed: .* one thing at a time'
}

@test 'a request that comes before the program that is waited for' {
	start_tracer -q --wait "$waited"
	wait_until 'the tracer' test -e "$csv"
	: >"$control/ready_to_restore"
	wait_until 'the message' says "$err" 'ready_to_restore is there, but waited-[0-9]* has not been'
	kill -INT "$tracer_pid"
	finish_tracer
}

@test 'a request of a daemon that outlives its parent is told at the end' {
	trace -q sh -c '(: >"$0" && exec sleep 5) & while [ ! -e "$0" ]; do :; done' \
		"$control/ready_to_restore"
	expect_status 0
	[ "$(wc -l <"$err")" = 1 ]
	expect_text "$err" "$control/ready_to_restore is there, but process [0-9]* (sh) did not"
	expect_no_control_files
}

@test 'no request at all is told at the end, also with -q' {
	for quiet in '' -q; do
		# shellcheck disable=SC2086 # an option, or none
		trace $quiet sh -c 'true'
		expect_status 0
		expect_text "$err" "no request came from process [0-9]* (sh): .* in $control, or may not" \
			'children are not followed, see --wait$'
	done
	trace "$E2E/steps" save
	expect_no_text "$err" 'no request came'
}

@test 'a target that may not create its request is told where, also with -q' {
	chmod 755 "$dir" "$control"
	trace -q setpriv --reuid 65534 --regid 65534 --clear-groups "$E2E/steps" save
	expect_steps 'save: -13'
	expect_text "$err" "no request came .* created no control file in $control, or may not (perm"
}

# ---- other folders ----

@test 'a target in a chroot that calls the control folder by another name' {
	cp "$E2E/foreign-static" "$control/foreign"
	for engine in auto chunk; do
		trace -q -e "$engine" env TRACER_CONTROL_DIR=/ chroot "$control" /foreign -r 3
		expect_status 0
		expect_text "$out" 'every byte is right'
		[ ! -s "$err" ]
	done
	rm "$control/foreign"
	expect_no_control_files
}

@test 'a target that calls the control folder by a relative path, or through a link' {
	ln -s "$control" "$dir/link"
	for name in control ./control/../control "$dir/link"; do
		trace -q env TRACER_CONTROL_DIR="$name" "$E2E/foreign" -r 3
		expect_status 0
		expect_text "$out" 'every byte is right'
		[ ! -s "$err" ]
	done
	expect_no_control_files
}

@test 'a file whose name only ends like that of a request is none' {
	for name in ready_to_checkpoint ready_to_restore ready_to_rollback; do
		for path in "$control/my_$name" "control/my_$name"; do
			trace touch "$path"
			expect_status 0
			expect_text "$err" 'no request came'
			rm "$control/my_$name"
		done
	done
	expect_no_control_files
}

# expect_elsewhere PATTERN: the tracer says that; the target, which waits in vain, is ended
expect_elsewhere()
{
	wait_until 'the message' says "$err" "$1"
	kill -KILL "$(pid_of_program)"
	finish_tracer
	expect_status 125
}

@test 'a target that has a control folder of its own by its mounts is told so' {
	# shellcheck disable=SC2016 # for that shell
	start_tracer -q unshare --mount \
		sh -c 'mount -t tmpfs none "$TRACER_CONTROL_DIR" && exec "$@"' sh "$E2E/steps" save
	expect_elsewhere 'checkpoint 1 .* in another folder than ours: .* --control-dir'
}

@test 'a control folder that is replaced or removed meanwhile is told' {
	start_tracer -q sh -c 'mv "$1" "$1.old" && mkdir "$1" && shift && exec "$@"' sh \
		"$control" "$E2E/steps" save
	expect_elsewhere "in another folder than ours: somebody has replaced $control since"
	trace -q sh -c 'rmdir "$1" && shift && exec "$@"' sh "$control" "$E2E/steps" save
	expect_steps 'save: -2'
	expect_text "$err" 'no request came .*; somebody has removed or replaced the control folder'
}

@test 'memory that the target itself cannot use is told' {
	trace -q --regions mmap,heap,bss,data "$E2E/refused" beyond-file
	expect_status 125
	expect_text "$out" 'beyond-file: ok'
	expect_text "$err" 'checkpoint 1 .* is partial: 4064 chunks could not be read; .*end of its file'
}

@test 'a target that polls in vain: a filter forbids the call' {
	trace -q "$E2E/deny" access 1 "$E2E/steps" wait=1000 save
	expect_status 125
	expect_text "$err" 'checkpoint 1 .* ended and had not polled .*checkpoint_complete .*seccomp'
}

# switches: how often the tracer has gone to sleep
switches()
{
	sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$tracer_pid/status"
}

has_slept()
{
	[ "$(switches)" -ge $((before + 5)) ]
}

@test 'a program that has mounts of its own and asks for nothing' {
	local before

	start_tracer unshare --mount sh -c 'touch ready; until [ -e go ]; do sleep 0.1; done'
	wait_until 'the program' test -e "$dir/ready"
	before=$(switches)
	wait_until 'the tracer to have looked' has_slept
	touch "$dir/go"
	finish_tracer
	expect_status 0
	expect_text "$err" 'no request came .*; it had another root folder or mount namespace'
}
