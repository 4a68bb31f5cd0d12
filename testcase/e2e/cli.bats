# SPDX-License-Identifier: BSD-2-Clause
# The command line: exit statuses, options, signals, --wait, --map-log.

load common

# run_tracer ARG...: without the folders that trace() adds
run_tracer()
{
	run_limited "$TRACER" "$@"
}

@test 'the exit status of the program' {
	trace /bin/true
	expect_status 0
	trace sh -c 'exit 23'
	expect_status 23
	trace -- sh -c 'exit 124'
	expect_status 124
}

@test '128 and the number of the signal that ended the program' {
	trace sh -c 'kill -KILL $$'
	expect_status 137
	trace sh -c 'kill -SEGV $$'
	expect_status 139
}

@test '125 when an operation has failed, whatever the program says' {
	trace "$E2E/steps" restore exit=0
	expect_status 125
	expect_steps 'restore: -5'
	expect_column status failed
}

@test '126 when the program cannot be executed' {
	printf 'not a program\n' >"$dir/text"
	trace "$dir/text"
	expect_status 126
	expect_text "$err" "$dir/text: Permission denied"
	trace "$dir"
	expect_status 126
	expect_no_control_files
}

@test '127 when the program is not found' {
	trace "$dir/nothing"
	expect_status 127
	expect_text "$err" "$dir/nothing: No such file"
	trace no-such-program-anywhere
	expect_status 127
	[ "$(wc -l <"$err")" -eq 1 ]
	[ ! -e "$csv" ]
	expect_no_control_files
	trace '' # an empty name
	expect_status 127
	PATH=/nowhere::$PATH trace true
	expect_status 0
	env -u PATH "$TRACER" -q --control-dir "$control" -o "$csv" true
	ln -s /nowhere "$dir/nowhere"
	trace "$dir/nowhere"
	expect_status 127
	printf '#!/nowhere\n' >"$dir/script"
	chmod 755 "$dir/script"
	run_limited "$TRACER" --control-dir "$control" "$dir/script"
	expect_status 127
	[ -z "$(ls results)" ] # the interpreter is looked for after the report was made
}

@test '126 and 127 as another user' {
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	chmod 711 "$dir"
	trace --user nobody "$dir/nothing"
	expect_status 127
	install -m 700 /bin/true "$dir/private"
	trace --user nobody "$dir/private"
	expect_status 126
}

@test 'the program runs as the user that was named' {
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	chmod 711 "$dir"
	trace --user nobody sh -c 'id -un; echo $USER'
	expect_status 0
	[ "$(xargs <"$out")" = 'nobody nobody' ]
	trace --user 65534 id -un
	[ "$(cat "$out")" = nobody ]
	trace --user no-such-user true
	expect_status 125
	expect_text "$err" no-such-user 'no such user'
}

@test 'under sudo the program runs as the user who called it' {
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	chmod 711 "$dir"
	SUDO_UID=$(id -u nobody) trace id -un
	expect_status 0
	[ "$(cat "$out")" = nobody ]
}

@test 'garbage in numbers is refused by the name of the option' {
	for option in --max-chunks --ready-chunks; do
		for text in '' x 10abc -1 +1 0 1.5 0x ' 1' 99999999999999999999; do
			run_tracer "$option" "$text" true
			expect_status 125
			expect_text "$err" "$option"
		done
	done
}

@test 'unknown options and words are refused by their name' {
	run_tracer --nonsense true
	expect_status 125
	expect_text "$err" nonsense
	run_tracer -e disk true
	expect_status 125
	expect_text "$err" "engine: 'disk' is none of auto, chunk, slab, page"
	run_tracer --pages-per-poll 2 true
	expect_status 125
	expect_text "$err" 'pages-per-poll goes with --engine page, not with auto'
	for list in '' mmap, ,mmap heap,nonsense mmapheap; do
		run_tracer --regions "$list" true
		expect_status 125
		expect_text "$err" '--regions' 'mmap, heap, bss, data, stack'
	done
	run_tracer --restore-path magic true
	expect_status 125
	expect_text "$err" "restore-path: 'magic' is none of auto, bpf, process_vm"
}

@test 'a missing or superfluous argument is named' {
	run_tracer
	expect_status 125
	expect_text "$err" PROGRAM
	run_tracer --max-chunks
	expect_status 125
	expect_text "$err" max-chunks
	run_tracer --wait name true
	expect_status 125
	expect_text "$err" '--wait name'
	run_tracer --wait ''
	expect_status 125
	run_tracer --wait a/b
	expect_status 125
	expect_text "$err" 'base name'
	run_tracer --wait name --user nobody
	expect_status 125
	expect_text "$err" '--user'
}

@test '--help names the options and the exit status' {
	run_tracer --help
	expect_status 0
	expect_text "$out" '--control-dir' '--max-chunks' 'Exit status'
}

@test 'every program answers the same options for help' {
	local program option

	for program in tracer testcase slabsim restart readckpt; do
		for option in -h -\? --help --usage; do
			run_limited "$BUILD/$program" "$option"
			expect_status 0
			expect_text "$out" "^Usage: $program "
			[ ! -s "$err" ]
			[ "$option" = --usage ] || sed -n '/^ Help:$/,/^$/p' "$out" >>"$dir/$option"
		done
		for option in -V --version; do
			run_limited "$BUILD/$program" "$option"
			expect_status 0
			[ "$(cat "$out")" = "$program $(cat "$TREE/VERSION")" ]
			[ ! -s "$err" ]
		done
	done
	for option in -h -\? --help; do
		[ "$(sort "$dir/$option" | uniq -c | awk '{ print $1 }' | sort -u)" = 5 ]
	done
}

@test 'stdout and stdin belong to the program' {
	printf 'a\nb' >"$dir/in"
	status=0
	timeout "$LIMIT_SECONDS" "$TRACER" -v --control-dir "$control" -o "$csv" cat \
		<"$dir/in" >"$out" 2>"$err" 3>&- || status=$?
	expect_status 0
	cmp "$dir/in" "$out"
}

@test 'with standard files closed, messages are lost, and the program finds them closed too' {
	status=0
	# shellcheck disable=SC2016 # the shell that is traced expands it
	timeout "$LIMIT_SECONDS" "$TRACER" -v --control-dir "$control" -o "$csv" sh -c \
		'[ ! -e /proc/$$/fd/0 ] && [ ! -e /proc/$$/fd/1 ] && [ ! -e /proc/$$/fd/2 ]' \
		<&- >&- 2>&- 3>&- || status=$?
	expect_status 0
	[ "$(wc -l <"$csv")" -eq 1 ]
	expect_text "$csv" '^run_id'
}

@test 'options after the program belong to the program' {
	trace printf '%s ' --help -V -- -o x
	expect_status 0
	[ "$(cat "$out")" = '--help -V -- -o x ' ]
}

@test '-q says nothing but errors, -v tells of each operation' {
	trace -q "$E2E/steps" save restore
	expect_status 0
	[ ! -s "$err" ]
	trace -v "$E2E/steps" save restore
	expect_status 0
	expect_text "$err" 'checkpoint 1: ' 'restore 2: '
	trace -q "$E2E/steps" restore
	expect_status 125
	expect_text "$err" 'restore 1 of process'
}

@test 'a map log that has no room' {
	trace -q --map-log /dev/full "$E2E/steps" save
	expect_status 125
	expect_text "$err" 'cannot write the map log /dev/full: No space left on device'
}

@test 'no report, in /dev/null' {
	csv=/dev/null
	trace "$E2E/steps" save restore
	expect_status 0
	expect_text "$err" 'report: /dev/null'
	csv=/dev/full
	trace touch "$dir/ran"
	expect_status 125
	expect_text "$err" '/dev/full: No space left'
	csv=/dev/stdout
	trace touch "$dir/ran"
	expect_status 125
	expect_text "$err" '/dev/stdout: it is a symbolic link'
	[ ! -e "$dir/ran" ]
}

@test 'who restores is said once, before the program runs' {
	trace true
	[ "$(grep -c 'checkpoint in BPF' "$err")" = 1 ]
	if [ "$(restore_path)" = bpf ]; then
		expect_text "$err" 'restore in BPF'
	else
		expect_text "$err" 'restore with process_vm_writev, for the kernel forbids'
		trace --restore-path bpf true
		expect_status 125
		expect_text "$err" 'restore-path bpf'
	fi
}

@test 'a signal to the tracer reaches the program' {
	start_tracer sh -c "trap 'exit 23' USR1; echo ready; while :; do sleep 0.05; done"
	wait_until 'the program' says "$out" ready
	kill -USR1 "$tracer_pid"
	finish_tracer
	expect_status 23
}

@test 'SIGTERM to the tracer ends the program, in the middle of its operations' {
	start_tracer "$TESTCASE" -t 600 --case idle
	wait_until 'the first operations' says "$csv" ,restore,
	kill -TERM "$tracer_pid"
	finish_tracer
	expect_status 143
	expect_each status ok
	expect_text "$err" 'report:'
	expect_no_control_files
}

@test '--wait traces a program that is started by somebody else' {
	cp "$E2E/steps" "$dir/$waited"
	start_tracer --wait "$waited"
	wait_until 'the tracer' says "$err" "waiting for a program named $waited"
	TRACER_CONTROL_DIR=$control "$E2E/steps" exit=0
	TRACER_CONTROL_DIR=$control timeout "$LIMIT_SECONDS" "$dir/$waited" \
		save scramble restore verify scramble restore verify >"$dir/steps" 3>&-
	[ "$(grep -c 'verify: ok' "$dir/steps")" = 2 ]
	finish_tracer
	expect_status 0
	expect_column op checkpoint restore restore
	expect_column comm "$waited" "$waited" "$waited"
	expect_each status ok
	expect_no_control_files
}

@test '--wait follows the first of two programs' {
	cp "$E2E/steps" "$dir/$waited"
	start_tracer --wait "$waited"
	wait_until 'the tracer' says "$err" 'waiting for a program named'
	export TRACER_CONTROL_DIR=$control
	"$dir/$waited" touch="$dir/first" await="$dir/go" save scramble restore verify \
		>"$dir/steps" 3>&- &
	started+=($!)
	wait_until 'the first program' test -e "$dir/first"
	TRACER_TIMEOUT_MS=$NOBODY_ANSWERS_MS "$dir/$waited" save >"$dir/second"
	expect_text "$dir/second" 'save: -110'
	touch "$dir/go"
	finish_tracer
	expect_status 0
	expect_text "$dir/steps" 'save: 0' 'restore: 0' 'verify: ok'
	expect_each pid "$(sed -n 's/^pid: //p' "$dir/steps")"
}

@test '--wait traces a program in a PID namespace of its own, as in a container' {
	cp "$E2E/process" "$dir/$waited"
	start_tracer --wait "$waited"
	wait_until 'the tracer' says "$err" 'waiting for a program named'
	TRACER_CONTROL_DIR=$control unshare --pid --fork unshare --pid --fork \
		"$dir/$waited" fork threads >"$dir/scenes"
	expect_text "$dir/scenes" 'fork: ok' 'threads: ok'
	finish_tracer
	expect_status 0
	expect_each status ok
}

# watches_signals PID: by signalfd(2)
watches_signals()
{
	[ -n "$(find "/proc/$1/fd" -lname '*signalfd*')" ]
}

@test 'SIGINT and SIGTERM end a waiting tracer: nothing was traced, in word and status' {
	for signal in INT TERM; do
		start_tracer --wait nobody-comes
		wait_until 'the tracer' says "$err" 'waiting for a program named'
		kill "-$signal" "$tracer_pid"
		finish_tracer
		expect_status $((128 + $(kill -l "$signal")))
		[ "$(tail -n 1 "$err")" = \
			'tracer: interrupted; no program named nobody-comes has been executed' ]
		expect_no_control_files
	done
	start_tracer -q --wait nobody-comes
	wait_until 'the tracer' watches_signals "$tracer_pid"
	kill -INT "$tracer_pid"
	finish_tracer
	expect_status 130
	[ ! -s "$err" ]
}

@test 'SIGTERM to a tracer with --wait leaves the program alone' {
	cp "$E2E/steps" "$dir/$waited"
	start_tracer --wait "$waited"
	wait_until 'the tracer' says "$err" 'waiting for a program named'
	TRACER_CONTROL_DIR=$control "$dir/$waited" save touch="$dir/saved" await="$dir/go" verify \
		wait=$NOBODY_ANSWERS_MS save exit=23 >"$dir/steps" 3>&- &
	program=$!
	started+=("$program")
	wait_until 'the checkpoint' test -e "$dir/saved"
	kill -TERM "$tracer_pid"
	finish_tracer
	expect_status 0
	expect_running "$program"
	touch "$dir/go"
	status=0
	wait "$program" || status=$?
	expect_status 23
	expect_text "$dir/steps" 'save: 0' 'verify: ok' 'save: -110'
	expect_no_control_files
}

# crc_of BYTE: the CRC-32 of 256 times that byte (octal), from the trailer that gzip writes
crc_of()
{
	head -c 256 /dev/zero | tr '\0' "\\$1" | gzip -c | tail -c 8 | head -c 4 |
		od -An -tx4 | tr -d ' '
}

@test '--map-log tells each range and chunk, with the right checksums' {
	trace --engine chunk --map-log "$dir/map" "$E2E/steps" bytes=8192 byte=165 save scramble
	expect_status 0
	buffer=$(sed -n 's/^buffer: //p' "$out")
	[ -n "$buffer" ]
	expect_text "$dir/map" "^# process $(pid_of_program) (steps), snapshot valid" \
		"^range $buffer 0x[0-9a-f]* 8192\$" "^chunk $buffer present $(crc_of 245)\$"
	for ((i = 0; i < 8192; i += 256)); do
		expect_text "$dir/map" \
			"^chunk $(printf '%#x' $((buffer + i))) present $(crc_of 245)\$"
	done
	expect_text "$dir/map" "^chunk 0x[0-9a-f]* absent $(crc_of 000)\$"
	[ "$(grep -c '^chunk' "$dir/map")" = "$(column chunks)" ]
	[ "$(grep -c '^range' "$dir/map")" = "$(column ranges)" ]
	expect_no_text "$dir/map" unreadable
	[ "$(grep -c -v -E -e '^#' -e '^range 0x[0-9a-f]+ 0x[0-9a-f]+ [0-9]+$' \
		-e '^chunk 0x[0-9a-f]+ (empty|present|absent|unreadable) [0-9a-f]{8}$' \
		"$dir/map")" = 0 ]
}

@test '--usage is short, on stdout' {
	trace --usage
	expect_status 0
	expect_text "$out" '--regions'
	[ ! -s "$err" ]
}

@test '--map-log to a place that cannot be written is told' {
	trace --map-log "$dir/nothing/map" true
	expect_status 125
	expect_text "$err" "$dir/nothing/map"
	ln -s "$dir/victim" "$dir/link"
	trace --map-log "$dir/link" true
	expect_text "$err" "$dir/link"
	[ ! -e "$dir/victim" ]
}

@test 'a report that cannot be written ends the tracer before the program runs' {
	ln -s "$dir/victim" "$dir/link"
	mkdir "$dir/folder"
	for csv in "$dir/nothing/report.csv" "$dir/link" "$dir/folder"; do
		trace touch "$dir/ran"
		expect_status 125
		expect_text "$err" "$csv"
	done
	[ ! -e "$dir/ran" ]
	[ ! -e "$dir/victim" ]
	cp "$TRACER" tracer
	touch results
	run_limited ./tracer --control-dir "$control" touch "$dir/ran"
	expect_status 125
	expect_text "$err" results '--output'
	[ ! -e "$dir/ran" ]
	expect_no_control_files
}

@test 'a results folder on a read-only file system is told' {
	mkdir "$dir/work"
	cp "$TRACER" "$dir/tracer"
	run_limited unshare -m sh -c 'mount -t tmpfs -o ro none "$1" && cd "$1" &&
		exec "$2" --control-dir "$3" touch "$4"' \
		sh "$dir/work" "$dir/tracer" "$control" "$dir/ran"
	expect_status 125
	expect_text "$err" results '--output' 'Read-only file system'
	[ ! -e "$dir/ran" ]
}

@test 'rows that are lost are told, and are a failure' {
	mkdir "$dir/full"
	run_limited unshare -m sh -c 'mount -t tmpfs -o size=8k none "$1" &&
		head -c 4096 /dev/zero >"$1/filler" &&
		exec "$2" --control-dir "$3" -o "$1/report.csv" "$4" -t 0 --case repeat' \
		sh "$dir/full" "$TRACER" "$control" "$TESTCASE"
	expect_status 125
	expect_text "$err" 'rows are being lost' 'rows of the report lost'
	expect_text "$out" 'every byte is right'
}
