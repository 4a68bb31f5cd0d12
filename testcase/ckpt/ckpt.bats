# SPDX-License-Identifier: BSD-2-Clause
# libckpt and restart: programs that are killed and brought back, and everything that can go wrong.

bats_require_minimum_version 1.5.0

TREE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
BUILD=${TRACER_BUILD:-$TREE/build}
WORK=$BUILD/ckpt/work
RESTART=$BUILD/restart
SCENE=$TREE/testcase/ckpt/scene.sh
LIMIT=1000 # see ../limit.h

setup()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-ckpt-bats.XXXXXX")
	cd "$dir" || return 1
	pid=
	mounted=
	launch=() # restart with
	under=()  # start with
	restart_options=()
	ahead=(--time --fork --kill-child --monotonic 20000 --boottime 20000)
	unset "${!CKPT_@}"
}

teardown()
{
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	[ -z "$mounted" ] || umount "$mounted"
	if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		head -n 20 out err restart.err 2>/dev/null || true
	fi
	cd / && rm -rf "$dir"
}

scene()
{
	"$SCENE" "$@"
}

# has_ended PID
has_ended()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ ${stat##*) } == Z* ]]
}

# wait_for WHAT COMMAND...: waits until COMMAND succeeds, or the program has ended and it never will
wait_for()
{
	local what=$1 tries=$((LIMIT * 50))

	shift
	until "$@"; do
		tries=$((tries - 1))
		if [ $tries -eq 0 ] || { [ -n "$pid" ] && has_ended "$pid"; }; then
			! "$@" || return 0
			echo "waited in vain for $what"
			return 1
		fi
		sleep 0.02
	done
}

# start [NAME=VALUE...] 'SCENE [NUMBER]': work.c with libckpt in the background; its
# number is in pid.
start()
{
	local scene

	read -ra scene <<<"${@: -1}"
	last=
	rm -f out # of the one before, which was ready
	"${under[@]}" env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "${@:1:$#-1}" \
		"$WORK" "${scene[@]}" >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
}

# start_program COMMAND...: any program with libckpt, which signal 64 asks; pid as with start
start_program()
{
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_SIGNAL=64 "$@" \
		>out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
}

# take_image [SIGNAL]: of the program that was started, which is killed
take_image()
{
	kill "-${1:-USR2}" "$pid"
	wait_for 'an image' test -e image
	kill -KILL "$pid"
	wait "$pid" || true
}

# next_image: asks for one, and waits for it, and for the child that has written it: a request
# before its end is refused
next_image()
{
	kill -USR2 "$pid"
	wait_for 'the next image' has_changed
	last=$(identity image)
	! tr '\0' '\n' <"/proc/$pid/environ" | grep -qx CKPT_FORK=1 ||
		wait_for 'the end of the child that has written it' eval '! new_child'
}

# identity FILE: what tells two images apart. An inode alone may be used again.
identity()
{
	stat -c '%i, written at %y' "$1"
}

has_changed()
{
	local now

	now=$(identity image 2>/dev/null) && [ "$now" != "${last:-}" ]
}

# new_child: the child of the program that runs is in child; false if there is none
new_child()
{
	local number

	for number in $(pgrep -P "$pid"); do
		! has_ended "$number" || continue
		child=$number
		return
	done
	return 1
}

# expect_unharmed: the program goes on, and comes to its right end.
expect_unharmed()
{
	touch finish
	wait "$pid"
	pid=
	grep -q '^ok$' out
}

# expect_message PATTERN: asks for an image; libckpt says so, and that the program goes on
expect_message()
{
	kill -USR2 "$pid"
	wait_for "a message like '$1'" grep -q -- "$1" err
	grep -q 'the program goes on$' err
}

# expect_refused PATTERN [ARG...]: restart says so, and ends with 125
expect_refused()
{
	local status=0 pattern=$1

	shift
	timeout -k 5 "$LIMIT" "${launch[@]}" "$RESTART" "$@" >restart.out 2>restart.err </dev/null || status=$?
	[ "$status" -eq 125 ]
	grep -- "$pattern" restart.err
	[ "$(wc -l <restart.err)" -eq 1 ]
}

# put OFFSET BYTE FILE
put()
{
	printf '%b' "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none
}

# flip OFFSET FILE: one bit
flip()
{
	put "$1" "$(printf '\\%03o' $(($(od -An -tu1 -j "$1" -N 1 "$2") ^ 16)))" "$2"
}

# The kernel writes to a thread's rseq area whenever it moves to another processor.
@test 'memory that changes between its checksum and its write' {
	for options in '' CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		last=
		rm -f finish out image*
		env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" ${options:+"$options"} \
			"$BUILD/ckpt/moving" >out 2>err </dev/null 3>&- 4>&- &
		pid=$!
		wait_for 'it to be ready' grep -qs ready out
		next_image
		"$BUILD/readckpt" image >/dev/null
		next_image
		"$BUILD/readckpt" image >/dev/null
		touch finish
		wait "$pid"
		pid=
	done
}

@test 'brought back: a program that counts' {
	scene "$WORK" count
}

@test 'brought back: a deep stack, which grows later' {
	scene "$WORK" recursion
}

@test 'brought back: thread-local storage and errno' {
	scene "$WORK" tls
}

@test 'brought back: vector registers' {
	scene "$WORK" avx
}

@test 'brought back: in the middle of a sleep, which ends early' {
	scene "$WORK" sleep
}

@test 'brought back: in the middle of a read of a pipe, which is begun anew' {
	scene "$WORK" read
}

@test 'brought back: pipes with what is in them, eventfds, timerfds, signalfds, epoll instances' {
	for options in CKPT_FORK=0 CKPT_FORK=1; do
		scene -o "$options" "$WORK" objects
	done
}

@test 'brought back: pairs of sockets with what is in them, closed and shut down' {
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK" pairs
	done
}

@test 'what is in pairs of sockets stays in them when images are taken' {
	start pairs
	next_image
	next_image
	: >finish
	wait "$pid"
	[ "$(tail -n 1 out)" = ok ]
	"$BUILD/readckpt" --json image >json
	[ "$(grep -c '"made_anew": true' json)" -eq 11 ]
}

@test 'brought back: a message queue, if it is still there' {
	start queue
	! grep '^none' out || skip 'there are no message queues here'
	take_image
	cp out out.then
	: >finish
	"$RESTART" image 2>restart.err </dev/null
	[ "$(tail -n 1 out)" = ok ]
	[ ! -s restart.err ]
	cat out.then >out
	expect_refused "had /tracer-$pid open, as file [0-9]*, and it cannot be opened: No such file" image
}

@test 'brought back: sockets that wait for others' {
	scene "$WORK" servers
}

@test 'a socket whose address is in use is named as missing' {
	local other

	start servers
	next_image
	other=$pid
	rm -f alive
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'a message' grep -q 'comes back without' restart.err
	kill -KILL "$other"
	wait "$other" || true
	grep 'descriptor [0-9]* (a socket of 127.0.0.1:[0-9]*: Address already in use), ' restart.err
	grep ', descriptor [0-9]* (a socket of socket: Address already in use)' restart.err
}

@test 'brought back: a heap that grows later' {
	scene "$WORK" brk
}

@test 'brought back: open files, offsets, folder, umask' {
	scene "$WORK" files
	scene "$BUILD/e2e/deny" kcmp 1 "$WORK" files # as in a container
}

@test 'brought back: actions, mask, alternate stack' {
	scene "$WORK" signals
}

@test 'brought back: a handler on a stack of its own' {
	scene "$WORK" altstack 30
	scene "$WORK" altstack2 8
}

@test 'brought back: mappings of all kinds and permissions' {
	scene "$WORK" mappings
}

@test 'brought back: a shared mapping that is longer than its file' {
	scene "$WORK" beyond-the-end
	scene -o CKPT_INCREMENTAL=1 "$WORK" beyond-the-end
}

@test 'brought back: a shared mapping that is read-only for the moment' {
	scene "$WORK" protected
}

@test 'brought back: a file with a newline in its name' {
	scene "$WORK" newline
	[ "$(id -u)" -eq 0 ] && getent passwd nobody >/dev/null || return 0
	TMPDIR=/tmp setpriv --reuid nobody --regid nogroup --clear-groups "$SCENE" "$WORK" newline
}

@test 'brought back: shared memory that is used in part only' {
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK" sparse
		rm -f finish image*
		start "$options" sparse
		next_image
		next_image
		expect_unharmed
	done
	[ "$(id -u)" -eq 0 ] && getent passwd nobody >/dev/null || return 0
	# with swap in use, only root knows
	[ "$(awk '/^SwapTotal/ { total = $2 } /^SwapFree/ { print total - $2 }' /proc/meminfo)" -eq 0 ] ||
		return 0
	TMPDIR=/tmp setpriv --reuid nobody --regid nogroup --clear-groups "$SCENE" "$WORK" sparse
}

@test 'brought back: shared memory of the same moment as private memory' {
	scene "$WORK" together 23
	scene -o CKPT_FORK=1 "$WORK" together 64
	scene -o CKPT_FORK=1 -o CKPT_INCREMENTAL=1 "$WORK" together 64
}

@test 'brought back: guards are not touched' {
	(cd "$dir" && : >finish && "$WORK" guards | grep -q '^no guards$') &&
		skip 'the kernel has no MADV_GUARD_INSTALL (since 6.13)'
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1 'CKPT_INCREMENTAL=1 CKPT_FORK=1'; do
		rm -f finish image*
		read -ra options <<<"$options"
		start "${options[@]}" guards
		next_image
		next_image
		kill -KILL "$pid"
		wait "$pid" || true
		"$BUILD/readckpt" image >/dev/null
		touch finish
		"$RESTART" image
		[ "$(tail -n 1 out)" = ok ]
	done
	rm -f finish image* out # the one before was ready
	read -ra launch <<<"$BUILD/e2e/deny userfaultfd 1"
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_INCREMENTAL=1 "${launch[@]}" \
		"$WORK" guards >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	last=
	next_image
	next_image
	expect_unharmed
}

@test 'brought back: eight threads, with mutexes and condition variables' {
	scene "$WORK" threads
}

@test 'brought back: the cancel type of two threads' {
	for options in '' CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene ${options:+-o "$options"} "$WORK" cancel
	done
	start cancel
	next_image
	expect_unharmed
}

@test 'brought back: while a file is written, by a child or not' {
	scene "$WORK" writes
	scene -o CKPT_FORK=1 "$WORK" writes
	scene -o CKPT_FORK=1 -o CKPT_INCREMENTAL=1 "$WORK" writes
}

@test 'threads that are cancelled while images are taken' {
	start CKPT_INTERVAL=10ms cancelled
	timeout "$LIMIT" tail --pid="$pid" -f /dev/null
	wait "$pid"
	pid=
	grep -q '^ok$' out
	"$BUILD/readckpt" image >/dev/null
}

@test 'brought back: a program with a thread sanitizer' {
	cc -w -D_GNU_SOURCE -I"$TREE/utils" -fsanitize=thread -pthread -o work "$TREE"/testcase/ckpt/work*.c ||
		skip 'the compiler has no thread sanitizer'
	# what the scene reads without a lock is no matter here
	scene -o TSAN_OPTIONS=report_bugs=0 "$dir/work" threads
}

@test 'brought back: in the middle of the dynamic loader' {
	scene "$WORK" loader
	scene "$WORK-no-pie" loader
}

@test 'brought back: a heap of 1 GiB' {
	[ "$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -gt 6000 ] ||
		skip 'less than 6000 MiB of memory are free'
	[ "$(df --output=avail -m . | tail -n 1)" -gt 4000 ] || skip 'less than 4000 MiB of disk are free'
	scene "$WORK" heap 1024
}

@test 'brought back: python3, computing' {
	command -v python3 >/dev/null || skip 'python3 is not installed'
	scene python3 "$TREE/testcase/ckpt/compute.py"
}

@test 'brought back: python3, with a pool of threads' {
	command -v python3 >/dev/null || skip 'python3 is not installed'
	scene python3 "$TREE/testcase/ckpt/pool.py"
}

@test 'brought back: python3, with tasks of asyncio that a thread wakes up' {
	command -v python3 >/dev/null || skip 'python3 is not installed'
	[ "$(id -u)" -eq 0 ] || skip 'needs root: python takes another number for that of a child'
	RESTART_OPTIONS=--same-pid scene python3 "$TREE/testcase/ckpt/tasks.py"
}

@test 'brought back: vim, on another terminal' {
	for tool in python3 vim; do
		command -v $tool >/dev/null || skip "$tool is not installed"
	done
	timeout -k 5 "$LIMIT" python3 "$TREE/testcase/ckpt/editor.py" "$BUILD/libckpt.so" "$RESTART"
	[ "$(cat text)" = 'one two three' ]
}

# Each helper names itself when it begins to run.
helpers_are_named()
{
	[ "$(cat /proc/"$pid"/task/*/comm 2>/dev/null | grep -c '^bio_')" -eq 3 ]
}

# Has the program only the socket at which it listens?
has_one_socket()
{
	[ "$(readlink "/proc/$pid/fd/"* | grep -c '^socket:')" -eq 1 ]
}

# ask_redis COMMAND...: over its socket
ask_redis()
{
	timeout "$LIMIT" redis-cli -s "$dir/socket" "$@"
}

@test 'brought back: redis-server, whose helpers block all signals' {
	command -v redis-server >/dev/null && command -v redis-cli >/dev/null ||
		skip 'redis-server is not installed'
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" redis-server --port 0 \
		--unixsocket "$dir/socket" --save '' --appendonly no >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'its helpers' helpers_are_named
	[ "$(ask_redis set number 23)" = OK ]
	wait_for 'its client to be gone' has_one_socket
	kill -USR2 "$pid"
	wait_for 'an image' test -e image
	[ ! -s err ]
	"$BUILD/readckpt" image | grep 'bio_'
	[ "$(ask_redis set number 42)" = OK ]
	kill -KILL "$pid"
	wait "$pid" || true
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to listen' eval '[ "$(ask_redis ping 2>/dev/null)" = PONG ]'
	[ "$(ask_redis incr number)" = 24 ]
	[ ! -s restart.err ]
}

# ask_node: what it sends to who connects
ask_node()
{
	python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("socket"); print(s.makefile().read())' 2>/dev/null
}

@test 'brought back: node, with timers, its pool of threads, and a server' {
	local script='
		const fs = require("fs"), net = require("net");
		let ticks = 0, reads = 0;
		const answer = (s) => s.end("ticks " + (ticks > 23) + " reads " + (reads > 2));
		setInterval(() => { ticks++; }, 10);
		setInterval(() => fs.readFile("/proc/uptime", () => { reads++; }), 100);
		net.createServer(answer).listen("socket", () => fs.writeSync(1, "ready\n"));'

	command -v node >/dev/null && command -v python3 >/dev/null || skip 'node is not installed'
	start_program node -e "$script"
	take_image 64
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'its answer' eval '[ "$(ask_node)" = "ticks true reads true" ]'
	[ ! -s restart.err ]
}

@test 'brought back: a program at a fixed address' {
	scene "$WORK-no-pie" threads
	scene "$WORK-no-pie" brk
}

@test 'brought back: a program in the place of restart' {
	readelf -lW "$WORK-low" | grep -m 1 'LOAD.* 0x0000000000010000 '
	for options in CKPT_FORK=0 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK-low" threads
	done
	RESTART_OPTIONS=--same-pid scene "$WORK-low" brk
	cp "$RESTART" alone
	WORK=$WORK-low start count
	take_image
	RESTART=./alone expect_refused 'the program was at 0x10000, where restart itself lies .*, and there is no restart-high' image
}

@test 'brought back: a program where lld puts it' {
	for tool in clang ld.lld; do
		command -v $tool >/dev/null || skip "$tool is not installed"
	done
	clang -w -D_GNU_SOURCE -I"$TREE/utils" -fuse-ld=lld -no-pie -fno-pie -pthread -o work "$TREE"/testcase/ckpt/work*.c
	readelf -lW work | grep -m 1 'LOAD.* 0x0000000000200000 '
	scene "$dir/work" count
}

@test 'brought back: threads, where clone3 is refused' {
	start cancel
	take_image
	cp out out.then
	touch finish
	for error in 1 38; do # EPERM, ENOSYS
		expect_end "$BUILD/e2e/deny" clone3 $error
	done
}

@test 'brought back: a static program with libckpt linked in' {
	scene "$WORK-static" threads
	scene "$WORK-static" tls
}

@test 'brought back: from a compressed image' {
	IMAGE_NAME=image.gz scene "$WORK" heap 23
	IMAGE_NAME=image.gz scene "$WORK" threads
}

@test 'brought back: from what a child wrote' {
	scene -o CKPT_FORK=1 "$WORK" threads
	scene -o CKPT_FORK=1 "$WORK" heap 23
}

@test 'brought back: increments' {
	scene -o CKPT_INCREMENTAL=1 "$WORK" threads
	scene -o CKPT_INCREMENTAL=1 "$WORK" heap 23
	scene -o CKPT_INCREMENTAL=1 -o CKPT_FORK=1 "$WORK" heap 23
}

@test 'brought back: increments, where the kernel tells nothing of writes' {
	local deny="$BUILD/e2e/deny"

	scene -o CKPT_INCREMENTAL=1 "$deny" userfaultfd 1 "$WORK" threads
	scene -o CKPT_INCREMENTAL=1 "$deny" userfaultfd 1 "$WORK" heap 23
}

@test 'brought back: a program that waits for moments of the clock' {
	scene "$WORK" clocks
}

@test 'brought back: timers of all kinds' {
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INTERVAL=50ms; do
		scene -o "$options" "$WORK" timers
	done
	scene "$WORK-static" timers
}

@test 'brought back: the processor time that it has used' {
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK" cpu-time
	done
}

@test 'brought back: inside a call that tells processor time' {
	cat >timed.c <<-'C'
		#include <signal.h>
		#include <stdarg.h>
		#include <stdio.h>
		#include <sys/resource.h>
		#include <sys/syscall.h>
		#include <sys/time.h>
		#include <time.h>
		#include <unistd.h>

		static volatile long wanted = -1;

		/* libckpt's, too: the image is taken when the kernel has answered that call */
		long syscall(long number, ...)
		{
			long a[6], result;
			register long r10 __asm__("r10"), r8 __asm__("r8"), r9 __asm__("r9");
			va_list args;

			va_start(args, number);
			for (int i = 0; i < 6; i++)
				a[i] = va_arg(args, long);
			va_end(args);
			r10 = a[3];
			r8 = a[4];
			r9 = a[5];
			__asm__ volatile("syscall"
					 : "=a"(result)
					 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
					 : "rcx", "r11", "memory");
			if (number == wanted) {
				wanted = -1;
				raise(SIGUSR2);
			}
			return result < 0 ? -1 : result;
		}

		int main(int argc, char **argv)
		{
			struct timespec now, next;
			struct rusage usage, later;

			(void)argv;
			do
				getrusage(RUSAGE_SELF, &usage);
			while (usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec < 100000);
			puts("ready");
			fflush(stdout);
			wanted = argc > 1 ? SYS_clock_gettime : SYS_getrusage;
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &next);
			getrusage(RUSAGE_SELF, &usage);
			getrusage(RUSAGE_SELF, &later);
			puts(now.tv_sec > next.tv_sec ||
			     (now.tv_sec == next.tv_sec && now.tv_nsec > next.tv_nsec) ||
			     timercmp(&usage.ru_utime, &later.ru_utime, >) ? "back" : "ok");
		}
	C
	command -v cc >/dev/null || skip 'there is no compiler'
	cc -O1 -w -D_GNU_SOURCE -rdynamic timed.c -o timed
	for clock in '' clock; do
		env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" ./timed $clock >out
		[ "$(cat out)" = "$(printf 'ready\nok')" ]
		"$RESTART" image </dev/null
		[ "$(cat out)" = "$(printf 'ready\nok')" ]
		rm image
	done
}

@test 'brought back: a program is told, by a variable and by a signal' {
	scene "$WORK" told
	scene "$WORK-no-pie" told
	for signal in 10 40; do
		scene -o CKPT_RESTART_SIGNAL=$signal "$WORK" told $signal
	done
	start CKPT_RESTART_SIGNAL=10 'told 10'
	next_image
	restart_in_background image
	next_image
	kill -KILL "$pid"
	wait "$pid" || true
	touch finish
	"$RESTART" image </dev/null
	[ "$(cat err)" = 'restarts: 2' ]
}

@test 'a signal that would end the program is not sent when it is brought back' {
	start CKPT_RESTART_SIGNAL=10 told
	take_image
	touch finish
	"$RESTART" image </dev/null
	grep -x 'libckpt: the program was brought back, and has no handler for signal 10 (CKPT_RESTART_SIGNAL), so it is not sent' \
		err
	[ "$(tail -n 1 out)" = ok ]
}

@test 'a hook of restart: runs first, and decides whether the process goes on' {
	start count
	take_image
	expect_refused 'the hook has ended with 23, so the process does not go on: exit 23' \
		--hook 'exit 23' image
	expect_refused 'signal 9 has ended the hook, so the process does not go on: kill -9 ' \
		--hook 'kill -9 $$' image
	rm -f alive # a link that leads nowhere yet
	touch finish
	# shellcheck disable=SC2016 # for the hook
	"$RESTART" --hook 'echo "$RESTART_PID $RESTART_IMAGE"; test ! -e alive' image >hook.out </dev/null 3>&- 4>&- &
	pid=$!
	wait "$pid"
	[ "$(head -n 1 hook.out)" = "$pid $dir/image" ]
	[ "$(tail -n 1 out)" = ok ]
	[ "$(id -u)" -eq 0 ] || return 0
	rm -f alive # it may have ended before it wrote one
	pid=
	# shellcheck disable=SC2016 # for the hook
	"$RESTART" --same-pid --hook 'echo "$RESTART_PID"' image >hook.out </dev/null
	"$BUILD/readckpt" image | grep "process *$(cat hook.out) work"
	expect_refused 'the hook has ended with 1, ' --same-pid --hook false image
}

# start_ahead SCENE: as start, but with clocks that are far ahead, as if the machine was booted
# since. Takes the image and ends the program.
start_ahead()
{
	local program

	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	unshare "${ahead[@]}" true || skip 'there are no time namespaces here'
	rm -f finish image out
	unshare "${ahead[@]}" env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" \
		"$WORK" "$1" >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	program=$(cat "/proc/$pid/task/$pid/children")
	kill -USR2 "${program% }"
	wait_for 'an image' test -e image
	kill -KILL "${program% }" # so ends unshare
	wait "$pid" || true
	cp out out.then
	touch finish
}

# expect_end [COMMAND...]: restart, begun by COMMAND, brings it back to its right end.
expect_end()
{
	cat out.then >out
	timeout -k 5 "$LIMIT" "$@" "$RESTART" "${restart_options[@]}" image 2>restart.err </dev/null
	grep -q '^ok$' out
}

@test 'brought back after a reboot: the clocks go on from where they were' {
	start_ahead clocks
	expect_end
	[ ! -s restart.err ]
	restart_options=(--same-pid)
	expect_end
	[ ! -s restart.err ]
	# in a namespace with clocks of its own, which are behind as well
	restart_options=(-v)
	expect_end unshare --time --fork --kill-child --monotonic 300 --boottime 300
	grep 'behind that of the process (by [0-9]* s); it has a clock of its own now$' restart.err
	start_ahead threads
	restart_options=()
	expect_end
	[ ! -s restart.err ]
}

@test 'clocks that cannot go on: there is a warning' {
	local said='clock of this machine is behind that of the process (by [0-9]* s): '

	start_ahead threads # which waits for no moment
	expect_end setpriv --bounding-set=-sys_time
	grep "^restart: warning: the ${said}what waits .*; as root (CAP_SYS_ADMIN, CAP_SYS_TIME) it gets" \
		restart.err
	[ "$(wc -l <restart.err)" -eq 1 ]
	expect_end setpriv --bounding-set=-sys_admin
	grep "$said.*; as root" restart.err
	getent passwd nobody >/dev/null || skip 'the rest needs a user nobody'
	chown nobody . out err image
	expect_end setpriv --reuid nobody --regid nogroup --clear-groups
	grep "$said.*; as root" restart.err
}

@test 'brought back: with the same number' {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	RESTART_OPTIONS=--same-pid scene "$WORK" threads
}

@test 'brought back: by a user without rights' {
	[ "$(id -u)" -eq 0 ] || skip 'the tests run as such a user already'
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	for scene in threads pairs; do
		TMPDIR=/tmp setpriv --reuid nobody --regid nogroup --clear-groups "$SCENE" "$WORK" $scene
	done
}

@test 'increments hold what has changed, and need their parents' {
	start CKPT_INCREMENTAL=1 count
	next_image
	next_image
	next_image
	kill -KILL "$pid"
	wait "$pid" || true
	[ $(($(stat -c %s image.1))) -gt $((4 * $(stat -c %s image))) ]
	mv image.1 elsewhere
	expect_refused 'the image that it adds to is not there' image
	mv elsewhere image.1
	touch finish
	timeout "$LIMIT" "$RESTART" image </dev/null
	grep -q '^ok$' out
}

@test 'increments are right whatever has changed in between' {
	local play="$TREE/testcase/ckpt/changes.sh"

	"$play" changes 2
	"$play" changes 2 "$BUILD/e2e/deny" userfaultfd 1
	"$play" changes 2 CKPT_FORK=1
	"$play" scattered 20
	"$play" scattered 20 "$BUILD/e2e/deny" userfaultfd 1
}

@test 'increments squashed to one image, which is brought back without them' {
	start CKPT_INCREMENTAL=1 count
	next_image
	next_image
	kill -KILL "$pid"
	wait "$pid" || true
	"$BUILD/readckpt" image >table
	grep -q 'an increment' table
	grep -q "process *$pid work" table
	grep -q 'Checksums all right' table
	grep -q '\[stack\]' table
	"$BUILD/readckpt" --squash whole.gz image
	rm image image.1
	"$BUILD/readckpt" whole.gz >whole.table
	# but for the head and the columns of pages, which are in a parent no more
	diff <(sed -n '/^Threads/,/^Checksums/p' table | sed '$d') \
		<(sed -n '/^Threads/,/^Checksums/p' whole.table | sed '$d')
	touch finish
	timeout "$LIMIT" "$RESTART" whole.gz </dev/null
	grep -q '^ok$' out
}

# restart_in_background IMAGE: which then is the program in pid
restart_in_background()
{
	kill -KILL "$pid"
	wait "$pid" || true
	rm -f alive
	"$RESTART" "$1" >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to go on' test -L alive
}

@test 'brought back from an older image: the newer one is not lost' {
	for options in '' CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		rm -f image* old out finish
		start ${options:+"$options"} count
		next_image
		ln image old
		next_image
		newer=$last
		rm -f image.1
		restart_in_background old
		next_image
		[ "$(identity image.*)" = "$newer" ]
		"$BUILD/readckpt" image >/dev/null
		# an image of its own, and the one that it came from, are replaced
		if [ -z "$options" ]; then
			next_image
			[ "$(ls -d image.*)" = image.1 ]
			rm image.1
			restart_in_background image
			next_image
			next_image
			[ ! -e image.1 ]
		fi
		expect_unharmed
	done
}

# numbered: the images that were kept, the oldest first
numbered()
{
	find . -regextype posix-extended -regex './image\.[0-9]{1,9}' | sort -V
}

has_fifth()
{
	local newest

	newest=$(numbered | tail -n 1)
	[ "${newest##*.}" -ge 4 ] 2>/dev/null
}

@test 'an image each 100 ms, and the last three are kept' {
	start CKPT_INTERVAL=100ms CKPT_KEEP=3 count
	wait_for 'the fifth image' has_fifth
	kill -KILL "$pid"
	wait "$pid" || true
	[ ! -e image.1 ]
	[ "$(find . -name 'image*' | wc -l)" -ge 3 ]
	for file in image "$(numbered | head -n 1)"; do
		cp out out.then
		touch finish
		timeout "$LIMIT" "$RESTART" $file </dev/null
		grep -q '^ok$' out
		cat out.then >out
		rm finish
	done
}

# Writing takes longer than the interval.
@test 'an image each millisecond: the program goes on, and ends when it is asked to' {
	start CKPT_INTERVAL=1ms 'heap 7'
	wait_for 'an image' test -e image
	expect_unharmed
	rm finish
	start CKPT_INTERVAL=1ms 'heap 7'
	kill -TERM "$pid"
	wait "$pid" || [ $? -eq 143 ]
	pid=
}

@test 'gdb shows where the program was, and its variables' {
	command -v gdb >/dev/null || skip 'gdb is not installed'
	start recursion
	wait_for 'it to wait' test -L alive
	take_image
	gdb -nx -batch -ex bt -ex 'print work_number' "$WORK" image >gdb.out 2>&1
	grep -q 'in wait_for_finish' gdb.out
	[ "$(grep -c '^#.*descend (depth=' gdb.out)" -ge 2301 ]
	grep -q '^\$1 = 2300$' gdb.out
	gdb -nx -batch -ex 'info threads' "$WORK" image >gdb.out 2>&1
	[ "$(grep -c 'LWP' gdb.out)" -ge 1 ]
}

@test 'libelf reads an image of nine threads as readckpt does' {
	start threads
	take_image
	"$BUILD/e2e/elf_image" image image
}

@test 'gdb shows all threads' {
	command -v gdb >/dev/null || skip 'gdb is not installed'
	start threads
	take_image
	gdb -nx -batch -ex 'thread apply all bt' "$WORK" image >gdb.out 2>&1
	[ "$(grep -c '^Thread ' gdb.out)" -eq 9 ]
	[ "$(grep -c 'take_turns' gdb.out)" -ge 8 ]
}

@test 'readelf reads it, compressed or not' {
	command -v readelf >/dev/null || skip 'readelf is not installed'
	start CKPT_FILE="$dir/image.gz" count
	kill -USR2 "$pid"
	wait_for 'an image' test -e image.gz
	zcat image.gz >image
	readelf -l -n image >elf.out
	grep -q 'CORE (Core file)' elf.out
	grep -q 'NT_PRSTATUS' elf.out
	"$BUILD/e2e/elf_image" image.gz image
	if command -v eu-readelf >/dev/null; then
		eu-readelf -l -n image >elf.out
		grep -q 'PRSTATUS' elf.out
		grep -q "$WORK" elf.out
	fi
	[ "$(stat -c %a image.gz)" = 600 ]
	expect_unharmed
}

@test 'a full disk: a message, no image, and the program goes on' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root, to mount one'
	mkdir small
	mount -t tmpfs -o size=1m tmpfs small || skip 'nothing can be mounted here'
	mounted=$dir/small
	start CKPT_FILE="$dir/small/image" heap
	expect_message 'cannot write .*/small/image: No space left on device'
	[ -z "$(ls -A small)" ]
	expect_unharmed
}

@test 'a limit of the size of files: a message, no image, and the program goes on' {
	ulimit -f 1024
	start heap
	expect_message 'cannot write .*/image: File too large'
	[ ! -e image ]
	expect_unharmed
}

@test 'more memory or threads than an image can have: a message, and no image' {
	start apart
	expect_message 'cannot find the pages .*: there would be more segments than 60000; '
	[ ! -e image ]
	expect_unharmed
	rm finish
	start many
	if grep -q 'too few' out; then
		skip 'there cannot be 4097 threads here'
	fi
	expect_message 'there are more threads than 4096; '
	expect_unharmed
}

@test 'a folder that is not there, or must not be written to: a message, and the program goes on' {
	start CKPT_FILE="$dir/no/image" count
	expect_message 'cannot create .*/no/image: No such file or directory'
	expect_unharmed
	[ "$(id -u)" -eq 0 ] || skip 'the rest needs root'
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	rm finish
	: >out
	: >err
	chmod 777 . out err
	mkdir -m 755 closed
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/closed/image" setpriv --reuid nobody \
		--regid nogroup --clear-groups "$WORK" count >>out 2>>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	expect_message 'cannot create .*/closed/image: Permission denied'
	expect_unharmed
}

@test 'a pipe, a link or a read-only file in place of the image is not replaced' {
	mkfifo image
	start count
	expect_message 'cannot write .*/image: it is there and is no plain file'
	[ -p image ]
	rm image
	ln -s nothing image
	: >err
	expect_message 'no plain file'
	rm image
	install -m 444 /dev/null image
	: >err
	expect_message 'it is there and is read-only'
	[ ! -s image ]
	expect_unharmed
}

@test 'brought back: advice of madvise, processors, settings of prctl' {
	for options in CKPT_FORK=0 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK" settings
	done
	start settings
	take_image
	"$BUILD/readckpt" image >table
	grep '^  kernel    oom_score_adj .*subreaper, no huge pages$' table
	grep '^  place     root folder inode [1-9].*, boot [0-9a-f-]*$' table
	grep '\[wipe on fork, locked\]$' table
	grep '\[grows down\]$' table
	grep '^    nice 3, policy OTHER, priority 0, io_priority 0x6000$' table
	grep '^    nice 3, policy BATCH, priority 0, ' table
	grep '^    processors [0-9]*$' table
	grep '^    gets signal 23 when its parent ends$' table
	grep '^    no_new_privs$' table
	"$BUILD/readckpt" --json image >json
	grep '"policy": "BATCH"' json
	grep '"nice": 3' json
	if [ "$(id -u)" -eq 0 ]; then # what was gained by rights that are gone
		rm image
		start count
		renice -n -5 -p "$pid" >/dev/null
		take_image
		expect_missing 'the priorities of its threads (nice, sched_setscheduler)' \
			setpriv --bounding-set=-sys_nice
	fi
}

@test 'restart says what a process loses: Landlock, its session, rights that it had given up' {
	start landlocked
	take_image
	"$BUILD/readckpt" image | grep '^  kernel .*restricted by Landlock$'
	expect_missing 'its restrictions by Landlock'
	rm image
	under=(setsid)
	start count
	take_image
	expect_missing 'a session of its own (setsid)'
	: >finish
	setsid --wait "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
	[ "$(id -u)" -eq 0 ] || return 0
	rm image finish
	under=(setpriv --bounding-set=-sys_time)
	start count
	take_image
	cp out out.then
	: >finish
	"$RESTART" image 2>restart.err </dev/null
	grep -x 'restart: warning: the process had given up rights (capabilities), and goes on with all that restart has; setpriv(1) starts restart without them' restart.err
	cat out.then >out
	"${under[@]}" "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
	for way in 1 2 3; do
		rm image finish
		under=()
		start "lowered $way"
		take_image
		cp out out.then
		: >finish
		"$RESTART" image 2>restart.err </dev/null
		grep '^restart: warning: the process \(had given up rights (cap\|was of real user 65534, and\)' restart.err
	done
	rm image finish
	under=(setpriv --inh-caps=+net_raw --ambient-caps=+net_raw)
	start count
	take_image
	cp out out.then
	expect_missing 'capabilities for programs that it executes'
	cat out.then >out
	: >finish
	setpriv --regid 65534 --clear-groups "$RESTART" image 2>restart.err </dev/null
	grep -x 'restart: warning: the process was of group 0, and goes on as group 65534' restart.err
}

@test 'brought back: what prctl was told, memory policies, seals, mlockall, coredump_filter' {
	local name

	for name in prctl policies sealed core-filter; do
		for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
			scene -o "$options" "$WORK" "$name"
		done
	done
	start prctl
	take_image
	"$BUILD/readckpt" image >table
	grep '^    prctl PR_MCE_KILL 1 1$' table
	grep '^    prctl PR_MCE_KILL 1 0$' table
	"$BUILD/readckpt" --json image | grep '"option": "PR_MCE_KILL"'
	rm image
	start sealed
	take_image
	"$BUILD/readckpt" image | grep '^  kernel .*coredump_filter 0x[0-9a-f]*, locks memory to come$'
	rm image
	start policies
	take_image
	"$BUILD/readckpt" image >table
	grep '^    memory policy 0x2, nodes 0x1\.\.\.$' table
	grep '^    memory policy 0x3, nodes 0x1\.\.\. from 0x[0-9a-f]* to 0x[0-9a-f]*$' table
	"$BUILD/readckpt" --json image | grep '"memory_policies": \['
	# of nodes that this machine has not, or where nobody may choose
	: >finish
	"$BUILD/e2e/deny" mbind 1 "$RESTART" image 2>restart.err </dev/null || true
	grep -x 'restart: work comes back without: its memory policies (set_mempolicy, mbind)' restart.err
}

@test 'brought back: memory that is mapped twice' {
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene -o "$options" "$WORK" views
	done
	# where the first segment of System V is its own
	[ "$(id -u)" -eq 0 ] && unshare --ipc true || return 0
	unshare --ipc "$SCENE" "$WORK" views
}

@test 'a file that was replaced, or cut off' {
	start files
	take_image
	cp out out.then
	cp log other
	mv log log.1
	cp other log
	expect_refused 'had .*/log open, .* it is another file now, of the same name; .* --changed-files' image
	touch finish
	restart_options=(--changed-files)
	expect_end
	grep '^restart: warning: .*/log is another file now, of the same name; file ' restart.err
	restart_options=()
	rm -f finish image log.1
	start files
	take_image
	cp log other
	rm log
	cp other log # of the same size and, in many file systems, of the same number
	expect_refused 'had .*/log open, .* it is another file now, of the same name; ' image
	rm image
	start files
	take_image
	cp out out.then
	cp log other
	truncate -s 2 log
	expect_refused 'had .*/log open, .* it is shorter now; .* --changed-files' image
	cat other >log
	touch finish
	expect_end
}

# has_lines COUNT: does out have so many, or more?
has_lines()
{
	[ "$(wc -l <out)" -ge "$1" ]
}

# start_lines MODE: output to the file out, opened with > or >>, which goes on after an image
start_lines()
{
	rm -f finish out image
	if [ "$1" = '>>' ]; then
		echo before >out
		exec 8>>out
	else
		exec 8>out
	fi
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "$WORK" lines >&8 2>err </dev/null 3>&- 4>&- 8>&- &
	pid=$!
	exec 8>&-
	wait_for 'its output' has_lines 23
	kill -USR2 "$pid"
	wait_for 'an image' test -e image
	wait_for 'more output' has_lines $(($(wc -l <out) + 230))
	kill -KILL "$pid"
	wait "$pid" || true
	pid=
	touch finish # so little more will come
}

@test 'brought back: the output of after the image is written anew, and nothing is lost' {
	local count

	start_lines '>'
	echo 'a line of somebody else' >>out
	echo 'not ours' >out.cut.1
	cp out out.then
	count=$(wc -l <out)
	"$RESTART" -v image 2>restart.err </dev/null
	grep "bytes are cut off, .* and are kept in $dir/out.cut.2; file 1$" restart.err
	[ "$(cat out.cut.1)" = 'not ours' ]
	tail -c "$(stat -c %s out.cut.2)" out.then | cmp - out.cut.2
	[ "$(tail -n 1 out.cut.2)" = 'a line of somebody else' ]
	[ "$(wc -l <out)" -lt "$count" ]
	diff out <(echo ready; seq 0 $(($(wc -l <out) - 3)); echo ok)
	# somebody who writes would leave a hole
	cp out.then out
	exec 8>>out
	"$RESTART" image 2>restart.err </dev/null 8>&-
	exec 8>&-
	grep 'not cut off (somebody else has it open for writing), and the process writes over it' restart.err
	[ "$(stat -c %s out)" -eq "$(stat -c %s out.then)" ]
	[ "$(tail -n 1 out)" = 'a line of somebody else' ]
	# lines of others may be in such a file
	start_lines '>>'
	cp out out.then
	"$RESTART" image </dev/null
	diff <(head -n "$(wc -l <out.then)" out) out.then
	[ "$(tail -n 1 out)" = ok ]
}

@test 'another root folder, or another mount namespace' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	unshare --mount true || skip 'there are no mount namespaces here'
	start count
	take_image
	mkdir jail
	cp "$RESTART" image jail
	launch=(chroot "$dir/jail")
	RESTART=/restart expect_refused 'had another root folder .*; run restart there, or accept it' image
	launch=(unshare --mount)
	expect_refused 'had another mount namespace .*; run restart there, or accept it' image
	launch=()
	cp out out.then
	touch finish
	restart_options=(--changed-files)
	expect_end unshare --mount
	grep '^restart: warning: the process had another mount namespace' restart.err
}

@test 'another folder than the one that the process was in' {
	start files # which is in the folder below
	take_image
	cp out out.then
	mv below moved
	expect_refused "was in the folder $dir/below, which is not there any more; put it back" image
	mkdir below
	expect_refused "was in the folder $dir/below, which is another one now; put it back" image
	rmdir below
	touch below
	expect_refused "was in the folder $dir/below, which is now no folder; put it back" image
	rm below
	mkdir below
	touch finish
	restart_options=(--changed-files)
	expect_end
	grep "^restart: warning: the process was in the folder $dir/below, which is another one now$" restart.err
}

@test 'brought back: a program whose folder has been deleted' {
	local script='mkdir gone && cd gone && rmdir ../gone && echo ready
		until [ -e "$0/finish" ]; do read -r -t 0.05 <>fifo || sleep 0.05; done
		{ : >file; } 2>/dev/null || echo ok'

	# shellcheck disable=SC2016 # for the script
	start_program bash -c "$script" "$dir"
	take_image 64
	touch finish
	"$RESTART" image </dev/null 2>restart.err
	[ "$(tail -n 1 out)" = ok ]
	run ! grep "warning: .*folder" restart.err
}

@test 'restart names the namespaces that the process was in' {
	unshare --net --uts true || skip 'there are no namespaces here'
	under=(unshare --net --uts)
	start count
	take_image
	under=()
	expect_missing 'its namespaces (net, uts)'
	launch=(unshare --uts)
	expect_missing 'its namespaces (net, uts)'
}

@test 'restart says that a thread was in a namespace of its own' {
	unshare --uts true || skip 'there are no namespaces here'
	start own-host-name
	take_image
	expect_missing 'namespaces of single threads'
	rm -f image finish
	start threads
	take_image
	cp out out.then
	touch finish
	expect_end
	run ! grep namespaces restart.err
}

@test 'no warning of a personality that restart has already, where nobody may set one' {
	launch=("$BUILD/e2e/deny" personality 1)
	run ! "${launch[@]}" setarch --addr-no-randomize true
	start count
	take_image
	cp out out.then
	touch finish
	expect_end "${launch[@]}"
	[ ! -s restart.err ]
}

@test 'brought back: a helper thread of the C library that blocks all signals' {
	for options in CKPT_FORK=0 CKPT_FORK=1; do
		scene -o "$options" "$WORK" helper
	done
}

@test 'a helper thread that blocks all signals, where nothing may be traced' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "$BUILD/e2e/deny" ptrace 1 \
		"$WORK" helper >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	expect_message 'thread [0-9]* blocks signal 12, as helpers of the C library do'
	[ ! -e image ]
	expect_unharmed
}

@test 'brought back: threads that block all signals, or wait for all' {
	scene "$WORK" deaf
	for way in 0 1 2 3; do
		scene "$WORK" blocked "$way"
	done
	scene "$WORK" computing
}

@test 'a thread that is slow to come is waited for, and not taken for one that blocks the signal' {
	local tasks

	start threads
	tasks=(/proc/"$pid"/task/*)
	"$BUILD/e2e/hold" "${tasks[-1]##*/}" "$(kill -l USR2)" 1000 >hold.out 2>&1 3>&- 4>&- &
	wait_for 'the thread to be watched' grep -qs ready hold.out
	kill -USR2 "$pid"
	wait $!
	wait_for 'an image or a message' test -e image -o -s err
	[ ! -s err ]
	expect_unharmed
}

@test 'a program that takes the signal for itself' {
	for way in 1 2 3 4 5 6; do
		rm -f finish
		start CKPT_INTERVAL=1s "taken $way"
		rm -f image # it may have been slow to start
		[ "$(cat err)" = 'libckpt: the program uses signal 12 itself, so there will be no image; choose another one with CKPT_SIGNAL, such as 64' ]
		kill -USR2 "$pid"
		sleep 1.2
		[ ! -e image ]
		expect_unharmed
	done
	rm -f finish
	scene "$WORK" taken # it only sets the default action of each
	scene "$WORK" taken 7
	start CKPT_SIGNAL=64 'taken 1'
	kill -64 "$pid"
	wait_for 'an image' test -e image
	[ ! -s err ]
	expect_unharmed
}

@test 'a program that waits for the signal: a message says that it will not get it' {
	start awaited
	grep -Fx "libckpt: the program waits for signal 12, and will not get it, because it asks for images; choose another one with CKPT_SIGNAL, such as 64" err
	take_image
	cp out out.then
	touch finish
	expect_end
	[ "$(grep -c 'waits for signal' err)" -eq 1 ]
}

@test 'a thread with open files, a current folder or a user of its own' {
	for scene in own-folder own-files own-user; do
		[ $scene != own-user ] || [ "$(id -u)" -eq 0 ] || continue
		rm -f finish
		start $scene
		expect_message 'cannot describe this process: a thread has open files, a current folder or a user of its own (unshare(2), setfsuid(2)), which no image holds'
		[ ! -e image ]
		expect_unharmed
	done
}

@test 'restart names children and pending signals of other threads than the first' {
	start child-of-thread
	take_image
	expect_missing 'child processes'
	rm -f image finish
	start pending-in-thread
	take_image
	expect_missing 'pending signals'
}

@test 'a program that restricts its system calls' {
	local filter='restricts its system calls with seccomp(2)'
	local reasons=("$filter" "$filter" 'handles its system calls itself (PR_SET_SYSCALL_USER_DISPATCH)'
		'forbids itself to read the time stamp counter (PR_SET_TSC)')

	for way in 0 1 2 3; do
		rm -f finish
		start CKPT_INTERVAL=100ms "locked-in $way"
		grep -Fx "libckpt: the program ${reasons[way]}, so there will be no image from now on" err
		rm -f image
		kill -USR2 "$pid"
		sleep 0.3
		[ ! -e image ]
		expect_unharmed
	done
}

@test 'brought back: a program that root was before' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	chmod 777 .
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		rm -f finish image* alive
		start "$options" dropped
		next_image
		kill -KILL "$pid"
		wait "$pid" || true
		touch finish
		timeout -k 5 "$LIMIT" "$RESTART" image </dev/null
		[ "$(tail -n 1 out)" = ok ]
	done
}

@test 'an image each 100 ms, of a child that goes into the background' {
	for way in 0 1 2 3 4; do # fork(3), _Fork(3), the calls of the kernel, clone(3)
		rm -f finish image-*
		start CKPT_FILE="$dir/image-%p" CKPT_INTERVAL=100ms "background $way"
		child=$(awk '/^child/ { print $2 }' out)
		wait_for 'an image of the child' test -e "image-$child"
		expect_unharmed
	done
}

@test 'brought back: files under all numbers, that of libckpt among them' {
	for limit in 64 256 1024; do
		rm -f finish image* file*
		under=(prlimit --nofile="$limit")
		start CKPT_INCREMENTAL=1 numbers
		next_image
		wait_for 'it to have opened all' grep -q opened out
		next_image
		next_image
		kill -KILL "$pid"
		wait "$pid" || true
		touch finish
		timeout -k 5 "$LIMIT" "$RESTART" image </dev/null
		[ "$(tail -n 1 out)" = ok ]
	done
	pid=
}

@test 'brought back: memory that is moved as a whole between increments' {
	for options in CKPT_FORK=0 CKPT_FORK=1; do
		rm -f finish go image*
		start CKPT_INCREMENTAL=1 "$options" moves
		next_image
		touch go
		wait_for 'it to have moved' grep -q moved out
		next_image
		next_image
		kill -KILL "$pid"
		wait "$pid" || true
		touch finish
		timeout -k 5 "$LIMIT" "$RESTART" image </dev/null
		[ "$(tail -n 1 out)" = ok ]
	done
}

@test 'increments do not change what calls for memory do' {
	for seed in 1 10 30 37; do # which showed moves of several mappings that failed half-way
		rm -f finish image*
		touch finish
		env -u CKPT_FILE "$WORK" shuffle $seed 2>alone.err
		rm finish
		start CKPT_INCREMENTAL=1 "shuffle $seed"
		cmp alone.err err
		last=$(identity image)
		next_image
		kill -KILL "$pid"
		wait "$pid" || true
		touch finish
		timeout -k 5 "$LIMIT" "$RESTART" image </dev/null
		[ "$(tail -n 1 out)" = ok ]
	done
}

@test 'increments: memory that would be one mapping is resized and moved as one' {
	touch finish
	env -u CKPT_FILE "$WORK" resize
	rm finish
	scene -o CKPT_INCREMENTAL=1 "$WORK" resize
}

@test 'a handler on a stack of its own that is too small' {
	start 'altstack 9'
	wait_for 'the handler' test -L alive
	expect_message 'no image: a handler of the program runs on too small a stack of its own'
	[ ! -e image ]
	expect_unharmed
	rm -f finish alive
	start 'altstack2 2'
	wait_for 'the handler' test -L alive
	# whichever of the two threads takes the signal
	expect_message '\(no image: a handler of the program runs on\|did not come .*\) too small a stack'
	[ ! -e image ]
	expect_unharmed
}

@test 'children that are made while images are written take some themselves' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_VERBOSE=1 \
		timeout -k 5 "$LIMIT" "$WORK" forks >out 2>err </dev/null
	grep -q '^ok$' out
}

# It runs in the memory of its parent, whose image is asked for at the same time.
@test 'a child of vfork that gets the signal does no harm to its parent' {
	local child

	command -v python3 >/dev/null || skip 'python3 is not installed'
	start vforks
	child=$(pgrep -P "$pid")
	kill -USR2 "$pid"
	for _ in 1 2 3; do
		sleep 0.05
		kill -USR2 "$child"
	done
	touch released
	wait_for 'the image of the parent' test -e image
	"$BUILD/readckpt" --json image | python3 -c '
import json, sys
assert len(json.load(sys.stdin)["threads"]) >= 9'
	expect_unharmed
}

@test 'a child that is killed while it writes: the next request says so' {
	local child tries=200

	start CKPT_FORK=1 'heap 230'
	next_image
	until compgen -G 'image.????????????????' >part; do # it may have written all before it is seen
		last=$(identity image)
		kill -USR2 "$pid"
		child=
		wait_for 'a child, or its image' eval 'new_child || has_changed'
		[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
		wait_for 'the end of the child' eval '! new_child'
		tries=$((tries - 1))
		[ $tries -gt 0 ]
	done
	kill -USR2 "$pid"
	wait_for 'the message' grep -q 'signal 9 has ended the child that wrote it' err
	wait_for 'no file left behind' sh -c '! ls image.????????????????'
	wait_for 'the next image' has_changed
	expect_unharmed
}

@test 'an increment never adds to the image of a child' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_INCREMENTAL=1 \
		"$WORK" family >out 2>err </dev/null
	grep -q '^ok$' out
	"$BUILD/readckpt" image >/dev/null
	"$RESTART" image </dev/null
}

@test 'a child does not take the image of its parent for its own' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_INCREMENTAL=1 CKPT_FORK=1 \
		timeout -k 5 "$LIMIT" "$WORK" sisters >out 2>err </dev/null
	grep -q '^ok$' out
	[ ! -s err ]
	"$BUILD/readckpt" image >text
	run ! grep increment text
	[ ! -e image.1 ]
}

@test 'a program that was started with all signals blocked' {
	env --block-signal "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" \
		"$WORK" count >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	next_image
	expect_unharmed
}

@test 'no memory to work in, and no /proc' {
	(ulimit -v 60000 && start count && echo "$pid" >number)
	pid=$(cat number)
	expect_message 'no 96 MiB of memory to work in; raise the limits (ulimit -v, -d): '
	kill -KILL "$pid"
	[ "$(id -u)" -eq 0 ] && unshare --mount true || return 0
	rm out
	unshare --mount env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" sh -c \
		'umount -l /proc && exec "$@"' sh "$WORK" count >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	expect_message 'there is no /proc to list the threads from; mount it (mount -t proc proc /proc); '
	expect_unharmed
}

@test 'memory to come is locked, and the limit of locked memory is too low' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	under=(prlimit --memlock=4194304 setpriv --bounding-set=-ipc_lock)
	start sealed
	expect_message 'no 96 MiB to work in, for memory to come is locked (mlockall); raise the limit (ulimit -l): '
	expect_unharmed
}

@test 'a program that blocks the signal' {
	start CKPT_SIGNAL=15 signals # which that scene does
	kill -TERM "$pid"
	wait_for 'an image' test -e image
	kill -KILL "$pid"
	wait "$pid" || true
}

@test 'wrong settings are named, and the program runs' {
	for setting in CKPT_SIGNAL=9 CKPT_SIGNAL=11 CKPT_SIGNAL=x CKPT_SIGNAL=65 CKPT_INTERVAL=5m CKPT_INTERVAL=0 CKPT_KEEP=0 \
		CKPT_INCREMENTAL=yes CKPT_FORK=2; do
		env "LD_PRELOAD=$BUILD/libckpt.so" "$setting" sh -c 'exit 23' 2>err && status=0 || status=$?
		[ "$status" -eq 23 ]
		grep -q "^libckpt: ${setting%=*} must be .*there will be no checkpoints" err
	done
}

@test 'wrong settings, and the signal: the program goes on' {
	for settings in 'CKPT_KEEP=0 12' 'CKPT_SIGNAL=x 12' 'CKPT_KEEP=0 CKPT_SIGNAL=40 40'; do
		rm -f finish
		read -ra words <<<"$settings"
		start "${words[@]::${#words[@]}-1}" count
		kill "-${words[-1]}" "$pid"
		wait_for 'a message' grep -q "no image: ${settings%%=*} must be .*; the program goes on\$" err
		expect_unharmed
		[ ! -e image ]
	done
}

@test 'increments of a forked child are as small as those of its parent' {
	command -v python3 >/dev/null || skip 'python3 is not installed'
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/%p" CKPT_INCREMENTAL=1 python3 -c '
import os, signal, sys
memory = bytearray(os.urandom(16 << 20))
os.kill(os.getpid(), signal.SIGUSR2)
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGUSR2)
    memory[23] ^= 1
    os.kill(os.getpid(), signal.SIGUSR2)
    print(os.getpid())
    sys.exit()
os.wait()' >out 2>err
	[ "$(stat -c %b "$(cat out).1")" -gt $((10 * $(stat -c %b "$(cat out)"))) ]
	"$BUILD/readckpt" "$(cat out)" >/dev/null
}

@test 'the number of the process in the name of the image' {
	mkdir '%p'
	(cd '%p' && env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE='of-%p-%%p.gz%' \
		"$WORK" family >out 2>err </dev/null)
	cd '%p'
	grep -q '^ok$' out
	set -- of-*
	[ $# -eq 2 ] # the parent and its child
	for name in "$@"; do
		number=${name#of-}
		number=${number%%-*}
		[ "$name" = "of-$number-%$number.gz%" ]
		"$BUILD/readckpt" "$name" | grep -q "process *$number work"
	done
}

@test 'CKPT_SIGNAL chooses the signal' {
	start CKPT_SIGNAL=40 count
	kill -40 "$pid"
	wait_for 'an image' test -e image
	expect_unharmed
}

@test 'images that are none' {
	expect_refused 'no FILE is given, and there is no myckpt here; usage: restart '
	expect_refused 'nothing: cannot open: No such file' nothing
	: >empty
	expect_refused 'empty: not an image: it has only 0 bytes' empty
	head -c 10000 /dev/zero >zeros
	expect_refused 'zeros: not an image: it is no ELF file' zeros
	expect_refused 'true: not an image: an ELF file, but no core file' /bin/true
	mkfifo pipe
	expect_refused 'pipe: not an image: it is no plain file' pipe
	expect_refused '/dev/fd/[0-9]*: not an image: it is no plain file' <(echo)
	status=0
	"$RESTART" one two 2>restart.err || status=$?
	[ "$status" -eq 125 ]
	grep -q 'one image at a time' restart.err
}

@test 'restart explains itself' {
	for option in --help -h; do
		"$RESTART" $option >restart.out
		grep -q -e '--same-pid' restart.out
	done
	[ "$("$RESTART" --version)" = "restart $(cat "$TREE/VERSION")" ]
}

@test 'messages never go into a file of the process' {
	local status=0

	start files # whose file 2 is err
	take_image
	flip $(($(stat -c %s image) / 2)) image
	"$RESTART" image </dev/null 2>&- || status=$?
	[ "$status" -eq 125 ]
	rm log
	status=0
	"$RESTART" image </dev/null 2>&- || status=$?
	[ "$status" -eq 125 ]
	[ ! -s err ]
}

@test 'images of another machine, damaged or cut off' {
	start heap
	take_image
	cp --sparse=always image other
	put 18 '\267' other
	expect_refused 'an ELF file of another kind of machine (number 183)' other
	cp --sparse=always image other
	put 5000 '\377' other
	expect_refused 'other: ' other
	size=$(stat -c %s image)
	for at in $((size / 2)) $((size / 3)) $((size - 50000)); do
		cp --sparse=always image other
		flip "$at" other
		expect_refused 'damaged' other
	done
	for at in 70 3000 $((size / 2)) $((size - 1)); do
		head -c "$at" image >other
		expect_refused 'other: ' other
	done
	gzip -c image >packed
	truncate -s $(($(stat -c %s packed) / 2)) packed
	expect_refused 'cannot unpack: the compressed data is cut off' packed
}

# Several processors read it, or one, or one because no helper can be started.
@test 'a large image: whoever reads it, one damaged byte is found, or it is brought back' {
	local at how processors size

	processors=$(taskset -cp $$ | sed 's/.*: //')
	start 'heap 53'
	take_image
	cp out out.then
	touch finish
	size=$(stat -c %s image)
	for how in '' "taskset -c ${processors%%[-,]*}" "$BUILD/e2e/deny clone3 11"; do
		read -ra launch <<<"$how"
		for part in 1 3 6; do
			at=$((size / 7 * part + 4099))
			cp --sparse=always image other
			flip "$at" other
			expect_refused '^restart: /.*/other: damaged: a checksum of its memory is wrong' other
		done
		timeout -k 5 "$LIMIT" "${launch[@]}" "$RESTART" image
		grep -q '^ok$' out
		cat out.then >out
	done
}

@test 'an image of somebody else is brought back with a warning' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start CKPT_FILE="$dir/image.gz" count
	kill -USR2 "$pid"
	wait_for 'an image' test -e image.gz
	kill -KILL "$pid"
	wait "$pid" || true
	chown 65534 image.gz
	touch finish
	"$RESTART" image.gz 2>restart.err </dev/null
	grep -q '^restart: warning: .*/image.gz belongs to user 65534: .* runs as user 0$' restart.err
	[ "$(wc -l <restart.err)" -eq 1 ]
}

@test 'nothing is left of the arena of the image' {
	start CKPT_INCREMENTAL=1 count
	next_image
	kill -KILL "$pid"
	wait "$pid" || true
	rm -f alive
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to go on' test -L alive
	# which has 96 MiB; the program itself has some 10
	[ "$(awk '/^VmSize/ { print $2 }' "/proc/$pid/status")" -lt $((64 << 10)) ]
	expect_unharmed
}

@test 'shared memory without a file is no reason for a warning' {
	start mappings
	take_image
	touch finish
	timeout -k 5 "$LIMIT" "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
}

@test 'shared memory of a file that is shorter, or another kind of file now' {
	start mappings
	take_image
	touch finish
	truncate -s 4096 data
	timeout -k 5 "$LIMIT" "$RESTART" --changed-files image 2>restart.err </dev/null
	grep '^restart: warning: .*/data was shared memory .* (it is shorter now); it is brought back' restart.err
	rm data
	mkfifo data
	timeout -k 5 "$LIMIT" "$RESTART" image 2>restart.err </dev/null || [ $? -eq 125 ]
	grep '^restart: warning: .*/data was shared memory .* (it is no plain file now); it is' restart.err
}

@test 'shared memory that is longer than its file: the file was cut off, or not' {
	start beyond-the-end
	take_image
	touch finish
	timeout -k 5 "$LIMIT" "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
	truncate -s 4096 grows
	timeout -k 5 "$LIMIT" "$RESTART" --changed-files image 2>restart.err </dev/null || true
	grep '^restart: warning: .*/grows was shared memory .* (it is shorter now); it is' restart.err
}

@test 'shared memory of a file that was replaced' {
	start mappings
	take_image
	touch finish
	cp data other
	mv data data.1
	cp data.1 data
	cp out out.then
	expect_refused 'had .*/data as shared memory, and it is another file now, .* --changed-files' image
	cmp data other
	timeout -k 5 "$LIMIT" "$RESTART" --changed-files image 2>restart.err </dev/null || [ $? -ne 125 ]
	grep '^restart: warning: .*/data is another file now, of the same name; shared memory of the' restart.err
	cat out.then >out
	mv data.1 data
	"$RESTART" image 2>restart.err </dev/null
	[ "$(tail -n 1 out)" = ok ]
}

@test 'restart says that a timer is missing, but not of that of CKPT_INTERVAL' {
	for fork in 0 1; do
		rm -f finish image
		start CKPT_FORK=$fork CKPT_INTERVAL=1000s timer
		take_image
		touch finish
		"$RESTART" image 2>restart.err </dev/null
		[ "$(cat restart.err)" = 'restart: work comes back without: timers' ]
		"$RESTART" -q image 2>restart.err </dev/null
		[ ! -s restart.err ]
		rm finish image
		start CKPT_FORK=$fork CKPT_INTERVAL=1000s count
		take_image
		touch finish
		cp out out.then
		"$RESTART" -v image 2>restart.err </dev/null
		run ! grep timers restart.err
		cat out.then >out
		"$RESTART" image 2>restart.err </dev/null
		[ ! -s restart.err ]
	done
}

@test 'brought back: rseq of two threads, which the C library knows nothing of' {
	local tunable=GLIBC_TUNABLES=glibc.pthread.rseq=0

	for options in '' CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		scene -o "$tunable" ${options:+-o "$options"} "$WORK" rseq
	done
	[ "$(id -u)" -eq 0 ] && getent passwd nobody >/dev/null || return 0
	TMPDIR=/tmp setpriv --reuid nobody --regid nogroup --clear-groups "$SCENE" -o "$tunable" \
		"$WORK" rseq
}

@test 'brought back: limits, oom_score_adj, membarrier, each without rights' {
	scene "$WORK" attributes
	[ "$(id -u)" -eq 0 ] && getent passwd nobody >/dev/null || return 0
	TMPDIR=/tmp setpriv --reuid nobody --regid nogroup --clear-groups "$SCENE" "$WORK" attributes
}

# expect_missing PATTERN [COMMAND...]: restart, begun by COMMAND, brings the process back, and says
# in one line, and nothing else, that PATTERN is missing.
expect_missing()
{
	local pattern=$1

	shift
	: >finish
	timeout -k 5 "$LIMIT" "$@" "$RESTART" image 2>restart.err </dev/null
	[ "$(tail -n 1 out)" = ok ]
	[ "$(wc -l <restart.err)" -eq 1 ]
	grep -x -- "restart: work comes back without: $pattern" restart.err
	rm finish
}

@test 'restart names the descriptors that are missing, and what the process held' {
	start descriptors
	take_image
	expect_missing "descriptors 40, 41, 42 (pipes), descriptor 43 (a pidfd), descriptor 44 (a \
socket), descriptor 45 (/proc/[0-9]*/stat, which cannot be opened), descriptor 46 \
(/proc/[0-9]*/mountinfo, which cannot be opened), descriptor 47 (the deleted file $dir/unlinked), descriptor 48 \
(an inotify instance), what is watched under closed numbers (epoll)"
	: >finish
	"$RESTART" -q image 2>restart.err </dev/null
	[ ! -s restart.err ]
	rm finish image
	start holdings
	take_image
	expect_missing 'file locks, file leases, System V shared memory\(, asynchronous reads and writes (io_setup)\)\?'
	"$BUILD/readckpt" image >table
	grep '^ *[0-9]* /.*/locked .*, locked$' table
	grep '^ *[0-9]* /.*/leased .*, leased$' table
	grep '^  limits .*NOFILE [0-9]' table
	"$BUILD/readckpt" --json image >json
	grep '"oom_score_adj": ' json
	grep '"locked": true' json
}

@test 'restart names what epoll watches under closed numbers, signals of files, segments of its own' {
	start watched
	take_image
	"$BUILD/readckpt" image | grep '^ *[0-9]* anon_inode:\[eventpoll\] .*, watches closed numbers$'
	expect_missing 'what is watched under closed numbers (epoll)'
	rm image
	start asynchronous
	take_image
	expect_missing 'signals of files (O_ASYNC)'
	rm image
	start own-segments
	take_image
	run ! grep none out || return 0
	expect_missing 'segments of its own (modify_ldt)'
}

@test 'brought back: what is open as a place only (O_PATH)' {
	scene "$WORK" places
}

@test 'restart names more descriptors than fit a line by their number' {
	start 'pipes 23'
	take_image
	expect_missing 'descriptors 40, 41, 42, 43, 44, 45, 46, 47 and 15 more (pipes)'
}

@test 'restart names a pipe whose packets are lost' {
	start packets
	take_image
	expect_missing 'descriptors 40, 41 (pipes)'
}

@test 'restart names pairs of sockets with descriptors in them, and those that a child has' {
	start unpaired
	take_image
	expect_missing 'descriptors 40, 41, 42, 43, 44, 45 (sockets), child processes'
}

@test 'restart names what it has no rights for' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	take_image
	expect_missing 'the name of its program file (/proc/PID/exe)' \
		setpriv --bounding-set=-checkpoint_restore,-sys_admin
	expect_missing 'its groups' setpriv --groups 23,42
	expect_missing 'the limit of open files' setpriv --bounding-set=-sys_resource \
		bash -c 'ulimit -n 700 && exec "$@"' bash
}

@test 'restart names an oom_score_adj that it must not set' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	(echo -500 >/proc/self/oom_score_adj) 2>write.err || skip 'root may not lower oom_score_adj here'
	(echo -500 >/proc/self/oom_score_adj && start count && take_image)
	expect_missing 'oom_score_adj (it was -500)' setpriv --bounding-set=-sys_resource
}

@test 'brought back: a thread whose rseq is not registered' {
	start no-rseq
	! grep '^none' out || skip 'the C library registers none'
	take_image
	: >finish
	timeout "$LIMIT" "$RESTART" image </dev/null
	[ "$(tail -n 1 out)" = ok ]
}

@test 'rseq that nobody may ask the kernel for: restart says that it is missing' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" GLIBC_TUNABLES=glibc.pthread.rseq=0 \
		"$BUILD/e2e/deny" ptrace 1 "$WORK" lost-rseq >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to be ready' grep -qs ready out
	take_image
	expect_missing 'registrations of rseq(2), its filter of system calls (seccomp)'
}

@test 'brought back: the name of the program file' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	next_image
	restart_in_background image
	[ "$(readlink "/proc/$pid/exe")" = "$WORK" ]
	expect_unharmed
}

@test 'a file that the process had open is gone, or no plain file any more' {
	start files
	take_image
	mv log other
	expect_refused 'had .*/log open, as file .*No such file or directory; create it, ' image
	mkfifo log
	expect_refused 'had .*/log open, as file .* and it is now no plain file; put it back' image
	rm log
	mkdir log
	expect_refused 'had .*/log open, as file .* and it is now no plain file; put it back' image
	rmdir log
	mv other log
	touch finish
	timeout "$LIMIT" "$RESTART" image </dev/null
	grep -q '^ok$' out
}

@test 'a file number above the limit of open files' {
	(ulimit -Sn 300 && start files && take_image) # which uses 230
	rm alive
	(ulimit -Sn 200 && exec "$RESTART" image) >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_for 'it to go on' test -L alive
	[ "$(awk '/^Max open files/ { print $4 }' "/proc/$pid/limits")" -eq 300 ]
	expect_unharmed
	launch=(bash -c 'ulimit -n 200 && exec "$@"' bash)
	expect_refused 'cannot use file numbers from [0-9]* on: raise the limit of open files' image
}

@test 'the same number is refused while another process has it' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	kill -USR2 "$pid"
	wait_for 'an image' test -e image
	expect_refused "cannot have the number $pid again: another one has it" --same-pid image
	expect_unharmed
}

@test 'the same number is refused where clone3 is' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	take_image
	for error in 1 38; do # EPERM, ENOSYS
		launch=("$BUILD/e2e/deny" clone3 "$error")
		expect_refused "cannot have the number $pid again: clone3(2) is refused here, .*leave --same-pid out" \
			--same-pid image
	done
}

@test 'the same number: it ends although restart was told to ignore the end of children' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	take_image
	touch finish
	timeout -k 5 "$LIMIT" env --ignore-signal=CHLD "$RESTART" --same-pid image </dev/null
	grep -q '^ok$' out
}

@test 'the same number: a terminal interrupts it once, and stops it with restart' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	command -v python3 >/dev/null || skip 'python3 is not installed'
	start interrupts
	take_image
	rm -f alive
	timeout -k 5 "$LIMIT" python3 "$TREE/testcase/ckpt/terminal.py" "$RESTART" --same-pid image \
		>said </dev/null
	[ "$(cat said)" = $'stopped\nended with 0' ]
	grep -q '^ok$' out
}

@test 'libraries that have changed since do not matter' {
	cp "$BUILD/libckpt.so" other.so
	start LD_PRELOAD="$dir/other.so" tls
	take_image
	printf 'not a library' >other.so
	touch finish
	timeout "$LIMIT" "$RESTART" image </dev/null
	grep -q '^ok$' out
}

@test 'the build refuses a handler that calls what its list does not allow' {
	local list=$TREE/utils/libckpt/allowed-symbols
	printf 'void *f(void); void *f(void) { return 0; }\n' >quiet.c
	printf '#include <stdlib.h>\nvoid *f(void); void *f(void) { return malloc(23); }\n' >loud.c
	gcc -c quiet.c loud.c
	"$TREE/utils/allowed_symbols.sh" "$list" linked.o quiet.o
	run "$TREE/utils/allowed_symbols.sh" "$list" linked.o loud.o
	[ "$status" -eq 1 ]
	grep -q '^error: malloc is not in .*/allowed-symbols$' <<<"$output"
	grep -q 'needed by loud.o$' <<<"$output"
	grep -q '^Rule: ' <<<"$output"
	run "$TREE/utils/allowed_symbols.sh" "$list" linked.o "$BUILD/libckpt-handler.o"
	[ "$status" -eq 0 ]
}
