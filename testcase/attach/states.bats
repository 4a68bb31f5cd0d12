# SPDX-License-Identifier: BSD-2-Clause
# States in which a checkpoint finds a process, beyond those of programs.bats.

load common

target_is_stopped()
{
	[ "$(state_of "$target")" = T ]
}

# A thread that is let go of stops again by itself, a moment later.
expect_stopped()
{
	tracer_pid= wait_until 'the stop' target_is_stopped
}

@test 'a process that is stopped stays stopped, and goes on with SIGCONT' {
	counter
	kill -STOP "$target"
	expect_stopped
	attach
	for words in 'checkpoint start' rollback diff "save $dir/image" rollback; do
		# shellcheck disable=SC2086 # words
		ctl $words
		expect_stopped
	done
	kill -CONT "$target"
	expect_answer go 2
	# it was stopped at the checkpoint, and is not now
	ctl rollback
	expect_answer go 2
	kill -STOP "$target"
	expect_stopped
	ctl rollback
	expect_stopped
	detach
	expect_stopped
	kill -CONT "$target"
	expect_answer go 2
}

@test 'SIGCONT just after a rollback of a stopped process' {
	counter
	attach
	ctl checkpoint
	for ((round = 0; round < 103; round++)); do
		kill -STOP "$target"
		ctl rollback
		kill -CONT "$target"
		expect_answer go 2
	done
	detach_and_check
}

@test 'guards that are made and removed' {
	compile <<-'C'
		#include <setjmp.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>

		enum { PAGES = 7, PAGE = 1 << 12, FIRST = 3 };
		static sigjmp_buf caught;

		static void catch(int number)
		{
			siglongjmp(caught, number);
		}

		static void show(const unsigned char *pages)
		{
			for (int i = 0; i < PAGES; i++)
				if (sigsetjmp(caught, 1))
					printf(" -");
				else
					printf(" %d", *(volatile unsigned char *)(pages + i * PAGE));
			printf("\n");
			fflush(stdout);
		}

		int main(int argc, char **argv)
		{
			char line[64];
			int advice, page, count;
			unsigned char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			signal(SIGSEGV, catch);
			for (int i = 0; i < PAGES - 1; i++)
				pages[i * PAGE] = (unsigned char)(i + 1);
			while (fgets(line, sizeof(line), stdin)) {
				if (sscanf(line, "%d %d %d", &advice, &page, &count) == 3 &&
				    madvise(pages + page * PAGE, (size_t)count * PAGE, advice))
					printf(" failed:");
				if (sscanf(line, "write %d", &page) == 1)
					pages[page * PAGE] = 9;
				if (!strncmp(line, "again", 5))
					mmap(pages, PAGES * PAGE, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
				show(pages);
			}
		}
	C
	start_target "$dir/program"
	ask '102 2 1'
	[[ $answer != *failed* ]] || skip 'this kernel has no guards (Linux 6.13)'
	expect_answer show ' 1 2 - 4 5 6 0'
	attach
	ctl checkpoint one
	expect_answer '102 4 3' ' 1 2 - 4 - - -'
	expect_answer '103 2 1' ' 1 2 0 4 - - -'
	ctl checkpoint two
	ctl rollback one
	expect_answer show ' 1 2 - 4 5 6 0'
	ctl rollback two
	expect_answer show ' 1 2 0 4 - - -'
	expect_answer again ' 0 0 0 0 0 0 0'
	ctl rollback two
	expect_answer show ' 1 2 0 4 - - -'
	expect_answer '103 0 7' ' 1 2 0 4 0 0 0'
	ctl rollback one
	expect_answer show ' 1 2 - 4 5 6 0'
	ctl diff one
	ctl checkpoint four
	expect_answer '103 2 1' ' 1 2 0 4 5 6 0'
	expect_answer 'write 2' ' 1 2 9 4 5 6 0'
	ctl rollback four
	ctl checkpoint five
	expect_answer show ' 1 2 - 4 5 6 0'
	ctl save "$dir/image"
	detach_and_check
}

@test 'a mapping that was sealed since: refused, and nothing changes' {
	compile <<-'C'
		#include <stdio.h>
		#include <sys/mman.h>
		#include <unistd.h>

		int main(void)
		{
			enum { BYTES = 3 << 12, MSEAL = 462 };
			static unsigned int count;
			char line[64];

			while (fgets(line, sizeof(line), stdin)) {
				void *pages = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
						   -1, 0);

				printf("%u %ld\n", ++count, syscall(MSEAL, pages, BYTES, 0));
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	ask go
	[ "$answer" = '1 0' ] || skip 'this kernel has no mseal(2) (Linux 6.10)'
	attach
	ctl checkpoint
	ctl rollback
	expect_answer go '2 0'
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" 'is sealed'
	expect_answer go '3 0'
	detach_and_check
}

@test 'zeros in a private mapping of a file, which has other bytes' {
	compile <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>

		int main(int argc, char **argv)
		{
			static char bytes[2 << 12];
			FILE *file = fopen(argv[argc - 1], "w+");
			char line[64], *pages;

			memset(bytes, 7, sizeof(bytes));
			if (!file || fwrite(bytes, sizeof(bytes), 1, file) != 1 || fflush(file))
				return 1;
			pages = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE,
				     fileno(file), 0);
			memset(pages, 0, 1 << 12);
			while (fgets(line, sizeof(line), stdin)) {
				printf("%d %d\n", pages[0]++, pages[1 << 12]);
				pages[1 << 12] = 9;
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program" "$dir/file"
	go_back go '0 7' '1 9'
	save_and_bring_back go '2 9' '3 9'
}

# Some kernels have no page of zeros, or no huge one. There a read gives the process a page that it
# can write to without another fault.
@test 'absent memory that is read first and then written' {
	compile <<-'C'
		#include <stdio.h>
		#include <sys/mman.h>

		enum { BYTES = 4 << 20 };

		static volatile int *map(int advice)
		{
			char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			madvise(memory, BYTES, advice);
			return (int *)(memory + BYTES / 2);
		}

		int main(void)
		{
			volatile int *small = map(MADV_NOHUGEPAGE), *huge = map(MADV_HUGEPAGE);
			char line[64];

			while (fgets(line, sizeof(line), stdin)) {
				printf("%d %d\n", *small, *huge);
				fflush(stdout);
				++*small;
				++*huge;
			}
		}
	C
	start_target "$dir/program"
	attach
	ctl checkpoint start
	for round in {1..5}; do
		expect_answer line '0 0'
		expect_answer line '1 1'
		ctl rollback start
	done
	expect_answer line '0 0'
	detach_and_check
}

@test 'writes of all kinds are found by the list of faults, or by a scan after a sign' {
	local letter round listed=0

	compile -D_GNU_SOURCE <<-'C'
		#include <fcntl.h>
		#include <stdint.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <unistd.h>

		enum { HUGE = 2 << 20, BYTES = 4 * HUGE, PAGE = 4096 };

		static void deep(int depth)
		{
			volatile char room[PAGE];

			room[depth % PAGE] = 1;
			if (depth)
				deep(depth - 1);
		}

		static unsigned int sum(const unsigned char *memory)
		{
			unsigned int all = 0;

			for (int i = 0; i < BYTES; i++)
				all = all * 31 + memory[i];
			return all;
		}

		/* memory: the first half has huge pages, and only one of them is there. */
		static void change(unsigned char *memory, char letter)
		{
			unsigned char *half = memory + BYTES / 2;
			int ends[2], fd;

			switch (letter) {
			case 'a': /* so many that all are armed again */
				for (int i = 0; i < 101; i++)
					half[(101 + i) * PAGE]++;
				break;
			case 'w':
				for (int i = 0; i < 4; i++)
					half[i * 9 * PAGE]++;
				break;
			case 'h': /* one fault fills it */
				memory[HUGE + 3 * PAGE] = memory[HUGE + 77 * PAGE] = 7;
				memory[99 * PAGE]++;
				break;
			case 'k': /* the kernel writes */
				if (!pipe(ends) && write(ends[1], "abc", 3) == 3 &&
				    read(ends[0], half + 11 * PAGE, 3) == 3)
					close(ends[0]);
				close(ends[1]);
				break;
			case 'o':
				fd = open("data", O_RDONLY | O_DIRECT);
				if (fd < 0 || read(fd, half + 13 * PAGE, PAGE) != PAGE)
					half[13 * PAGE]++;
				close(fd);
				break;
			case 'v':
				if (!vfork()) {
					half[17 * PAGE]++;
					_exit(0);
				}
				break;
			case 'z':
				madvise(half + 19 * PAGE, 5 * PAGE, MADV_DONTNEED);
				break;
			case 'm':
				mmap(half + 29 * PAGE, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
				break;
			case 's':
				deep(100);
				break;
			case 'f':
				madvise(half + 37 * PAGE, 3 * PAGE, MADV_FREE);
				break;
			default:
				break;
			}
		}

		int main(void)
		{
			unsigned char *memory = mmap(NULL, BYTES + HUGE, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char line[64];

			memory += -(uintptr_t)memory & (HUGE - 1);
			madvise(memory, BYTES / 2, MADV_HUGEPAGE);
			memset(memory, 1, HUGE);
			memset(memory + BYTES / 2, 3, BYTES / 2);
			while (fgets(line, sizeof(line), stdin)) {
				const unsigned int before = sum(memory);

				change(memory, *line);
				printf("%u %p\n", before, (void *)(memory + BYTES / 2));
				fflush(stdout);
			}
		}
	C
	head -c 4096 /dev/urandom >"$dir/data"
	start_target "$dir/program"
	ask sum
	attach
	ctl checkpoint
	expected=$answer
	for round in {1..5}; do
		for letter in a w h w k w o w v w z w m w s w x; do
			expect_answer "$letter" "$expected"
			if [ "$letter" = x ]; then
				printf x | dd of="/proc/$target/mem" bs=1 conv=notrunc \
					seek=$((${expected#* } + 41 * 4096)) 2>"$dir/dd.err"
			fi
			ctl --json rollback
			[ "$letter" != w ] || ! says "$out" '"dirty_way":"faults"' ||
				listed=$((listed + 1))
			case $letter in
			o | z | m | x) expect_text "$out" '"dirty_way":"scan"' ;;
			esac
		done
	done
	expect_answer f "$expected"
	ctl rollback
	expect_answer w "$expected"
	ctl rollback
	expect_answer w "$expected"
	if grep -q 'list of page faults' "$err"; then
		[ "$listed" -gt 0 ]
	fi
	detach_and_check
}

@test 'a static program of musl' {
	if command -v musl-gcc >"$out"; then
		musl=musl-gcc
	else
		unpack musl-dev
		include=$dir/packages/usr/include/x86_64-linux-musl
		lib=$dir/packages/usr/lib/x86_64-linux-musl
		musl="cc -nostdinc -isystem $include -nostdlib -static -no-pie -fno-stack-protector"
		musl+=" $lib/crt1.o $lib/crti.o"
		tail="-L$lib -lc -lgcc $lib/crtn.o"
	fi
	cat >"$dir/program.c" <<-'C'
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>

		static char *add(char *list)
		{
			const size_t length = list ? strlen(list) : 0;

			list = realloc(list, length + 100);
			memset(list + length, 'x', 99);
			list[length + 99] = '\0';
			return list;
		}

		int main(void)
		{
			char line[64], *list = NULL;

			while (fgets(line, sizeof(line), stdin)) {
				list = add(list);
				printf("%zu\n", strlen(list));
				fflush(stdout);
			}
		}
	C
	# shellcheck disable=SC2086 # words
	$musl -static -O2 "$dir/program.c" ${tail:-} -o "$dir/program" 2>"$err" ||
		skip "no program: $(head -n 1 "$err")"
	start_target "$dir/program"
	expect_answer go 99
	go_back go 198 297
	save_and_bring_back go 396 495
}

@test 'AVX-512 registers are live' {
	grep -q -w avx512f /proc/cpuinfo || skip 'the processor has no AVX-512'
	compile -mavx512f <<-'C'
		#include <immintrin.h>
		#include <poll.h>
		#include <stdio.h>
		#include <string.h>

		/* Waits for input with a pattern in ZMM31 and K3, by a call made by hand. */
		static int keeps(unsigned char with)
		{
			unsigned char pattern[64], found[64];
			struct pollfd source = {.fd = 0, .events = POLLIN};
			long result = 7 /* poll */;
			unsigned int mask = 0x1234 + with;

			memset(pattern, with, sizeof(pattern));
			__asm__ volatile("vmovdqu64 (%[pattern]), %%zmm31\n"
					 "kmovw %k[mask], %%k3\n"
					 "syscall\n"
					 "vmovdqu64 %%zmm31, (%[found])\n"
					 "kmovw %%k3, %k[mask]\n"
					 : "+a"(result), [mask] "+r"(mask)
					 : "D"(&source), "S"(1L), "d"(-1L), [pattern] "r"(pattern),
					   [found] "r"(found)
					 : "rcx", "r11", "zmm31", "k3", "memory");
			return !memcmp(pattern, found, sizeof(found)) && mask == 0x1234U + with;
		}

		int main(void)
		{
			char line[64];
			int lines = 0;

			setvbuf(stdin, NULL, _IONBF, 0);
			while (keeps((unsigned char)(lines + 1)) && fgets(line, sizeof(line), stdin)) {
				printf("%d\n", ++lines);
				fflush(stdout);
			}
			puts("wrong");
		}
	C
	start_target "$dir/program"
	expect_answer go 1
	go_back go 2 3
	save_and_bring_back go 4 5
}

@test 'a sandbox that kills for any call but read and write' {
	compile <<-'C'
		#include <linux/seccomp.h>
		#include <sys/prctl.h>
		#include <unistd.h>

		int main(void)
		{
			char answer[] = "0\n", line[64];

			if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
				return 1;
			while (read(0, line, sizeof(line)) > 0 && write(1, answer, 2) == 2)
				answer[0]++;
		}
	C
	start_target "$dir/program"
	expect_answer go 0
	go_back go 1 2
}

@test 'AMX tiles are live' {
	grep -q -w amx_tile /proc/cpuinfo || skip 'the processor has no AMX'
	compile <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		static _Alignas(64) unsigned char configuration[64] = {1}, before[1024], after[1024];

		int main(void)
		{
			char line[64];
			int lines = 0;

			if (syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18))
				return 1;
			configuration[16] = 64;
			configuration[48] = 16;
			memset(before, 23, sizeof(before));
			__asm__ volatile("ldtilecfg %0\ntileloadd (%1,%2), %%tmm0"
					 : : "m"(configuration), "r"(before), "r"(64L));
			while (fgets(line, sizeof(line), stdin)) {
				__asm__ volatile("tilestored %%tmm0, (%0,%1)"
						 : : "r"(after), "r"(64L) : "memory");
				printf("%s %d\n", memcmp(before, after, sizeof(before)) ? "wrong" : "right",
				       ++lines);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer go 'right 1'
	attach
	ctl checkpoint
	expect_answer go 'right 2'
	ctl rollback
	expect_answer go 'right 2'
	run_ctl save "$dir/image"
	expect_status 1
	expect_text "$dir/ctl.err" 'AMX'
	detach_and_check
}

# Told 's', it makes a child that has the same memory; told 'o', a child that makes such a child and
# ends. It waits for the end of a child at 'w'. With a word it is such a child itself.
start_sharing_target()
{
	compile -D_GNU_SOURCE <<-'C'
		#include <sched.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>

		static int wait_in_child(void *unused)
		{
			while (access("go-on", F_OK))
				usleep(1000);
			_exit(unused != NULL);
		}

		static pid_t share(int (*play)(void *))
		{
			char *stack = malloc(65536);

			return clone(play, stack + 65536, CLONE_VM | SIGCHLD, NULL);
		}

		static int leave_child(void *unused)
		{
			pid_t child = share(wait_in_child);
			FILE *file = fopen("orphan", "w");

			fprintf(file, "%d\n", child);
			fclose(file);
			_exit(unused != NULL);
		}

		static int answer(void *unused)
		{
			char line[64];
			int lines = 0;

			while (fgets(line, sizeof(line), stdin)) {
				if (*line == 's')
					share(wait_in_child);
				if (*line == 'o')
					waitpid(share(leave_child), NULL, 0);
				if (*line == 'w')
					wait(NULL);
				printf("%d\n", ++lines);
				fflush(stdout);
			}
			_exit(unused != NULL);
		}

		int main(int argc, char **argv)
		{
			if (argc == 1)
				return answer(argv);
			waitpid(share(answer), NULL, 0);
		}
	C
	cd "$dir"
	start_target "$dir/program" "$@"
}

expect_sharing()
{
	run_ctl "$1"
	expect_status 1
	expect_text "$dir/ctl.err" "another process has the same memory .*: process $2"
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

@test 'a process that shares its memory with another one: refused, until that has ended' {
	start_sharing_target
	expect_answer share 1
	attach
	expect_sharing checkpoint '[1-9]'
	expect_answer go 2
	: >go-on
	expect_answer wait 3
	ctl checkpoint
	expect_answer go 4
	ctl rollback
	expect_answer go 4
	detach_and_check
}

@test 'a process that shares its memory with a child of one that has ended: refused' {
	start_sharing_target
	expect_answer orphan 1
	attach
	expect_sharing checkpoint "$(<orphan)"
	: >go-on
	wait_until 'the other process to end' has_ended "$(<orphan)"
	ctl checkpoint
	expect_answer go 2
	ctl rollback
	expect_answer go 2
	detach_and_check
}

@test 'a process that shares its memory with its parent: refused' {
	local parent

	start_sharing_target child
	expect_answer go 1
	parent=$target
	target=$(<"/proc/$parent/task/$parent/children")
	target=${target% }
	started+=("$target")
	attach
	expect_sharing checkpoint "$parent"
	kill -KILL "$parent"
	wait "$parent" || true
	ctl checkpoint
	expect_answer go 2
	ctl rollback
	expect_answer go 2
	detach_and_check
}

# diff takes a checkpoint of its own, which goes on where the sharing began
@test 'memory shared since the checkpoint: no rollback, until that has ended' {
	start_sharing_target
	expect_answer go 1
	attach
	ctl checkpoint
	ctl rollback
	expect_answer share 2
	for round in 1 2; do
		expect_sharing rollback '[1-9]'
		expect_answer go $((round + 2))
		ctl diff
	done
	: >go-on
	expect_answer wait 5
	ctl rollback
	expect_answer go 2
	detach_and_check
}

@test 'a parent inside vfork: refused, and it goes on' {
	compile <<-'C'
		#include <signal.h>
		#include <stdio.h>
		#include <sys/wait.h>
		#include <unistd.h>

		int main(void)
		{
			char line[64];
			int lines = 0;

			while (fgets(line, sizeof(line), stdin)) {
				if (*line == 'v') {
					puts("vfork");
					fflush(stdout);
					if (!vfork()) {
						while (access("go-on", F_OK))
							usleep(1000);
						_exit(0);
					}
					wait(NULL);
				}
				printf("%d\n", ++lines);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	expect_answer go 1
	attach
	ctl checkpoint
	expect_answer v vfork
	for words in checkpoint rollback diff "save $dir/image"; do
		# shellcheck disable=SC2086 # words
		run_ctl $words
		expect_status 1
		expect_text "$dir/ctl.err" 'did not stop in time'
	done
	: >"$dir/go-on"
	IFS= read -r -t "$LIMIT_SECONDS" answer <&"$from_target"
	[ "$answer" = 2 ]
	expect_answer go 3
	ctl rollback
	expect_answer go 2
	detach_and_check
}

@test 'pages that are not written any more are not written back for ever' {
	local before round

	command -v jq >"$out" || skip 'there is no jq'
	compile <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>

		enum { PAGES = 31, PAGE = 4096 };

		int main(void)
		{
			char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char line[64];

			memset(memory, 1, PAGES * PAGE);
			while (fgets(line, sizeof(line), stdin)) {
				printf("%d\n", memory[0] + memory[(PAGES - 1) * PAGE]);
				fflush(stdout);
				for (int i = 0; *line == 'w' && i < PAGES; i++)
					memory[i * PAGE]++;
			}
		}
	C
	start_target "$dir/program"
	ask read
	attach
	ctl checkpoint
	expect_answer write 2
	ctl --json rollback
	before=$(jq .pages "$out")
	[ "$before" -ge 31 ]
	for round in {1..71}; do
		ctl rollback
	done
	expect_answer read 2
	ctl --json rollback
	[ "$(jq .pages "$out")" -le $((before - 31)) ]
	expect_answer write 2
	ctl rollback
	expect_answer read 2
	detach_and_check
}

# expect_faults LINE: one for each of the 307 pages, and those of the stack
expect_faults()
{
	ask "$1"
	[ "$answer" -ge 307 ]
	[ "$answer" -le 311 ]
}

# expect_few LINE: no page fault but for what the kernel does by itself, such as moving a page
expect_few()
{
	ask "$1"
	[ "$answer" -le 3 ]
}

@test 'between requests nobody stops the process, and it has a page fault for each page it writes' {
	compile <<-'C'
		#include <stdio.h>
		#include <sys/mman.h>
		#include <sys/resource.h>

		enum { PAGES = 307, PAGE = 4096 };

		static long read_faults(void)
		{
			struct rusage usage;

			getrusage(RUSAGE_SELF, &usage);
			return usage.ru_minflt;
		}

		int main(void)
		{
			volatile char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char line[64];
			long before;

			madvise((void *)pages, PAGES * PAGE, MADV_NOHUGEPAGE);
			while (fgets(line, sizeof(line), stdin)) {
				before = read_faults();
				for (int i = 0; i < PAGES; i++)
					pages[i * PAGE]++;
				printf("%ld\n", read_faults() - before);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	ask first
	expect_few before
	attach
	expect_few attached
	ctl checkpoint
	expect_faults armed
	expect_few written
	[ "$(sed -n 's/^TracerPid:\t//p' "/proc/$target/status")" = 0 ]
	ctl rollback
	expect_faults back
	expect_few again
	detach_and_check
	expect_few detached
}

# What a thread registers with the kernel is not in its memory. Before each line, a handler tells on
# which stack it runs.
@test 'what a thread has registered since with the kernel, or given back' {
	compile -D_GNU_SOURCE <<-'C'
		#include <linux/futex.h>
		#include <signal.h>
		#include <stdio.h>
		#include <sys/mman.h>
		#include <sys/prctl.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		static struct { _Alignas(32) char bytes[32]; } first, *second;
		static struct robust_list_head robust;
		static stack_t own, other;
		static char *volatile handled_on;

		static void handle(int signal)
		{
			char here;

			(void)signal;
			handled_on = &here;
		}

		static const char *handled(void)
		{
			handled_on = NULL;
			raise(SIGUSR1);
			if (handled_on >= (char *)own.ss_sp && handled_on < (char *)own.ss_sp + own.ss_size)
				return "own";
			return other.ss_sp && handled_on >= (char *)other.ss_sp &&
			       handled_on < (char *)other.ss_sp + other.ss_size ? "other" : "none";
		}

		static int registers(void *area)
		{
			return !syscall(SYS_rseq, area, 32, 0, 0x53053053);
		}

		static int gives_back(void *area)
		{
			return !syscall(SYS_rseq, area, 32, 1, 0x53053053);
		}

		static void show(int was, const char *where)
		{
			int *tid_address = NULL;
			size_t bytes;
			void *head;

			syscall(SYS_get_robust_list, 0, &head, &bytes);
			prctl(PR_GET_TID_ADDRESS, &tid_address);
			printf("%d %s %d %d\n", was, where, head == &robust, tid_address == (int *)&first);
		}

		int main(void)
		{
			struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
			char line[23];

			setvbuf(stdout, NULL, _IONBF, 0);
			sigaction(SIGUSR1, &action, NULL);
			own.ss_size = 65536;
			own.ss_sp = mmap(NULL, own.ss_size, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			sigaltstack(&own, NULL);
			while (fgets(line, sizeof(line), stdin)) {
				const char *where = handled();

				switch (*line) {
				case 'r': /* in memory that a rollback takes away */
					second = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					other.ss_size = 65536;
					other.ss_sp = mmap(NULL, other.ss_size, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					sigaltstack(&other, NULL);
					syscall(SYS_set_robust_list, &robust, sizeof(robust));
					syscall(SYS_set_tid_address, &first);
					show(registers(second), where);
					break;
				case 'f':
					show(registers(&first), where);
					break;
				case 'm': /* gives back what is registered then, and registers another area */
					second = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					show(gives_back(&first) && registers(second), where);
					break;
				}
			}
			return 0;
		}
	C
	GLIBC_TUNABLES=glibc.pthread.rseq=0 start_target "$dir/program"
	attach
	ctl checkpoint before
	for _ in 1 2 3; do
		expect_answer r '1 own 1 1'
		ctl rollback before
	done
	come_back_whole expect_answer r '1 own 1 1'
	expect_answer f '1 own 0 0'
	ctl checkpoint after
	for _ in 1 2 3; do
		expect_answer m '1 own 0 0'
		ctl rollback after
	done
	ctl rollback before
	expect_answer f '1 own 0 0'
	detach_and_check
}

# The kernel does not merge what is mapped of two opens of a file, and does not resize two mappings
# at once.
@test 'a mapping of a file that has lost its end is one again' {
	compile -D_GNU_SOURCE <<-'C'
		#include <fcntl.h>
		#include <stdio.h>
		#include <sys/mman.h>
		#include <unistd.h>

		enum { MANY = 100 * 4096 };

		int main(int argc, char **argv)
		{
			int file = open(argv[argc - 1], O_RDONLY);
			char *memory = mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
			char line[23], *moved;

			setvbuf(stdout, NULL, _IONBF, 0);
			memory[7 * 4096] = memory[77 * 4096] = 'w';
			while (fgets(line, sizeof(line), stdin)) {
				if (*line == 's') {
					moved = mremap(memory, MANY, MANY / 2, 0);
					printf("%d\n", moved == memory);
				} else {
					moved = mremap(memory, MANY, 2 * MANY, MREMAP_MAYMOVE);
					printf("%d %c%c%c\n", moved != MAP_FAILED, moved[7 * 4096],
					       moved[77 * 4096], moved[78 * 4096]);
				}
			}
			return 0;
		}
	C
	tr '\0' f </dev/zero | head -c 819200 >"$dir/mapped"
	start_target "$dir/program" "$dir/mapped"
	attach
	ctl checkpoint start
	come_back_whole expect_answer s 1
	[ "$(grep -c "$dir/mapped" "/proc/$target/maps")" -eq 1 ]
	detach_and_check
	expect_answer g '1 wwf'
}
