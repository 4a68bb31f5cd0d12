# SPDX-License-Identifier: BSD-2-Clause
# Targets that make it hard: many threads, many mappings, mappings that change all the time, and an
# end or an exec at any instant.

load common

# hostile WORDS...: starts a target of that kind
hostile()
{
	compile -pthread <<-'C'
		#define _GNU_SOURCE
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <unistd.h>

		enum { PAGE = 4096 };

		static void *rest(void *argument)
		{
			for (;;)
				pause();
			return argument;
		}

		/* The bytes of a page say which round it is of. */
		static void *change(void *argument)
		{
			static int wrong;

			for (unsigned char round = 1;; round++) {
				const size_t bytes = PAGE * (1 + round % 23);
				unsigned char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
							    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

				if (pages == MAP_FAILED)
					abort();
				memset(pages, round, bytes);
				mprotect(pages, PAGE, PROT_READ);
				for (size_t i = 0; i < bytes; i++)
					wrong += pages[i] != round;
				if (wrong)
					abort();
				munmap(pages, bytes);
			}
			return argument;
		}

		int main(int argc, char **argv)
		{
			const int count = atoi(argv[2]);
			unsigned char *pages = NULL;
			pthread_attr_t small;
			pthread_t thread;
			char line[64];
			int n = 0;

			pthread_attr_init(&small);
			pthread_attr_setstacksize(&small, 65536);
			if (!strcmp(argv[1], "pieces")) {
				pages = mmap(NULL, PAGE * (size_t)count, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				for (int i = 1; i < count; i += 2)
					if (mprotect(pages + PAGE * (size_t)i, PAGE, PROT_READ))
						abort();
			}
			for (int i = 0; !pages && i < count; i++)
				if (pthread_create(&thread, &small,
						   *argv[1] == 'c' ? change : rest, NULL))
					abort();
			setvbuf(stdout, NULL, _IONBF, 0);
			while (argc == 3 && fgets(line, sizeof(line), stdin)) {
				if (!strcmp(line, "exec\n"))
					execlp("sleep", "sleep", "1000", NULL);
				if (!strcmp(line, "exit\n"))
					_exit(0);
				for (int i = 0; pages && i < count; i += 2)
					if (pages[PAGE * (size_t)i]++ != n)
						abort();
				printf("%d\n", ++n);
			}
			return 0;
		}
	C
	start_target "$dir/program" "$@"
	expect_answer hello 1
}

# back N: to the checkpoint, N times; the answers are as at first
back()
{
	local round

	attach
	ctl checkpoint
	for ((round = 0; round < $1; round++)); do
		expect_answer hello 2
		expect_answer hello 3
		ctl rollback
	done
	expect_answer hello 2
	detach_and_check
	expect_answer hello 3
}

@test 'a thousand threads' {
	hostile threads 1000
	back 5
	[ "$(find "/proc/$target/task" -maxdepth 1 -name '[0-9]*' | wc -l)" -eq 1001 ]
}

@test 'ten thousand mappings' {
	hostile pieces 10000
	back 5
}

@test 'threads that map, protect and unmap all the time' {
	hostile change 3
	back 23
}

# say_until_end LINE: again and again, for a rollback may take back that the target has read it
say_until_end()
{
	local i

	for ((i = 0; i < 1000; i++)); do
		printf '%s\n' "$1" >&"$to_target"
		sleep 0.03
	done
}

@test 'an exec or an end at any instant is told' {
	local lines=(exit exec) round writer

	hostile rest 3
	for ((round = 0; round < 11; round++)); do
		attach
		ctl checkpoint
		(sleep "0.0$((round * 37 % 90 + 10))" && say_until_end "${lines[round % 2]}") 3>&- &
		writer=$!
		started+=("$writer")
		while run_ctl rollback && [ "$status" -eq 0 ]; do
			:
		done
		kill -KILL "$writer"
		[ "$status" -eq 1 ]
		cat "$dir/ctl.err"
		expect_text "$dir/ctl.err" \
			'another program\|has ended\|no such process\|no process\|no tracer'
		kill -KILL "$target" 2>"$err" || true
		finish_tracer
		expect_status 0
		rm -f "$dir/in" "$dir/answers"
		start_target "$dir/program" rest 3
		expect_answer hello 1
	done
}
