# SPDX-License-Identifier: BSD-2-Clause
# libckpt: images that cannot be written, increments, intervals, children, settings.

load common

# The kernel writes to a thread's rseq area whenever it moves to another processor.
@test 'memory that changes between its checksum and its write' {
	for options in '' CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		last=
		rm -f finish out image*
		env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" ${options:+"$options"} \
			"$BUILD/ckpt/moving" >out 2>err </dev/null 3>&- 4>&- &
		pid=$!
		wait_until 'it to be ready' has_line out ready
		next_image
		"$BUILD/readckpt" image >/dev/null
		next_image
		"$BUILD/readckpt" image >/dev/null
		touch finish
		wait "$pid"
		pid=
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

@test 'threads that are cancelled while images are taken' {
	start CKPT_INTERVAL=10ms cancelled
	timeout "$LIMIT_SECONDS" tail --pid="$pid" -f /dev/null
	wait "$pid"
	pid=
	grep -q '^ok$' out
	"$BUILD/readckpt" image >/dev/null
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
	timeout "$LIMIT_SECONDS" "$RESTART" image </dev/null
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
	timeout "$LIMIT_SECONDS" "$RESTART" whole.gz </dev/null
	grep -q '^ok$' out
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
	wait_until 'the fifth image' has_fifth
	kill -KILL "$pid"
	wait "$pid" || true
	[ ! -e image.1 ]
	[ "$(find . -name 'image*' | wc -l)" -ge 3 ]
	for file in image "$(numbered | head -n 1)"; do
		cp out out.then
		touch finish
		timeout "$LIMIT_SECONDS" "$RESTART" $file </dev/null
		grep -q '^ok$' out
		cat out.then >out
		rm finish
	done
}

# Writing takes longer than the interval.
@test 'an image each millisecond: the program goes on, and ends when it is asked to' {
	start CKPT_INTERVAL=1ms 'heap 7'
	wait_until 'an image' test -e image
	expect_unharmed
	rm finish
	start CKPT_INTERVAL=1ms 'heap 7'
	kill -TERM "$pid"
	wait "$pid" || [ $? -eq 143 ]
	pid=
}

# expect_message PATTERN: asks for an image; libckpt says so, and that the program goes on
expect_message()
{
	kill -USR2 "$pid"
	wait_until "a message like '$1'" grep -q -- "$1" err
	grep -q 'the program goes on$' err
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
	wait_until 'it to be ready' has_line out ready
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

@test 'a helper thread that blocks all signals, where nothing may be traced' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" "$BUILD/e2e/deny" ptrace 1 \
		"$WORK" helper >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to be ready' has_line out ready
	expect_message 'thread [0-9]* blocks signal 12, as helpers of the C library do'
	[ ! -e image ]
	expect_unharmed
}

@test 'a thread that is slow to come is waited for, and not taken for one that blocks the signal' {
	local tasks

	start threads
	tasks=(/proc/"$pid"/task/*)
	"$BUILD/e2e/hold" "${tasks[-1]##*/}" "$(kill -l USR2)" 1000 >hold.out 2>&1 3>&- 4>&- &
	wait_until 'the thread to be watched' grep -qs ready hold.out
	kill -USR2 "$pid"
	wait $!
	wait_until 'an image or a message' test -e image -o -s err
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
	wait_until 'an image' test -e image
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

@test 'an image each 100 ms, of a child that goes into the background' {
	for way in 0 1 2 3 4; do # fork(3), _Fork(3), the calls of the kernel, clone(3)
		rm -f finish image-*
		start CKPT_FILE="$dir/image-%p" CKPT_INTERVAL=100ms "background $way"
		child=$(awk '/^child/ { print $2 }' out)
		wait_until 'an image of the child' test -e "image-$child"
		expect_unharmed
	done
}

@test 'brought back: memory that is moved as a whole between increments' {
	for options in CKPT_FORK=0 CKPT_FORK=1; do
		rm -f finish go image*
		start CKPT_INCREMENTAL=1 "$options" moves
		next_image
		touch go
		wait_until 'it to have moved' grep -q moved out
		next_image
		next_image
		comes_back
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
		comes_back
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
	wait_until 'the handler' test -L alive
	expect_message 'no image: a handler of the program runs on too small a stack of its own'
	[ ! -e image ]
	expect_unharmed
	rm -f finish alive
	start 'altstack2 2'
	wait_until 'the handler' test -L alive
	# whichever of the two threads takes the signal
	expect_message '\(no image: a handler of the program runs on\|did not come .*\) too small a stack'
	[ ! -e image ]
	expect_unharmed
}

@test 'children that are made while images are written take some themselves' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" CKPT_VERBOSE=1 \
		timeout -k 5 "$LIMIT_SECONDS" "$WORK" forks >out 2>err </dev/null
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
	wait_until 'the image of the parent' test -e image
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
		wait_until 'a child, or its image' eval 'new_child || has_changed'
		[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
		wait_until 'the end of the child' eval '! new_child'
		tries=$((tries - 1))
		[ $tries -gt 0 ]
	done
	kill -USR2 "$pid"
	wait_until 'the message' grep -q 'signal 9 has ended the child that wrote it' err
	wait_until 'no file left behind' sh -c '! ls image.????????????????'
	wait_until 'the next image' has_changed
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
		timeout -k 5 "$LIMIT_SECONDS" "$WORK" sisters >out 2>err </dev/null
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
	wait_until 'it to be ready' has_line out ready
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
	wait_until 'it to be ready' has_line out ready
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
	wait_until 'an image' test -e image
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
		wait_until 'a message' grep -q "no image: ${settings%%=*} must be .*; the program goes on\$" err
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
	wait_until 'an image' test -e image
	expect_unharmed
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
