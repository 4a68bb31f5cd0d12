# SPDX-License-Identifier: BSD-2-Clause
# libckpt and restart: programs that people use, and tools that read images.

load common
. "$TREE/testcase/packages.bash"

@test 'brought back: a program with a thread sanitizer' {
	cc -w -D_GNU_SOURCE -I"$TREE/utils" -fsanitize=thread -pthread -o work "$TREE"/testcase/ckpt/work*.c ||
		skip 'the compiler has no thread sanitizer'
	# what the scene reads without a lock is no matter here
	scene -o TSAN_OPTIONS=report_bugs=0 "$dir/work" threads
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
	timeout -k 5 "$LIMIT_SECONDS" python3 "$TREE/testcase/ckpt/editor.py" "$BUILD/libckpt.so" "$RESTART"
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

# ask_redis COMMAND...: over its socket, with the program in client
ask_redis()
{
	timeout "$LIMIT_SECONDS" "$client" -s "$dir/socket" "$@"
}

@test 'brought back: redis-server, whose helpers block all signals' {
	local client

	find_program redis-cli redis-tools
	client=$program
	find_program redis-server redis-server
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "$program" --port 0 \
		--unixsocket "$dir/socket" --save '' --appendonly no >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'its helpers' helpers_are_named
	[ "$(ask_redis set number 23)" = OK ]
	wait_until 'its client to be gone' has_one_socket
	kill -USR2 "$pid"
	wait_until 'an image' test -e image
	[ ! -s err ]
	"$BUILD/readckpt" image | grep 'bio_'
	[ "$(ask_redis set number 42)" = OK ]
	kill -KILL "$pid"
	wait "$pid" || true
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to listen' eval '[ "$(ask_redis ping 2>/dev/null)" = PONG ]'
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
	wait_until 'its answer' eval '[ "$(ask_node)" = "ticks true reads true" ]'
	[ ! -s restart.err ]
}

@test 'gdb shows where the program was, and its variables' {
	command -v gdb >/dev/null || skip 'gdb is not installed'
	start recursion
	wait_until 'it to wait' test -L alive
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
	wait_until 'an image' test -e image.gz
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
	wait_until 'its output' has_lines 23
	kill -USR2 "$pid"
	wait_until 'an image' test -e image
	wait_until 'more output' has_lines $(($(wc -l <out) + 230))
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
