# SPDX-License-Identifier: BSD-2-Clause
# tracer ctl save: a process that was saved from outside is killed and brought back by restart.

load common

@test 'a shell' {
	counter
	save_and_bring_back line 2 3
}

@test 'a C program of 32 threads, which all block all signals' {
	compile -pthread <<-'C'
		#include <pthread.h>
		#include <signal.h>
		#include <stdio.h>

		enum { THREADS = 32 };
		static pthread_barrier_t begin, end;
		static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
		static long total, own[THREADS + 1];
		static __thread long mine;

		static void *work(void *number)
		{
			for (;;) {
				pthread_barrier_wait(&begin);
				mine += (long)number;
				own[(long)number] = mine;
				pthread_mutex_lock(&lock);
				total += (long)number;
				pthread_mutex_unlock(&lock);
				pthread_barrier_wait(&end);
			}
		}

		int main(void)
		{
			char line[64];
			pthread_t thread;
			sigset_t all;

			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			pthread_barrier_init(&begin, NULL, THREADS + 1);
			pthread_barrier_init(&end, NULL, THREADS + 1);
			for (long i = 1; i <= THREADS; i++)
				pthread_create(&thread, NULL, work, (void *)i);
			while (fgets(line, sizeof(line), stdin)) {
				long sum = 0;

				pthread_barrier_wait(&begin);
				pthread_barrier_wait(&end);
				for (int i = 1; i <= THREADS; i++)
					sum += own[i];
				printf("%s %ld\n", sum == total ? "right" : "wrong", total);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer go 'right 528'
	save_and_bring_back go 'right 1056' 'right 1584'
	[ "$(grep '^SigBlk:' "/proc/$target/task/$target/status")" = "$(grep '^SigBlk:' /proc/self/status |
		sed 's/[0-9a-f]*$/fffffffe7ffbfeff/')" ]
}

@test 'a static program' {
	compile -static <<-'C'
		#include <stdio.h>
		#include <stdlib.h>

		int main(void)
		{
			char line[64];
			int n = 0;

			while (fgets(line, sizeof(line), stdin)) {
				char *p = malloc(99999);

				p[9] = 1;
				n += p[9];
				printf("%d\n", n);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer go 1
	save_and_bring_back go 2 3
}

@test 'vector registers, an alternate stack, a handler and a timer' {
	compile <<-'C'
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/time.h>
		#include <unistd.h>

		static volatile sig_atomic_t alarms;

		static void on_alarm(int signal)
		{
			char here;
			stack_t stack;

			(void)signal;
			sigaltstack(NULL, &stack);
			alarms += &here > (char *)stack.ss_sp &&
				  &here < (char *)stack.ss_sp + stack.ss_size;
		}

		/* Spins until an alarm has come, with a pattern in the registers. */
		static int keeps_registers(void)
		{
			static const unsigned char pattern[16] = "vector registers";
			unsigned char found[16];
			const int before = alarms;

			__asm__ volatile("movdqu (%1), %%xmm7\n"
					 "1: cmpl %3, %2\n"
					 "je 1b\n"
					 "movdqu %%xmm7, (%0)"
					 :
					 : "r"(found), "r"(pattern), "m"(alarms), "r"(before)
					 : "xmm7", "memory");
			return !memcmp(found, pattern, sizeof(found));
		}

		int main(void)
		{
			const struct itimerval timer = {{0, 20000}, {0, 20000}};
			struct sigaction action = {.sa_handler = on_alarm,
						   .sa_flags = SA_ONSTACK | SA_RESTART};
			stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
			FILE *answers = fopen("rounds", "w");

			sigaltstack(&stack, NULL);
			sigaction(SIGALRM, &action, NULL);
			setitimer(ITIMER_REAL, &timer, NULL);
			for (long i = 1;; i++) {
				if (!keeps_registers())
					abort();
				fprintf(answers, "%ld\n", i);
				fflush(answers);
			}
		}
	C
	mkfifo "$dir/in" "$dir/answers"
	exec {to_target}<>"$dir/in" {from_target}<>"$dir/answers"
	"$dir/program" 2>"$dir/target.err" 3>&- &
	target=$!
	started+=("$target")
	wait_until 'the first alarm' test -s "$dir/rounds"
	attach
	ctl save "$dir/image"
	detach_and_check
	bring_back
	rounds=$(wc -l <"$dir/rounds")
	more() { [ "$(wc -l <"$dir/rounds")" -gt $((rounds + 23)) ] || has_ended "$target"; }
	wait_until 'more alarms' more
	expect_running "$target"
}

@test 'python3 with a pool of threads' {
	find_python
	start_target "$python" -I -u -c '
import sys, threading
from concurrent.futures import ThreadPoolExecutor

barrier = threading.Barrier(7)
lock, total = threading.Lock(), 0

def work(n):
    global total
    barrier.wait()
    with lock:
        total += n

with ThreadPoolExecutor(7) as pool:
    for line in sys.stdin:
        list(pool.map(work, range(7)))
        print(total)
'
	expect_answer go 21
	save_and_bring_back go 42 63
}

# Without root, a deleted file cannot be opened: its pages are read from the process.
@test 'a written page in a private mapping of a deleted file, without root' {
	compile <<-'C'
		#include <fcntl.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <unistd.h>

		int main(void)
		{
			char page[4096], line[64], *pages;
			int fd = open("mapped", O_RDWR | O_CREAT, 0600);

			for (int i = 0; i < 4; i++) {
				memset(page, 'a' + i, sizeof(page));
				if (write(fd, page, sizeof(page)) != sizeof(page))
					return 1;
			}
			pages = mmap(NULL, 4 * sizeof(page), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
			memset(pages + 2 * sizeof(page), 'W', sizeof(page));
			close(fd);
			unlink("mapped");
			while (fgets(line, sizeof(line), stdin)) {
				if (line[0] == 'w')
					memset(pages, 'L', sizeof(page));
				printf("%p\n", (void *)pages);
				fflush(stdout);
			}
		}
	C
	become_nobody
	start_target setpriv --reuid "$nobody" --regid "$nobody" --clear-groups \
		env -C "$dir" ./program
	ask line
	attach
	ctl save "$dir/image"
	ctl checkpoint before
	ask write
	run_ctl save "$dir/later" before
	expect_status 1
	expect_text "$dir/ctl.err" 'written since the checkpoint' 'mapped (deleted)' 'root can'
	[ ! -e "$dir/later" ]
	detach_and_check
	for byte in 61 62 57 64; do
		"$BUILD/readckpt" --dump="$answer,4" "$dir/image" >"$out"
		expect_text "$out" "$byte *$byte *$byte *$byte"
		answer=$(printf '0x%x' $((answer + 4096)))
	done
}

@test 'an earlier checkpoint' {
	counter
	attach
	ctl checkpoint two
	expect_answer line 2
	expect_answer line 3
	ctl save "$dir/image" two
	expect_answer line 4
	ctl rollback two
	expect_answer line 2
	run_ctl save "$dir/image" nothing
	expect_status 1
	expect_text "$dir/ctl.err" 'there is no checkpoint of that name'
	detach_and_check
	bring_back
	expect_answer line 2
	expect_answer line 3
}

@test 'a process that was brought back is attached, rolled back, and saved again' {
	counter
	save_and_bring_back line 2 3
	attach
	ctl checkpoint
	expect_answer line 4
	ctl rollback
	expect_answer line 4
	ctl save "$dir/image"
	detach_and_check
	bring_back
	expect_answer line 5
}

@test 'readckpt and gdb read the image' {
	counter
	attach
	ctl save "$dir/image.gz"
	detach_and_check
	run_limited "$BUILD/readckpt" "$dir/image.gz"
	expect_status 0
	command -v gdb >"$out" || skip 'there is no gdb'
	zcat "$dir/image.gz" >"$dir/image"
	run_limited gdb -nx -batch -ex 'info registers rip' -ex 'info threads' "$(command -v sh)" \
		"$dir/image"
	expect_text "$out" '^rip ' "LWP $target"
}

@test 'the file: its name, its mode, and what is there already' {
	counter
	attach
	mkdir "$dir/a folder"
	(cd "$dir/a folder" && umask 0 && run_ctl save 'an 100% ïmage' && [ "$status" -eq 0 ])
	[ "$(stat -c %a "$dir/a folder/an 100% ïmage")" = 600 ]
	"$BUILD/readckpt" "$dir/a folder/an 100% ïmage" >"$out"
	echo old >"$dir/image"
	chmod 644 "$dir/image"
	ctl save "$dir/image"
	[ "$(stat -c %a "$dir/image")" = 600 ]
	"$BUILD/readckpt" "$dir/image" >"$out"
	echo precious >"$dir/precious"
	ln -s precious "$dir/link"
	for name in link 'a folder' nothing/image; do
		run_ctl save "$dir/$name"
		expect_status 1
		expect_text "$dir/ctl.err" "$name"
		expect_text "$dir/ctl.err" 'the image is not written: '
	done
	[ "$(cat "$dir/precious")" = precious ]
	run_ctl save
	expect_status 2
	[ "$(find "$dir" -name 'image.*' | wc -l)" -eq 0 ]
	detach_and_check
	expect_answer line 2
}

# nobody_names_socket: is there no tracer, helper or tracer ctl with this control socket?
nobody_names_socket()
{
	grep -l -z -x -F -f "$dir/socket-name" /proc/[0-9]*/cmdline >"$dir/naming" 2>/dev/null
	[ ! -s "$dir/naming" ]
}

@test 'a tracer that is killed while it saves leaves the target as it was' {
	local round

	counter
	echo "$dir/$socket" >"$dir/socket-name"
	for round in {1..23}; do
		attach
		"$TRACER" ctl --control-socket "$dir/$socket" "$target" save "$dir/image" \
			>"$out" 2>&1 3>&- &
		started+=($!)
		sleep "0.0$((round * 7 % 30 + 1))"
		kill -KILL "$tracer_pid"
		finish_tracer
		tracer_pid= # the helper of the one that was killed may still be at work
		wait_until 'the end of its helper' nobody_names_socket
		wait_until 'the target to be let go' \
			grep -q $'^TracerPid:\t0$' "/proc/$target/status"
		expect_running "$target"
		expect_answer line "$((round + 1))"
	done
}

# A thread of the target calls before_ready() of stdin; then the target answers lines.
compile_with_thread()
{
	{
		cat <<-'C'
			#include <pthread.h>
			#include <sched.h>
			#include <signal.h>
			#include <stdio.h>
			#include <sys/fsuid.h>
			#include <unistd.h>

			static void before_ready(void);
			static pthread_barrier_t is_ready;

			static void *work(void *unused)
			{
				before_ready();
				pthread_barrier_wait(&is_ready);
				for (;;)
					pause();
				return unused;
			}

			int main(void)
			{
				char line[64];
				pthread_t thread;
				int n = 0;

				pthread_barrier_init(&is_ready, NULL, 2);
				pthread_create(&thread, NULL, work, NULL);
				pthread_barrier_wait(&is_ready);
				while (fgets(line, sizeof(line), stdin)) {
					printf("%d\n", ++n);
					fflush(stdout);
				}
			}
		C
		cat
	} | compile -D_GNU_SOURCE -pthread
}

@test 'a thread with open files, a current folder or a user of its own: no image' {
	local call

	for call in 'unshare(CLONE_FS)' 'unshare(CLONE_FILES)' 'setfsuid(65534)'; do
		compile_with_thread <<<"static void before_ready(void) { $call; }"
		rm -f "$dir/in" "$dir/answers"
		start_target "$dir/program"
		expect_answer line 1
		attach
		run_ctl save "$dir/image"
		expect_status 1
		expect_text "$dir/ctl.err" 'a thread has open files, a current folder or a user of its own'
		[ ! -e "$dir/image" ]
		detach_and_check
		expect_answer line 2
	done
}

@test 'a signal that is pending for one thread is named as missing' {
	compile_with_thread <<-'C'
		static void before_ready(void)
		{
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			pthread_sigmask(SIG_BLOCK, &set, NULL);
			pthread_kill(pthread_self(), SIGUSR1);
		}
	C
	start_target "$dir/program"
	save_and_bring_back line 1 2
	expect_text "$dir/restart.err" 'comes back without: pending signals'
}

# compile_without_first: its first thread ends when it is told 'e'
compile_without_first()
{
	compile -pthread "$@" <<-'C'
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>

		static void *answer(void *leader)
		{
			char line[64];
			int n = 0;

			while (fgets(line, sizeof(line), stdin)) {
				if (line[0] == 'e') {
					pthread_cancel(*(pthread_t *)leader);
					pthread_join(*(pthread_t *)leader, NULL);
				}
				printf("%d\n", ++n);
				fflush(stdout);
			}
			exit(0);
		}

		int main(void)
		{
			static pthread_t leader;
			pthread_t thread;

			leader = pthread_self();
			pthread_create(&thread, NULL, answer, &leader);
			pthread_join(thread, NULL);
		}
	C
}

@test 'the first thread ends while the tracer is attached: it says so, and the next one may attach' {
	compile_without_first
	start_target "$dir/program"
	expect_answer go 1
	attach
	ctl checkpoint 1
	expect_answer end 2
	run_ctl save "$dir/image"
	expect_status 1
	expect_text "$dir/ctl.err" 'the thread that showed its memory has ended'
	[ ! -e "$dir/image" ]
	for words in checkpoint 'rollback 1'; do
		run_ctl $words
		expect_status 1
		expect_text "$dir/ctl.err" 'the thread that showed its memory has ended'
	done
	expect_answer go 3
	ctl detach
	finish_tracer
	attach
	ctl checkpoint
	expect_answer go 4
	ctl rollback
	expect_answer go 4
	detach
	expect_answer go 5
}

@test 'a process whose first thread has ended is rolled back, saved and brought back' {
	compile_without_first -static
	start_target "$dir/program"
	expect_answer end 1
	attach
	ctl checkpoint
	expect_text "$out" ' 1 thread,'
	for round in 1 2 3; do
		expect_answer go 2
		expect_answer go 3
		ctl rollback
	done
	ctl diff
	ctl save "$dir/image"
	expect_answer go 2
	detach
	expect_answer go 3
	bring_back
	expect_answer go 2
	expect_answer go 3
}

@test 'the same with threads that run on' {
	compile -pthread <<-'C'
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>

		enum { THREADS = 5 };
		static pthread_barrier_t begin, end;
		static long own[THREADS];
		static __thread long mine;

		static void *work(void *number)
		{
			for (;;) {
				pthread_barrier_wait(&begin);
				mine += (long)number + 1;
				own[(long)number] = mine;
				pthread_barrier_wait(&end);
			}
		}

		static void *answer(void *unused)
		{
			char line[64];

			while (fgets(line, sizeof(line), stdin)) {
				long sum = 0;

				pthread_barrier_wait(&begin);
				pthread_barrier_wait(&end);
				for (int i = 0; i < THREADS; i++)
					sum += own[i];
				printf("%ld\n", sum);
				fflush(stdout);
			}
			exit(unused != NULL);
		}

		int main(void)
		{
			pthread_t thread;

			pthread_barrier_init(&begin, NULL, THREADS + 1);
			pthread_barrier_init(&end, NULL, THREADS + 1);
			for (long i = 0; i < THREADS; i++)
				pthread_create(&thread, NULL, work, (void *)i);
			pthread_create(&thread, NULL, answer, NULL);
			pthread_exit(NULL);
		}
	C
	start_target "$dir/program"
	expect_answer go 15
	attach
	ctl checkpoint
	expect_text "$out" ' 6 threads,'
	for round in 1 2 3; do
		expect_answer go 30
		expect_answer go 45
		ctl rollback
	done
	ctl diff
	ctl save "$dir/image"
	expect_answer go 30
	detach
	bring_back
	expect_answer go 30
	expect_answer go 45
}
