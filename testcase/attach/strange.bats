# SPDX-License-Identifier: BSD-2-Clause
# Programs that do what few programs do.

load common

# The call in which a rollback finds the target is made in memory that goes before the last call for
# the rollback is made: by "new", in memory mapped since; by "old", in memory that had other bytes,
# and is large enough to be discarded.
@test 'the system call that waits is in memory that the rollback takes away' {
	compile <<-'C'
		#define _GNU_SOURCE
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <unistd.h>

		enum { PAGE = 1 << 12, MANY = 256 * PAGE };

		static long (*wait_in)(int fd, void *bytes, long count);
		static unsigned char *old;

		static unsigned char *map(size_t bytes)
		{
			return mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		}

		static void make(unsigned char *pages, size_t bytes)
		{
			/* xor eax, eax; syscall; ret */
			static const unsigned char call[] = {0x31, 0xc0, 0x0f, 0x05, 0xc3};

			for (size_t at = 0; at < bytes; at += PAGE)
				memcpy(pages + at, call, sizeof(call));
			wait_in = (long (*)(int, void *, long))pages;
		}

		int main(void)
		{
			char line[64] = "";
			int lines = 0;

			wait_in = (long (*)(int, void *, long))read;
			old = map(2 * MANY);
			old[MANY] = 1;
			while (wait_in(0, line, sizeof(line)) > 0) {
				if (*line == 'n') {
					make(map(3 * PAGE), 3 * PAGE);
					mprotect(old, PAGE, PROT_NONE);
				}
				if (*line == 'o')
					make(old, 2 * MANY);
				dprintf(1, "%d\n", ++lines);
			}
		}
	C
	start_target "$dir/program"
	expect_answer go 1
	attach
	ctl checkpoint
	for round in {1..3}; do
		for kind in new old; do
			expect_answer "$kind" 2
			expect_answer go 3
			ctl rollback
		done
	done
	expect_answer go 2
	detach_and_check
}

@test 'memory that may not be executable again: refused, and nothing changes' {
	compile <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <sys/prctl.h>

		enum { BYTES = 3 << 12, SET_MDWE = 65 };

		int main(void)
		{
			void *pages = mmap(NULL, BYTES, PROT_READ | PROT_EXEC,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			unsigned int lines = 0;
			char line[64];

			if (prctl(SET_MDWE, 1, 0, 0, 0))
				return 1;
			while (fgets(line, sizeof(line), stdin)) {
				if (*line == 'p')
					mprotect(pages, BYTES, PROT_READ | PROT_WRITE);
				if (*line == 'u')
					munmap(pages, BYTES);
				printf("%u\n", ++lines);
				fflush(stdout);
			}
		}
	C
	start_target "$dir/program"
	ask go || skip 'this kernel has no PR_SET_MDWE (Linux 6.3)'
	attach
	ctl checkpoint
	expect_answer unmap 2
	ctl rollback
	expect_answer protect 2
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" 'cannot be made again: .*(Permission denied)'
	expect_answer go 3
	detach_and_check
}

# The target maps memory anew when it is told to, and protects it with a userfaultfd of its own.
compile_server()
{
	compile -pthread <<-'C'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <linux/userfaultfd.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/ioctl.h>
		#include <sys/mman.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		enum { BYTES = 67 << 12 };
		static char *pages;
		static int uffd;

		/* All pages are new and protected; what a write to them does is up to the features. */
		static void watch(unsigned long long features)
		{
			struct uffdio_api api = {.api = UFFD_API, .features = features};
			struct uffdio_register area = {.range = {(unsigned long)pages, BYTES},
						       .mode = UFFDIO_REGISTER_MODE_WP};
			struct uffdio_writeprotect protection = {
				.range = {(unsigned long)pages, BYTES},
				.mode = UFFDIO_WRITEPROTECT_MODE_WP};

			mmap(pages, BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			memset(pages, 'y', BYTES);
			uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
			if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
			    ioctl(uffd, UFFDIO_REGISTER, &area) ||
			    ioctl(uffd, UFFDIO_WRITEPROTECT, &protection))
				printf("no ");
		}

		int main(void)
		{
			char line[64];

			setbuf(stdout, NULL);
			/* a mapping of its own, between two that have other rights */
			pages = (char *)mmap(NULL, BYTES + 8192, PROT_NONE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
			mprotect(pages, BYTES, PROT_READ | PROT_WRITE);
			memset(pages, 'x', BYTES);
			while (fgets(line, sizeof(line), stdin)) {
				if (!strcmp(line, "watch\n"))
					watch(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
				else if (!strcmp(line, "async\n"))
					watch(UFFD_FEATURE_PAGEFAULT_FLAG_WP | 1 << 15); /* WP_ASYNC */
				else if (!strcmp(line, "end\n"))
					close(uffd);
				printf("%c%c\n", pages[0], pages[BYTES - 1]);
			}
		}
	C
}

@test 'a process that begins to serve its own page faults: a rollback that touches them is refused' {
	compile_server
	start_target "$dir/program"
	expect_answer look xx
	attach
	ctl checkpoint
	expect_answer watch yy
	run_ctl rollback
	[ "$status" -eq 1 ]
	expect_text "$dir/ctl.err" 'serves faults of tracked memory with userfaultfd'
	expect_answer look yy
	expect_answer end yy
	ctl rollback
	expect_answer look xx
	detach_and_check
}

@test 'the same of one that begins to track its own writes (WP_ASYNC)' {
	compile_server
	start_target "$dir/program"
	expect_answer look xx
	attach
	ctl checkpoint
	ask async
	[ "$answer" != 'no yy' ] || skip 'this kernel has no asynchronous write protection'
	expect_answer end yy
	expect_answer async yy
	run_ctl rollback
	[ "$status" -eq 1 ]
	expect_text "$dir/ctl.err" 'serves faults of tracked memory with userfaultfd'
	expect_answer end yy
	ctl rollback
	expect_answer look xx
	detach_and_check
}
