# SPDX-License-Identifier: BSD-2-Clause
# restart: what it brings back elsewhere, and what it names, refuses and warns of.

load common

@test 'a socket whose address is in use is named as missing' {
	local other

	start servers
	next_image
	other=$pid
	rm -f alive
	"$RESTART" image >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'a message' grep -q 'comes back without' restart.err
	kill -KILL "$other"
	wait "$other" || true
	grep 'descriptor [0-9]* (a socket of 127.0.0.1:[0-9]*: Address already in use), ' restart.err
	grep ', descriptor [0-9]* (a socket of socket: Address already in use)' restart.err
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
	wait_until 'it to be ready' has_line out ready
	program=$(cat "/proc/$pid/task/$pid/children")
	kill -USR2 "${program% }"
	wait_until 'an image' test -e image
	kill -KILL "${program% }" # so ends unshare
	wait "$pid" || true
	cp out out.then
	touch finish
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

# put OFFSET BYTE FILE
put()
{
	printf '%b' "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none
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

@test 'restart names children and pending signals of other threads than the first' {
	start child-of-thread
	take_image
	expect_missing 'child processes'
	rm -f image finish
	start pending-in-thread
	take_image
	expect_missing 'pending signals'
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

# flip OFFSET FILE: one bit
flip()
{
	put "$1" "$(printf '\\%03o' $(($(od -An -tu1 -j "$1" -N 1 "$2") ^ 16)))" "$2"
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
		timeout -k 5 "$LIMIT_SECONDS" "${launch[@]}" "$RESTART" image
		grep -q '^ok$' out
		cat out.then >out
	done
}

@test 'an image of somebody else is brought back with a warning' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start CKPT_FILE="$dir/image.gz" count
	kill -USR2 "$pid"
	wait_until 'an image' test -e image.gz
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
	wait_until 'it to go on' test -L alive
	# which has 96 MiB; the program itself has some 10
	[ "$(awk '/^VmSize/ { print $2 }' "/proc/$pid/status")" -lt $((64 << 10)) ]
	expect_unharmed
}

@test 'shared memory without a file is no reason for a warning' {
	start mappings
	take_image
	touch finish
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
}

@test 'shared memory of a file that is shorter, or another kind of file now' {
	start mappings
	take_image
	touch finish
	truncate -s 4096 data
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" --changed-files image 2>restart.err </dev/null
	grep '^restart: warning: .*/data was shared memory .* (it is shorter now); it is brought back' restart.err
	rm data
	mkfifo data
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" image 2>restart.err </dev/null || [ $? -eq 125 ]
	grep '^restart: warning: .*/data was shared memory .* (it is no plain file now); it is' restart.err
}

@test 'shared memory that is longer than its file: the file was cut off, or not' {
	start beyond-the-end
	take_image
	touch finish
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" image 2>restart.err </dev/null
	[ ! -s restart.err ]
	truncate -s 4096 grows
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" --changed-files image 2>restart.err </dev/null || true
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
	timeout -k 5 "$LIMIT_SECONDS" "$RESTART" --changed-files image 2>restart.err </dev/null || [ $? -ne 125 ]
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

@test 'rseq that nobody may ask the kernel for: restart says that it is missing' {
	env "LD_PRELOAD=$BUILD/libckpt.so" CKPT_FILE="$dir/image" GLIBC_TUNABLES=glibc.pthread.rseq=0 \
		"$BUILD/e2e/deny" ptrace 1 "$WORK" lost-rseq >out 2>err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to be ready' has_line out ready
	take_image
	expect_missing 'registrations of rseq(2), its filter of system calls (seccomp)'
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
	timeout "$LIMIT_SECONDS" "$RESTART" image </dev/null
	grep -q '^ok$' out
}

@test 'a file number above the limit of open files' {
	(ulimit -Sn 300 && start files && take_image) # which uses 230
	rm alive
	(ulimit -Sn 200 && exec "$RESTART" image) >restart.out 2>restart.err </dev/null 3>&- 4>&- &
	pid=$!
	wait_until 'it to go on' test -L alive
	[ "$(awk '/^Max open files/ { print $4 }' "/proc/$pid/limits")" -eq 300 ]
	expect_unharmed
	launch=(bash -c 'ulimit -n 200 && exec "$@"' bash)
	expect_refused 'cannot use file numbers from [0-9]* on: raise the limit of open files' image
}

@test 'the same number is refused while another process has it' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	kill -USR2 "$pid"
	wait_until 'an image' test -e image
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
	timeout -k 5 "$LIMIT_SECONDS" env --ignore-signal=CHLD "$RESTART" --same-pid image </dev/null
	grep -q '^ok$' out
}

@test 'the same number: a terminal interrupts it once, and stops it with restart' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	command -v python3 >/dev/null || skip 'python3 is not installed'
	start interrupts
	take_image
	rm -f alive
	timeout -k 5 "$LIMIT_SECONDS" python3 "$TREE/testcase/ckpt/terminal.py" "$RESTART" --same-pid image \
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
	timeout "$LIMIT_SECONDS" "$RESTART" image </dev/null
	grep -q '^ok$' out
}
