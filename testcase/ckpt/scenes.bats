# SPDX-License-Identifier: BSD-2-Clause
# libckpt and restart: the scenes of work.c, which are killed and brought back. See scene.sh.

load common

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
	wait_until 'it to be ready' has_line out ready
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

@test 'brought back: in the middle of the dynamic loader' {
	scene "$WORK" loader
	scene "$WORK-no-pie" loader
}

@test 'brought back: a large heap' {
	[ "$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -gt 1500 ] ||
		skip 'less than 1500 MiB of memory are free'
	[ "$(df --output=avail -m . | tail -n 1)" -gt 1000 ] || skip 'less than 1000 MiB of disk are free'
	scene "$WORK" heap 263
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

@test 'brought back: a helper thread of the C library that blocks all signals' {
	for options in CKPT_FORK=0 CKPT_FORK=1; do
		scene -o "$options" "$WORK" helper
	done
}

@test 'brought back: threads that block all signals, or wait for all' {
	scene "$WORK" deaf
	for way in 0 1 2 3; do
		scene "$WORK" blocked "$way"
	done
	scene "$WORK" computing
}

@test 'brought back: a program that root was before' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	chmod 777 .
	for options in CKPT_FORK=0 CKPT_FORK=1 CKPT_INCREMENTAL=1; do
		rm -f finish image* alive
		start "$options" dropped
		next_image
		comes_back
	done
}

@test 'brought back: files under all numbers, that of libckpt among them' {
	for limit in 64 256 1024; do
		rm -f finish image* file*
		under=(prlimit --nofile="$limit")
		start CKPT_INCREMENTAL=1 numbers
		next_image
		wait_until 'it to have opened all' grep -q opened out
		next_image
		next_image
		comes_back
	done
	pid=
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

@test 'brought back: what is open as a place only (O_PATH)' {
	scene "$WORK" places
}

@test 'brought back: a thread whose rseq is not registered' {
	start no-rseq
	! grep '^none' out || skip 'the C library registers none'
	take_image
	: >finish
	timeout "$LIMIT_SECONDS" "$RESTART" image </dev/null
	[ "$(tail -n 1 out)" = ok ]
}

@test 'brought back: the name of the program file' {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	start count
	next_image
	restart_in_background image
	[ "$(readlink "/proc/$pid/exe")" = "$WORK" ]
	expect_unharmed
}
