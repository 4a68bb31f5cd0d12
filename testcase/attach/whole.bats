# SPDX-License-Identifier: BSD-2-Clause
# Whole or nothing: mappings that are hard to make again, and what is refused before anything has
# changed.

load common

# The target has a mapping; each line it reads is a change, which it answers with how often it has
# been asked. "look" is none, and answers with a byte of the mapping.
compile_target()
{
	compile -pthread <<-'C'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <stdbool.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <sys/resource.h>
		#include <sys/stat.h>
		#include <unistd.h>

		enum { BYTES = 67 << 12, PAGE = 33 << 12 };
		#define HUGE (1UL << 40)

		static char *pages, *many;
		static const char *name;
		static int fd = -1;

		static void limit(int resource, rlim_t soft)
		{
			struct rlimit limit;

			getrlimit(resource, &limit);
			limit.rlim_cur = soft;
			setrlimit(resource, &limit);
		}

		/* In the place of the file, which is gone: a pipe with its inode number. */
		static void make_fifo(void)
		{
			struct stat before, now;
			char spare[256];

			fstat(fd, &before);
			munmap(pages, BYTES);
			close(fd);
			unlink(name);
			for (int i = 0; i < 23; i++) {
				if (mkfifo(name, 0600) || stat(name, &now))
					abort();
				if (now.st_ino == before.st_ino)
					return;
				snprintf(spare, sizeof(spare), "%s.%d", name, i);
				rename(name, spare);
			}
			printf("no ");
		}

		static void change(const char *how)
		{
			if (!strcmp(how, "drop")) {
				munmap(pages, BYTES);
				if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
					abort();
			} else if (!strcmp(how, "descriptors")) {
				munmap(pages, BYTES);
				limit(RLIMIT_NOFILE, 3);
			} else if (!strcmp(how, "addresses")) {
				munmap(pages, BYTES);
				limit(RLIMIT_AS, 1 << 20);
			} else if (!strcmp(how, "no data")) {
				mprotect(pages, BYTES, PROT_READ);
				limit(RLIMIT_DATA, 1 << 20);
			} else if (!strcmp(how, "cut")) {
				if (ftruncate(fd, 0))
					abort();
			} else if (!strcmp(how, "reserve")) {
				munmap(many, HUGE);
			} else if (!strcmp(how, "replace")) {
				munmap(pages, BYTES);
				if (mmap(pages, BYTES, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != pages)
					abort();
			} else if (!strcmp(how, "fifo")) {
				make_fifo();
			} else if (!strcmp(how, "guard")) {
				if (madvise(pages + PAGE, 4096, 102)) /* MADV_GUARD_INSTALL */
					printf("no ");
			} else if (!strcmp(how, "read-only") || !strcmp(how, "deleted")) {
				int other = open("/proc/self/fd/3", O_RDONLY);

				if (mmap(pages, BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, other, 0) !=
				    pages)
					abort();
				close(other);
				if (!strcmp(how, "deleted"))
					unlink(name);
			}
		}

		static void *map(const char *file, int flags, bool writable)
		{
			if (!strcmp(file, "-"))
				return mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS,
					    -1, 0);
			fd = open(file, writable ? O_RDWR | O_CREAT : O_RDONLY, 0600);
			if (fd < 0 || (writable && strcmp(file, "/dev/zero") != 0 &&
				       ftruncate(fd, BYTES)))
				abort();
			return mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);
		}

		int main(int argc, char **argv)
		{
			static unsigned int count;
			char line[64];

			name = argv[1];
			/* the kernel places it beside the memory of the C library */
			pages = map(argv[1], argc == 3 ? MAP_SHARED : MAP_PRIVATE, argc < 4);
			many = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			if (pages == MAP_FAILED || many == MAP_FAILED)
				return 1;
			many[HUGE / 2] = pages[BYTES / 2] = 'x';
			while (fgets(line, sizeof(line), stdin)) {
				line[strcspn(line, "\n")] = '\0';
				if (!strcmp(line, "look")) {
					printf("%c%c\n", pages[BYTES / 2], many[HUGE / 2]);
				} else {
					change(line);
					printf("%u\n", ++count);
				}
				fflush(stdout);
			}
		}
	C
}

# refuses CHANGE WORDS ARG...: a target that has made the change goes on as if nothing had been
# asked
refuses()
{
	start_target "$dir/program" "${@:3}"
	attach
	ctl checkpoint
	expect_answer "$1" 1
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" "$2"
	expect_answer again 2
	detach_and_check
	expect_answer again 3
}

# comes_back CHANGE: the target, after each of three rollbacks
comes_back()
{
	attach
	ctl checkpoint
	for ((round = 0; round < 3; round++)); do
		expect_answer "$1" 1
		ctl rollback
		expect_answer look xx
	done
	detach_and_check
	expect_answer look xx
}

# brings_back CHANGE ARG...
brings_back()
{
	start_target "$dir/program" "${@:2}"
	expect_answer look xx
	comes_back "$1"
}

@test 'a file that the process may not open any more: refused' {
	compile_target
	chmod 711 "$dir"
	refuses drop "cannot be made again: .*$dir/file (Permission denied)" "$dir/file"
}

@test 'a file that was truncated under written pages: refused' {
	compile_target
	refuses cut "truncated .*: $dir/file" "$dir/file"
}

@test 'a limit that the process has reached is no reason to refuse, if the tracer may exceed it' {
	compile_target
	brings_back descriptors "$dir/file"
	[ "$(awk '/^Max open files/ { print $4 }' "/proc/$target/limits")" = 3 ]
}

@test 'a limit of addresses' {
	compile_target
	brings_back addresses -
	[ "$(awk '/^Max address space/ { print $4 }' "/proc/$target/limits")" = 1048576 ]
}

# meets_limit CHANGE OPTION: the target changes, prlimit sets the limit, and the tracer rolls back
meets_limit()
{
	compile_target
	start_target "$dir/program" -
	attach
	ctl checkpoint
	expect_answer "$1" 1
	prlimit --pid "$target" "$2"
	run_ctl rollback
}

# is_refused: the limit is the reason, and the target runs on
is_refused()
{
	[ "$status" -eq 1 ]
	expect_text "$dir/ctl.err" 'a limit of the process is too low .*prlimit'
	expect_answer again 2
	detach_and_check
}

@test 'a hard limit of addresses: refused, or exceeded by a tracer with CAP_SYS_RESOURCE' {
	meets_limit addresses --as=1048576:1048576
	if [ "$status" -ne 0 ]; then
		is_refused
	else
		expect_answer look xx
		detach_and_check
	fi
}

# limited_tracer: from now on, the tracer may not exceed limits of others
limited_tracer()
{
	cat >"$dir/limited" <<-SH
		#!/bin/sh
		exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource "$TRACER" "\$@"
	SH
	chmod +x "$dir/limited"
	TRACER=$dir/limited
}

@test 'a hard limit of addresses, and a tracer that may not exceed it' {
	limited_tracer
	meets_limit addresses --as=1048576:1048576
	is_refused
}

@test 'a hard limit of data, which memory that was made read-only would exceed' {
	limited_tracer
	meets_limit 'no data' --data=1048576:1048576
	is_refused
}

@test 'a mapping larger than memory, without a reserve' {
	compile_target
	brings_back reserve -
}

@test 'memory beside that of the C library is replaced' {
	compile_target
	brings_back replace -
}

@test 'a shared mapping that was replaced by one that cannot be written' {
	compile_target
	brings_back read-only "$dir/file" shared
}

@test 'the same, and the file has been deleted since: refused' {
	compile_target
	refuses deleted "cannot be made again: .*$dir/file" "$dir/file" shared
}

@test 'a private mapping of /dev/zero, which has no size' {
	compile_target
	brings_back descriptors /dev/zero
}

@test 'a newline in the name of a file' {
	compile_target
	brings_back descriptors "$dir/two"$'\n'lines
}

@test 'a pipe that has the name and the number of a mapped file: refused' {
	compile_target
	start_target "$dir/program" "$dir/file"
	attach
	ctl checkpoint
	ask fifo
	[ "$answer" = 1 ] || skip 'this file system gives the number of a file to no other one'
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" "cannot be made again: .*$dir/file"
	expect_answer again 2
	detach_and_check
	expect_answer again 3
}

@test 'a guard in a mapping of a file' {
	compile_target
	start_target "$dir/program" "$dir/file"
	attach
	ctl checkpoint
	ask guard
	[ "$answer" = 1 ] || skip 'this kernel has no guards in mappings of files (Linux 6.15)'
	ctl rollback
	expect_answer look xx
	expect_answer guard 1
	expect_answer cut 2
	run_ctl rollback
	expect_status 1
	expect_text "$dir/ctl.err" "truncated .*: $dir/file"
	expect_answer again 3
	detach_and_check
}

@test 'a file of an overlay over two file systems' {
	compile_target
	mkdir "$dir/lower" "$dir/tmpfs" "$dir/both"
	truncate -s 1M "$dir/lower/file"
	start_target unshare -m bash -ec '
		mount -t tmpfs tmpfs "$1/tmpfs"
		mkdir "$1/tmpfs/upper" "$1/tmpfs/work"
		mount -t overlay -o "lowerdir=$1/lower,upperdir=$1/tmpfs/upper,workdir=$1/tmpfs/work" \
			overlay "$1/both"
		exec "$1/program" "$1/both/file" private lower' overlay "$dir"
	ask look || skip "there is no overlayfs: $(cat "$dir/target.err")"
	comes_back descriptors
}
