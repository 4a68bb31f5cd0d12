# SPDX-License-Identifier: BSD-2-Clause
# The examples of docs/examples that ask a tracer from outside, and the completion in bash.

load common

EXAMPLES=$TREE/docs/examples

@test 'branches.sh tries three branches from one checkpoint' {
	TRACER=$TRACER run_limited "$EXAMPLES/branches.sh"
	expect_status 0
	[ "$(grep -v -e '^checkpoint ' -e '^rolled back ' "$out" | paste -sd,)" = \
		'at the checkpoint: 1000,branch 1: 1001,branch 20: 1020,branch 300: 1300,at the end: 1000' ]
	[ "$(grep -c '^rolled back to fork: ' "$out")" -eq 3 ]
}

@test 'drive.py drives the socket' {
	find_python
	counter
	attach
	run_limited "$python" -I "$EXAMPLES/drive.py" "$dir/$socket"
	expect_status 0
	expect_text "$out" '^saved [1-9][0-9]* bytes of 1 threads$' '^rollback 10: [0-9]* pages, '
	ctl list
	[ "$(wc -l <"$out")" -eq 1 ]
	expect_answer line 2
	detach_and_check
}

@test 'drive.c asks from C, in thirty lines' {
	command -v cc >"$out" || skip 'there is no cc'
	[ "$(sed '/^#include/d; /^ \*/d; /^\/\*/d; /^$/d' "$EXAMPLES/drive.c" | wc -l)" -le 30 ]
	cc -Wall -Werror "$EXAMPLES/drive.c" -o "$dir/drive"
	counter
	attach
	run_limited "$dir/drive" "$dir/$socket" 'checkpoint from-c'
	expect_status 0
	expect_answer line 2
	run_limited "$dir/drive" "$dir/$socket" 'rollback from-c'
	expect_status 0
	expect_text "$out" '^{"ok":true,"op":"rollback","name":"from-c",'
	expect_answer line 2
	run_limited "$dir/drive" "$dir/$socket" 'rollback nothing'
	expect_status 1
	detach_and_check
}

# complete_words WORD...: what bash offers for the last word, sorted, in one line
complete_words()
{
	"$BASH" --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tracer
		printf "%s\n" "${COMPREPLY[@]}"' bash "$TREE/utils/completion.bash" "$@" | sort | paste -sd" "
}

# expect_complete WANTED WORD...
expect_complete()
{
	local wanted=$1 got

	shift
	got=$(complete_words "$@")
	if [ "$got" != "$wanted" ]; then
		printf '%s: offered is "%s", not "%s"\n' "$*" "$got" "$wanted"
		return 1
	fi
}

@test 'bash completes options, their values, commands and names of checkpoints' {
	expect_complete '--ready-chunks --regions --restore --restore-path' "$TRACER" --re
	expect_complete 'chunk' "$TRACER" -e c
	expect_complete 'process_vm' "$TRACER" --restore-path p
	expect_complete 'faults' "$TRACER" --dirty f
	expect_complete 'chunk' "$TRACER" --engine = c
	expect_complete 'auto chunk page slab' "$TRACER" --engine =
	expect_complete 'overflow' "$BUILD/slabsim" -x o
	expect_complete 'delete detach' "$TRACER" ctl 1 de
	expect_complete '--control-socket' "$TRACER" ctl --co
	expect_complete '--help' "$TRACER" check --h
	expect_complete '' "$TRACER" check x
	complete_words "$TRACER" -p $$ | tr ' ' '\n' | grep -q -x "$$" # others may begin so
	expect_complete 'scramble shared' "$TESTCASE" --case s
	expect_complete '--json' "$BUILD/readckpt" --j
	: >"$dir/image-a"
	: >"$dir/image-b"
	expect_complete 'image-a image-b' "$BUILD/restart" image-
	[ "$(complete_words "$TRACER" ch | tr ' ' '\n' | grep -c -x check)" -ge 1 ]
	local program

	for program in tracer testcase slabsim restart readckpt; do
		"$BASH" --norc -c ". '$TREE/utils/completion.bash'; complete -p $program" >"$out"
		expect_text "$out" '_tracer'
	done
}

@test 'bash completes the names of checkpoints' {
	counter
	"$TRACER" -p "$target" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'the tracer to attach' says "$err" 'tracer ctl'
	run_limited "$TRACER" ctl "$target" checkpoint first
	expect_status 0
	run_limited "$TRACER" ctl "$target" checkpoint second
	expect_complete 'first second' "$TRACER" ctl "$target" rollback ''
	expect_complete 'second' "$TRACER" ctl "$target" delete s
	complete_words "$TRACER" ctl "$target" | tr ' ' '\n' | grep -q -x "$target" # others may begin so
	run_limited "$TRACER" ctl "$target" detach
	finish_tracer
}
