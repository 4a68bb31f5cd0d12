# SPDX-License-Identifier: BSD-2-Clause
# tracer ctl on a program that the tracer runs, or waits for.

load common

# The target counts lines, so its answers show whether it went back.
counter='n=0; while read -r line; do n=$((n + 1)); echo "$n"; done'

# runs NAME: has the tracer executed it? Then target is its pid. The tracer may have helpers, too.
runs()
{
	target=$(pgrep -x -P "$tracer_pid" "$1")
}

# run_counter OPTION...: the tracer runs the counter, with the pipes of common.bash
run_counter()
{
	mkfifo "$dir/in" "$dir/answers"
	exec {to_target}<>"$dir/in" {from_target}<>"$dir/answers"
	"$TRACER" --control-dir "$control" -o "$csv" --control-socket "$dir/$socket" "$@" \
		sh -c "$counter" <"$dir/in" >"$dir/answers" 2>"$err" 3>&- {to_target}>&- {from_target}>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	expect_answer line 1
	wait_until 'the counter' runs sh
	wait_until 'the socket' test -S "$dir/$socket"
}

@test 'checkpoint, rollback, list, delete and status of a program that the tracer runs' {
	run_counter
	ctl status --json
	expect_text "$out" "\"pid\":$target,\"tracking\":\"none\",\"checkpoints\":0"
	ctl list
	[ "$(wc -l <"$out")" -eq 1 ] # its head
	run_ctl delete first
	[ "$status" -eq 1 ]
	run_ctl rollback
	[ "$status" -eq 1 ]
	expect_text "$dir/ctl.err" 'there is no checkpoint'
	ctl checkpoint first
	for round in 1 2 3 4 5; do
		expect_answer line 2
		expect_answer line 3
		ctl rollback first
	done
	ctl status --json
	if "$TRACER" check | grep -c -e '^fault tracepoints *yes' -e '^WP_ASYNC *yes' | grep -qx 2; then
		expect_text "$out" '"tracking":"faults"'
	fi
	ctl checkpoint second
	ctl list
	expect_text "$out" '^first ' '^second '
	ctl delete first
	ctl status --json
	expect_text "$out" '"checkpoints":1' '"rollbacks":5,"stopped":false'
	run_ctl detach
	[ "$status" -eq 1 ]
	expect_text "$dir/ctl.err" 'ends with it'
	expect_answer line 2
	exec {to_target}>&-
	finish_tracer
	expect_status 0
	expect_no_text "$err" 'no request came'
	[ ! -e "$dir/$socket" ]
}

@test 'requests that come at once are all answered while their client stays' {
	run_counter
	timeout "$LIMIT_SECONDS" perl -MIO::Socket::UNIX -e '
		my $tracer = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
		$tracer->syswrite("status\nlist\ncheckpoint\n");
		print scalar <$tracer> for 1 .. 3;' "$dir/$socket" >"$out"
	[ "$(sed 's/.*"op":"\([a-z]*\)".*/\1/' "$out" | xargs)" = 'status list checkpoint' ]
	exec {to_target}>&-
	finish_tracer
	expect_status 0
}

@test 'the default socket is there while the program runs' {
	run_limited "$TRACER" --control-dir "$control" -o "$csv" \
		sh -c 'until [ -S "/run/tracer/$$.sock" ]; do sleep 0.05; done
			"$1" ctl $$ checkpoint && "$1" ctl $$ list --json; ls "/run/tracer/$$.sock"' sh "$TRACER"
	expect_status 0
	expect_text "$out" '^checkpoint 1' '"name":"1"' '^/run/tracer/[0-9]*.sock$'
	[ ! -e "$(tail -n 1 "$out")" ]
}

@test 'a program that was waited for lives on after detach' {
	cp "$(command -v sleep)" "$dir/$waited"
	start_tracer --control-socket "$dir/$socket" --wait "$waited"
	wait_until 'the tracer to wait' says "$err" 'waiting for'
	"$dir/$waited" 1000 3>&- &
	target=$!
	started+=("$target")
	wait_until 'the socket' test -S "$dir/$socket"
	ctl checkpoint
	ctl rollback
	detach_and_check
}

@test 'restores that a program asks for itself, and checkpoints from outside, do not disturb each other' {
	: >"$err"
	"$TRACER" --control-dir "$control" -o "$csv" --control-socket "$dir/$socket" "$TESTCASE" -n 12 \
		-t "$LIMIT_SECONDS" >"$out" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'testcase' runs testcase
	wait_until 'the socket' test -S "$dir/$socket"
	wait_until 'the first restore' says "$csv" ,restore,
	for round in 1 2 3 4 5 6 7; do
		out=$dir/said ctl checkpoint
	done
	kill -TERM "$target"
	finish_tracer
	expect_status 143
	expect_text "$out" 'ok, every byte is right'
}

# The tracer writes the pages, so they are not in the list of faults; they are too many to be left
# unarmed.
@test 'a rollback finds what a restore has written' {
	compile -I"$TREE/utils" "$BUILD/client.o" <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>
		#include "client/client.h"

		enum { BYTES = 101 * 4096 };

		int main(void)
		{
			char line[64], *pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			setvbuf(stdin, NULL, _IONBF, 0);
			while (fgets(line, sizeof(line), stdin)) {
				int err = 0;

				if (*line == 'w')
					memset(pages, line[1], BYTES);
				if (*line == 's')
					err = client__save(0);
				if (*line == 'r')
					err = client__restore(0);
				printf("%d %c %c\n", err, *pages, pages[BYTES - 1]);
				fflush(stdout);
			}
		}
	C
	mkfifo "$dir/in" "$dir/answers"
	exec {to_target}<>"$dir/in" {from_target}<>"$dir/answers"
	TRACER_CONTROL_DIR=$control "$TRACER" --control-dir "$control" -o "$csv" --regions mmap \
		--control-socket "$dir/$socket" "$dir/program" \
		<"$dir/in" >"$dir/answers" 2>"$err" 3>&- {to_target}>&- {from_target}>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	expect_answer w1 '0 1 1'
	runs program
	expect_answer save '0 1 1'
	expect_answer w2 '0 2 2'
	ctl checkpoint
	for round in 1 2 3; do
		expect_answer restore '0 1 1'
		ctl rollback
		expect_answer print '0 2 2'
		ctl rollback
	done
	exec {to_target}>&-
	finish_tracer
	expect_status 0
}

@test 'tracer ctl takes a program back to the checkpoint that it has asked for, and it is told' {
	find_python
	mkfifo "$dir/in"
	exec {to_target}<>"$dir/in"
	printf '%s\n' 'exec(open(__import__("os").environ["EXAMPLE"]).read().split("numbers =")[0])' \
		'print(ask("checkpoint"), flush=True)' 'input()' >"$dir/program.py"
	EXAMPLE=$TREE/docs/examples/rollback.py "$TRACER" --control-dir "$control" -o "$csv" \
		--control-socket "$dir/$socket" "$python" "$dir/program.py" \
		<"$dir/in" >"$dir/answers" 2>"$err" 3>&- {to_target}>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'the checkpoint' says "$dir/answers" checkpoint
	runs "${python##*/}"
	ctl rollback program
	wait_until 'the rollback' says "$dir/answers" rollback
	[ -z "$(ls -A "$control")" ]
	echo line >&"$to_target"
	finish_tracer
	expect_status 0
}

@test 'the next tracer may use the control folder at once' {
	command -v cc >"$out" || skip 'there is no cc'
	cc -O2 -I"$TREE/utils" "$TREE/docs/examples/rollback.c" "$BUILD/client.o" -o "$dir/rollback"
	for run in 1 2 3 4 5 6 7; do
		goes_back "$dir/rollback"
	done
}
