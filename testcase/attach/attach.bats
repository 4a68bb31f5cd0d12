# SPDX-License-Identifier: BSD-2-Clause
# tracer -p and tracer ctl: the command line, the life of both, what is refused.

load common

@test 'checkpoints are taken, listed, rolled back to and deleted' {
	counter
	attach
	ctl checkpoint
	expect_text "$out" '^checkpoint 1: .* pages, 1 thread, stopped for '
	expect_answer line 2
	ctl checkpoint two
	expect_answer line 3
	ctl list
	[ "$(awk '{ print $1 }' "$out" | xargs)" = 'NAME 1 two' ]
	ctl rollback
	expect_text "$out" '^rolled back to two: '
	expect_answer line 3
	ctl rollback 1
	expect_answer line 2
	ctl rollback two
	expect_answer line 3
	ctl delete 1
	run_ctl rollback 1
	expect_status 1
	expect_text "$dir/ctl.err" 'there is no checkpoint of that name'
	ctl rollback two
	expect_answer line 3
	name=$(printf "n%.0s" {1..63}) # the longest
	ctl checkpoint "$name"
	ctl list
	[ "$(awk '{ print length }' "$out" | sort -u | wc -l)" -eq 1 ]
	ctl delete "$name"
	ctl status
	expect_text "$out" "^process: *$target\$" '^checkpoints: *1,' '^rollbacks: *4$'
	detach_and_check
	expect_answer line 4
}

# number_of NAME: a member of the answer in $out
number_of()
{
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$out"
}

anonymous_bytes()
{
	awk '/^Anonymous:/ { print $2 * 1024 }' "/proc/$tracer_pid/smaps_rollup"
}

@test 'a checkpoint takes at most 1.05 bytes for each byte, and none for zeros' {
	local before bytes store

	compile <<-'C'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>

		enum { MIB = 1 << 20, DATA = 64 * MIB, ZEROS = 192 * MIB };

		int main(void)
		{
			unsigned char *memory = mmap(NULL, DATA + ZEROS, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char line[64];

			memset(memory, 23, DATA);
			memset(memory + DATA, 0, ZEROS);
			while (fgets(line, sizeof(line), stdin)) {
				memory[23] ^= 1;
				puts(line[0] == 'w' ? "written" : "there");
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer there there
	attach
	before=$(anonymous_bytes)
	ctl --json checkpoint
	bytes=$(number_of bytes)
	[ "$bytes" -ge $((64 << 20)) ]
	[ "$bytes" -lt $((66 << 20)) ]
	ctl --json status
	store=$(number_of store_bytes)
	printf '%s bytes, %s in the store, %s of memory\n' "$bytes" "$store" $(($(anonymous_bytes) - before))
	[ $((store * 100)) -le $((bytes * 105)) ]
	[ $((($(anonymous_bytes) - before) * 100)) -le $((bytes * 105)) ]
	expect_answer write written
	ctl --json checkpoint
	[ "$(number_of bytes)" -lt $((1 << 20)) ]
	ctl --json status
	[ $(($(number_of store_bytes) - store)) -lt $((1 << 20)) ]
	detach_and_check
}

@test 'answers are JSON' {
	command -v jq >"$out" || skip 'there is no jq'
	counter
	attach
	ctl --json checkpoint a.b-c_D9
	[ "$(jq -c '[.ok, .op, .name, .threads, .bytes == .pages * 4096]' "$out")" = \
		'[true,"checkpoint","a.b-c_D9",1,true]' ]
	ctl --json list
	[ "$(jq -c '[.checkpoints[].name]' "$out")" = '["a.b-c_D9"]' ]
	run_ctl --json delete nothing
	expect_status 1
	[ "$(jq -c '[.ok, .op]' "$out")" = '[false,"delete"]' ]
	[ ! -s "$dir/ctl.err" ]
	ctl --json detach
	finish_tracer
}

@test 'wrong usage of ctl is told, with status 2, and nobody is asked' {
	local words

	for words in '' 1 'x list' '0 list' '1 nonsense' '1 list x' '1 delete' '1 rollback a b' \
		'--nonsense 1 list'; do
		# shellcheck disable=SC2086 # these are words
		run_limited "$TRACER" ctl $words
		expect_status 2
		[ -s "$err" ]
		[ ! -s "$out" ]
	done
	run_limited "$TRACER" ctl 1 delete $'a\nlist'
	expect_status 2
	run_limited "$TRACER" ctl 1
	expect_text "$err" 'COMMAND is needed' '^rollback' '^status$'
	target=$$
	run_ctl list
	expect_status 1
	expect_text "$dir/ctl.err" "tracer -p $$"
}

@test 'ctl waits for a tracer that has just been started' {
	counter
	"$TRACER" -p "$target" --control-socket "$dir/$socket" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'its exec' grep -qx tracer "/proc/$tracer_pid/comm"
	ctl checkpoint
	expect_answer line 2
	ctl rollback
	expect_answer line 2
	detach_and_check
}

@test 'a name that is none is refused, by tracer ctl or by the tracer' {
	counter
	attach
	for name in '' 'ä'; do
		run_ctl -- checkpoint "$name"
		expect_status 2
		expect_text "$dir/ctl.err" 'only letters, digits, '
	done
	for name in - -a a/b "$(printf 'a%.0s' {1..64})"; do
		run_ctl -- checkpoint "$name"
		expect_status 1
		expect_text "$dir/ctl.err" 'a name has letters, digits, .* at most 63, '
	done
	ctl list
	[ "$(wc -l <"$out")" -eq 1 ]
	ctl checkpoint "$(printf 'a%.0s' {1..63})"
	detach_and_check
}

@test 'a rollback without a checkpoint is refused' {
	counter
	attach
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" 'there is no checkpoint; take one first'
	expect_answer line 2
	detach_and_check
}

@test 'a target that runs another program is not rolled back to the one before' {
	start_target sh -c 'while read -r line; do
		[ "$line" != exec ] || { echo now; exec cat; }; echo "$line, says sh"; done'
	expect_answer hello 'hello, says sh'
	attach
	ctl checkpoint
	expect_answer exec now
	expect_answer hello hello
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" 'runs another program since the checkpoint'
	expect_answer hello hello
	detach_and_check
	attach
	ctl checkpoint
	ctl rollback
	expect_answer hello hello
	detach_and_check
}

@test 'Ctrl-C and other signals detach' {
	local signal

	counter
	for signal in INT TERM HUP QUIT; do
		attach
		ctl checkpoint
		kill "-$signal" "$tracer_pid"
		finish_tracer
		expect_status 0
		expect_text "$err" "detached from process $target"
		[ ! -e "$dir/$socket" ]
		expect_running "$target"
	done
	expect_answer line 2
}

@test 'the end of the target ends the tracer' {
	counter
	attach
	ctl checkpoint
	kill -KILL "$target"
	finish_tracer
	expect_status 0
	expect_text "$err" "process $target has ended"
	[ ! -e "$dir/$socket" ]
}

# The new process has the number by ns_last_pid of a PID namespace, in which all of them are.
@test 'a process that has got the number of a target is nobody to its tracer' {
	local command

	unshare --pid --fork --mount-proc true || skip 'there are no PID namespaces here'
	for command in rollback checkpoint "save $dir/image" diff; do
		TRACER=$TRACER command=$command dir=$dir socket=$dir/$socket \
			run_limited unshare --pid --fork --mount-proc --kill-child bash -e -c '
			sleep 1000 3>&- &
			target=$!
			"$TRACER" -p $target --control-socket "$socket" 2>"$dir/tracer.err" </dev/null 3>&- &
			tracer=$!
			until grep -qx tracer /proc/$tracer/comm; do
				sleep 0.05
			done
			"$TRACER" ctl --control-socket "$socket" $target checkpoint
			kill -STOP $tracer
			until grep -q "^State:.T" /proc/$tracer/status; do
				sleep 0.05
			done
			sockets=$(grep -c "$socket\$" /proc/net/unix)
			kill -KILL $target
			wait $target || true
			echo $((target - 1)) >/proc/sys/kernel/ns_last_pid
			sleep 1000 3>&- &
			[ $! -eq $target ]
			"$TRACER" ctl --control-socket "$socket" $target $command >"$dir/ctl.out" 2>&1 3>&- &
			ctl=$!
			until [ "$(grep -c "$socket\$" /proc/net/unix)" -gt $sockets ]; do
				sleep 0.05
			done
			kill -CONT $tracer
			wait $ctl && exit 1
			wait $tracer
			grep "^State:.[RSD]" /proc/$target/status
			grep "^TracerPid:.0" /proc/$target/status
			kill -KILL $target'
		expect_status 0
		expect_text "$dir/tracer.err" 'process [0-9]* has ended'
		expect_text "$dir/ctl.out" 'tracer ctl: '
		[ ! -e "$dir/image" ]
	done
}

@test 'a tracer that is killed leaves the target alone, and the next one takes its place' {
	counter
	attach
	ctl checkpoint
	expect_answer line 2
	kill -KILL "$tracer_pid"
	finish_tracer
	[ -S "$dir/$socket" ]
	run_ctl list
	expect_status 1
	expect_answer line 3
	attach
	ctl list
	[ "$(wc -l <"$out")" -eq 1 ]
	ctl checkpoint
	expect_answer line 4
	ctl rollback
	expect_answer line 4
	detach_and_check
}

# answers_or_ends LINE: the answer of the target is in answer; fails if the target is ended. The
# kernel may end it a moment later than the tracer.
answers_or_ends()
{
	local tries=$LIMIT_SECONDS

	printf '%s\n' "$1" >&"$to_target"
	while ! IFS= read -r -t 1 answer <&"$from_target"; do
		has_ended "$target" && return 1
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			answer='no answer'
			break
		fi
	done
	return 0
}

@test 'a tracer that is killed at any instant leaves the target as it was, or ends it' {
	local round

	command -v perl >"$out" || skip 'there is no perl'
	for round in {1..23}; do
		rm -f "$dir/in" "$dir/answers"
		start_target perl -e '$| = 1; my (@list, $sum);
			while (<STDIN>) {
				push @list, (length $_) x 10000; $sum += 10000 * length $_;
				my $is = 0; $is += $_ for @list;
				print $is == $sum ? "right\n" : "wrong\n";
			}'
		expect_answer hello right
		attach
		printf 'checkpoint\n' >"$dir/requests"
		yes "$(printf 'rollback\ncheckpoint again')" | head -n 2000 >>"$dir/requests"
		perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
			while (my $request = <STDIN>) { $s->print($request); $s->flush; <$s> // last }' \
			"$dir/$socket" <"$dir/requests" 2>"$dir/perl.err" 3>&- &
		started+=($!)
		sleep "0.$(printf %03d $((round * 37 % 300 + 10)))"
		kill -KILL "$tracer_pid"
		finish_tracer
		if ! answers_or_ends hello; then
			printf 'round %s: the target is ended\n' "$round"
			continue
		fi
		[ "$answer" = right ]
		expect_running "$target"
		kill -KILL "$target"
	done
}

@test 'two tracers do not listen at the same place' {
	counter
	attach
	run_limited "$TRACER" -p "$target" --control-socket "$dir/$socket"
	expect_status 125
	expect_text "$err" "another tracer (process $tracer_pid) listens there; .* tracer ctl $target detach"
	ctl checkpoint
	detach_and_check
}

# ctl_of SOCKET COMMAND...
ctl_of()
{
	socket=$1 ctl "${@:2}"
}

# A page that one of them arms must not look as if it had not been written to the other one.
@test 'two tracers at two places do not disturb each other' {
	local second

	compile <<-'C'
		#include <stdio.h>
		#include <string.h>

		enum { PAGES = 67, PAGE = 1 << 12 };
		static volatile int pages[PAGES][PAGE / sizeof(int)];

		int main(void)
		{
			char line[64];

			while (fgets(line, sizeof(line), stdin)) {
				int sum = 0;

				for (int i = 0; i < PAGES; i++)
					sum += ++pages[i][i];
				printf("%d\n", sum / PAGES);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer line 1
	attach
	ctl checkpoint
	socket=second.sock attach
	second=$tracer_pid
	expect_answer line 2
	ctl_of second.sock checkpoint early
	expect_answer line 3
	ctl rollback
	for ((round = 0; round < 3; round++)); do
		expect_answer line 2
		ctl_of second.sock rollback early
		expect_answer line 3
		expect_answer line 4
		ctl_of second.sock checkpoint later
		ctl rollback
		expect_answer line 2
		expect_answer line 3
		ctl_of second.sock rollback later
		expect_answer line 5
		ctl rollback
	done
	ctl_of second.sock detach
	tracer_pid=$second finish_tracer
	expect_answer line 2
	ctl rollback
	expect_answer line 2
}

@test 'the default socket is in /run/tracer, which nobody else can list' {
	counter
	: >"$err"
	"$TRACER" -p "$target" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'the tracer to attach' says "$err" "/run/tracer/$target.sock"
	[ "$(stat -c %a /run/tracer)" = 711 ] # others may reach a socket of theirs, and list nothing
	[ "$(stat -c %a "/run/tracer/$target.sock")" = 600 ]
	run_limited "$TRACER" ctl "$target" checkpoint
	expect_status 0
	run_limited "$TRACER" ctl "$target" detach
	expect_status 0
	finish_tracer
	[ ! -e "/run/tracer/$target.sock" ]
}

# expect_ctl_error TARGET PATTERN: tracer ctl says so of that process, in one line
expect_ctl_error()
{
	run_limited "$TRACER" ctl "$1" list
	expect_status 1
	expect_text "$err" "$2"
	[ "$(wc -l <"$err")" -eq 1 ]
}

# in_own_run SCRIPT: runs it in a shell with a /run of its own, where no other test removes what it
# leaves. There leave_dead FILE makes a socket that nobody has open.
in_own_run()
{
	find_python
	python=$python target=$target TRACER=$TRACER run_limited unshare -m sh -e -c '
	leave_dead() {
		"$python" -c "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$1"
	}
	mount -t tmpfs none /run
	mkdir /run/tracer
	'"$1"
}

@test 'tracer ctl says whether the process is missing, or its tracer' {
	local missing
	missing=$(cat /proc/sys/kernel/pid_max) # no process has this number
	counter
	expect_ctl_error "$missing" "^tracer ctl: there is no process $missing\$"
	expect_ctl_error "$target" "no tracer serves process $target; .*tracer -p $target\$"
	in_own_run '
	leave_dead "/run/tracer/$target.sock"
	"$TRACER" ctl "$target" list && exit 1
	test ! -e "/run/tracer/$target.sock"'
	expect_status 0
	expect_text "$err" "no tracer serves process $target any more: .* was killed"
	in_own_run '
	leave_dead /run/chosen
	"$TRACER" ctl --control-socket /run/chosen "$target" list && exit 1
	test -S /run/chosen'
	expect_status 0
	expect_text "$err" 'no tracer listens at /run/chosen'
}

@test 'tracer -p and tracer check remove what killed tracers have left in /run/tracer' {
	counter
	in_own_run '
	leave_dead /run/tracer/23.sock
	"$TRACER" check
	test ! -e /run/tracer/23.sock
	leave_dead /run/tracer/23.sock
	"$TRACER" -p "$target" &
	until grep -qx tracer /proc/$!/comm; do sleep 0.05; done
	"$TRACER" ctl "$target" list
	test ! -e /run/tracer/23.sock
	"$TRACER" ctl "$target" detach
	wait'
	expect_status 0
	expect_text "$out" '^control socket  *yes  /run/tracer/PID.sock (removed 1 of killed tracers)'
}

# expect_refused PID PATTERN...: not attached, with these words
expect_refused()
{
	local pid=$1

	shift
	run_limited "$TRACER" -p "$pid" --control-socket "$dir/$socket"
	expect_status 125
	expect_text "$err" "cannot attach to process $pid: " "$@"
	[ ! -e "$dir/$socket" ]
}

is_zombie()
{
	[ "$(state_of "$1")" = Z ]
}

@test 'what cannot be attached is refused by its reason' {
	sleep 1000 3>&- &
	target=$!
	started+=("$target")
	kill -KILL "$target"
	wait "$target" || true
	expect_refused "$target" 'there is no such process'
	start_target perl -e '$| = 1; my $child = fork; exit unless $child; print "$child\n"; sleep 1000'
	read -r child <&"$from_target"
	wait_until 'its child to end' is_zombie "$child"
	expect_refused "$child" 'it has ended, and its parent has not waited for it'
	if [ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ]; then
		expect_refused 2 'thread of the kernel'
	fi
	# the shell becomes the tracer
	run_limited sh -c 'exec "$1" -p $$ --control-socket "$2"' sh "$TRACER" "$dir/$socket"
	expect_status 125
	expect_text "$err" 'the tracer itself'
}

@test 'another user who may connect is told that he may not ask' {
	local nobody

	nobody=$(id -u nobody 2>"$err") || skip 'there is no user nobody'
	[ "$(id -u)" -eq 0 ] || skip 'only root can become another user'
	counter
	attach
	chmod 755 "$dir"
	chmod 666 "$dir/$socket"
	for _ in 1 2 3 4 5 6 7; do
		run_limited setpriv --reuid "$nobody" --clear-groups \
			"$TRACER" ctl --control-socket "$dir/$socket" "$target" list
		expect_status 1
		expect_text "$err" 'only root and the user of the tracer may ask'
	done
	: >"$err"
	detach_and_check
}

@test 'a thread is refused' {
	find_python
	start_target "$python" -I -u -c '
import sys, threading
threading.Thread(target=sys.stdin.read, daemon=True).start()
print("ready")
threading.Event().wait()
'
	IFS= read -r -t "$LIMIT_SECONDS" answer <&"$from_target"
	expect_refused "$(ls "/proc/$target/task" | grep -v -x "$target")" 'it is a thread'
}

@test 'a target that is traced is refused' {
	command -v strace >"$out" || skip 'there is no strace'
	counter
	strace -o "$dir/strace" -p "$target" 2>"$dir/strace.err" 3>&- &
	started+=($!)
	wait_until strace says "$dir/strace.err" attached
	expect_refused "$target" "process [0-9]* (strace) traces it; that one must detach first"
	expect_answer line 2
}

@test 'a target in another PID namespace is refused' {
	local parent

	unshare --pid --fork sleep 1000 3>&- &
	parent=$!
	started+=("$parent")
	wait_until 'the child' grep -q . "/proc/$parent/task/$parent/children"
	target=$(xargs <"/proc/$parent/task/$parent/children")
	started+=("$target")
	expect_refused "$target" 'another PID namespace'
}

@test 'without root: processes of the same user, and no others' {
	local of_root=$TRACER

	become_nobody
	start_target setpriv --reuid "$nobody" --regid "$nobody" --clear-groups \
		sh -c 'n=0; while read -r line; do n=$((n + 1)); echo "$n"; done'
	expect_answer line 1
	attach
	ctl checkpoint
	expect_answer line 2
	ctl rollback
	expect_answer line 2
	TRACER=$of_root # root is answered too
	ctl rollback
	expect_answer line 2
	detach_and_check
	rm -f "$dir/in" "$dir/answers"
	counter
	TRACER=$dir/as_nobody
	expect_refused "$target" 'another user'
	# without a place for the socket
	env -u XDG_RUNTIME_DIR "$TRACER" ctl 1 list 2>"$err" && return 1
	expect_text "$err" XDG_RUNTIME_DIR
}

# Yama lets a process trace its descendants alone then.
@test 'without root, where Yama forbids it' {
	local scope=/proc/sys/kernel/yama/ptrace_scope before nobody

	[ -n "${TRACER_VM:-}" ] || skip 'a setting of the kernel is changed in a virtual machine alone'
	before=$(cat "$scope") || skip 'this kernel has no Yama'
	nobody=$(id -u nobody 2>"$err") || skip 'there is no user nobody'
	chmod 777 "$dir"
	cp "$TRACER" "$dir/tracer"
	chmod 755 "$dir/tracer"
	start_target setpriv --reuid "$nobody" --regid "$nobody" --clear-groups \
		sh -c 'n=0; while read -r line; do n=$((n + 1)); echo "$n"; done'
	expect_answer line 1
	echo 1 >"$scope"
	run_limited setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$dir/tracer" \
		-p "$target" --control-socket "$dir/$socket"
	echo "$before" >"$scope"
	expect_status 125
	expect_text "$err" "cannot attach to process $target: .*kernel.yama.ptrace_scope forbids it"
	expect_answer line 2
}

@test 'clients that behave badly keep nobody up' {
	command -v perl >"$out" || skip 'there is no perl'
	counter
	attach
	perl -MIO::Socket::UNIX -e '
		my @silent = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die } 1 .. 100;
		$silent[99]->syswrite("checkp");
		my $long = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
		local $SIG{PIPE} = "IGNORE";
		$long->syswrite("x" x 100000);
		my $gone = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
		$gone->syswrite("list\n");
		close $gone;
		open my $ready, ">", $ARGV[1];
		sleep 1000;' "$dir/$socket" "$dir/ready" 2>"$dir/perl.err" 3>&- &
	started+=($!)
	wait_until 'the clients' test -e "$dir/ready"
	ctl checkpoint
	ctl list
	[ "$(wc -l <"$out")" -eq 2 ]
	detach_and_check
}

# roll_back_often NAME: 23 checkpoints and rollbacks by ctl; its messages are in $dir/NAME
roll_back_often()
{
	local round

	for ((round = 0; round < 23; round++)); do
		timeout "$LIMIT_SECONDS" "$TRACER" ctl --control-socket "$dir/$socket" "$target" \
			checkpoint "$1" || return
		timeout "$LIMIT_SECONDS" "$TRACER" ctl --control-socket "$dir/$socket" "$target" \
			rollback "$1" || return
	done >"$dir/$1" 2>&1 3>&-
}

@test 'several ctl at the same time' {
	local pids=() pid

	counter
	attach
	for name in one two three; do
		roll_back_often "$name" 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	[ "$(cat "$dir"/{one,two,three} | grep -c '^rolled back to ')" -eq 69 ]
	ctl status
	expect_text "$out" '^checkpoints: *3,' '^rollbacks: *69$'
	expect_answer line 2
	detach_and_check
}

@test 'requests that are none' {
	command -v perl >"$out" || skip 'there is no perl'
	counter
	attach
	ctl checkpoint
	perl -MIO::Socket::UNIX -e '
		srand(2303);
		my @words = ("rollback", "checkpoint", "delete", "diff", "save", "list", "status",
			"--close-new-fds", "--json", "1", "/", "%", "%00", "%zz", "/tmp/%2e%2e/%0a",
			"-", "\x{ff}\x{fe}", "a" x 300, "", " ", "\t", "\r", "\x1b[2J", "\"{}");
		for my $round (1 .. 500) {
			my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "gone";
			my $line = join " ", map { $words[rand @words] } 1 .. 1 + rand 5;
			next if $line =~ /^ *(checkpoint|delete|save|detach)/;
			$s->syswrite("$line\n");
			my $answer = <$s>;
			$answer =~ /^\{"ok":(true|false),.*\}\n$/ or die "$line: $answer";
			$answer !~ /[\x00-\x09\x0b-\x1f]/ or die "$line: $answer";
		}' "$dir/$socket" 2>"$dir/perl.err" || { cat "$dir/perl.err"; return 1; }
	ctl rollback 1
	expect_answer line 2
	detach_and_check
}

@test 'ctl and check answer the options for help' {
	local command

	for command in ctl check; do
		run_limited "$TRACER" "$command" --help
		expect_status 0
		expect_text "$out" "^Usage: tracer $command "
		run_limited "$TRACER" "$command" --version
		expect_status 0
		[ "$(cat "$out")" = "tracer $(cat "$TREE/VERSION")" ]
	done
}

@test 'tracer check tells what this machine can do' {
	run_limited "$TRACER" check
	expect_status 0
	expect_text "$out" '^kernel ' '^root *yes' '^BPF *yes' '^tracer PROGRAM *yes' \
		'^tracer -p PID *yes'
	[ "$(grep -c -v -E '^(kernel|[A-Za-z_][A-Za-z_ -]*  *(yes|no|\?) +[^ ])' "$out")" = 0 ]
	case $(restore_path) in
	bpf) expect_text "$out" '^BPF writes *yes' ;;
	*) expect_text "$out" '^BPF writes *no .*lockdown' ;;
	esac
	run_limited setpriv --reuid 65534 --clear-groups "$TRACER" check
	expect_status 0
	expect_text "$out" '^root *no' '^call tracepoints *? ' '^tracer PROGRAM *no'
	run_limited unshare -m sh -c 'umount /sys/kernel/tracing 2>/dev/null; exec "$1" check' sh "$TRACER"
	expect_status 0
	expect_text "$out" '^tracefs *no' '^call tracepoints *? ' '^tracer PROGRAM *yes'
	run_limited "$TRACER" check nonsense
	expect_status 2
	expect_text "$err" "unknown argument 'nonsense'"
	run_limited sh -c '"$1" check >/dev/full' sh "$TRACER"
	expect_status 125
}
