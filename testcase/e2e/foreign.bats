# SPDX-License-Identifier: BSD-2-Clause
# Programs that do not use the client library: foreign.c speaks the protocol by itself.

load common

# run_foreign ARG...: the program must find every byte right and leave no file, and every row must
# say ok.
run_foreign()
{
	run_build foreign "$@"
}

run_build()
{
	local name=$1

	shift
	trace "$E2E/$name" "$@"
	expect_status 0
	expect_text "$out" 'every byte is right' 'bss begins inside a page of data: yes'
	expect_each status ok
	expect_no_control_files
}

@test 'fopen, fclose, and a spin on access' {
	run_foreign
	expect_column op checkpoint restore
}

@test 'a buffer in the heap, from sbrk' {
	run_foreign -m brk
}

@test 'a buffer in the heap, from malloc' {
	run_foreign -m malloc
}

@test 'a private mapping' {
	run_foreign -m anon
}

@test 'a shared mapping' {
	run_foreign -m shared
}

@test 'static variables, the first in a page of data that stays as it is' {
	run_foreign -m bss -r 3
}

@test 'a static program' {
	run_build foreign-static -r 3
}

@test 'a program at a fixed address' {
	run_build foreign-no-pie -r 3
}

@test 'open and faccessat' {
	run_foreign -o open -p faccessat
}

@test 'creat and faccessat2' {
	run_foreign -o creat -p faccessat2
}

@test 'openat and faccessat2' {
	run_foreign -o openat -p faccessat2
}

@test 'openat2 and access' {
	run_foreign -o openat2 -p access
}

@test 'several checkpoints with several restores each' {
	run_foreign -c 3 -r 5
	expect_column op checkpoint restore restore restore restore restore \
		checkpoint restore restore restore restore restore \
		checkpoint restore restore restore restore restore
}

@test 'a completion file stays until the program removes it' {
	run_foreign -w -c 2 -r 3
}

@test 'completion files that are left until the next request' {
	run_foreign -l -c 3 -r 3
}

@test 'completion files that are never removed, each used once' {
	run_foreign -n
}

@test 'a program that never removes completion files and asks again does no harm' {
	# the program may take the old answer for the new, or wait for ever, so it gets a second of
	# the processor
	trace sh -c 'ulimit -S -t 1 && exec "$@"' sh "$E2E/foreign" -n -c 3 -r 3
	case $status in
	0 | 1 | 125 | 152) ;; # 152: SIGXCPU
	*) expect_status 0 ;;
	esac
	expect_no_control_files
}

@test 'the default control folder, /tmp' {
	cp "$TRACER" "$E2E/foreign" "$dir"
	# a /tmp that nobody else uses; this folder may be in the one that it hides
	run_limited unshare --mount sh -c 'mount -t tmpfs none /tmp && "$@" && ls -A /tmp' sh \
		./tracer -o report.csv ./foreign -r 3
	expect_status 0
	expect_column status ok ok ok ok
	[ "$(tail -n 1 "$out")" = "$(grep 'every byte is right' "$out")" ]
}

@test 'another user in a sticky folder can remove the completion files' {
	getent passwd nobody >/dev/null || skip 'there is no user nobody'
	chmod 711 "$dir"
	chmod 1777 "$control"
	cp "$E2E/foreign" "$dir/foreign"
	trace --user nobody "$dir/foreign" -c 2 -r 3
	expect_status 0
	expect_text "$out" 'every byte is right'
	expect_no_control_files
}

@test 'the data segment is rolled back when it is asked for' {
	trace --regions mmap,heap,bss,data "$E2E/foreign" -d -c 2 -r 3
	expect_status 0
	expect_text "$out" 'every byte is right'
	expect_each regions mmap,heap,bss,data
}

@test 'only the heap' {
	trace --regions heap "$E2E/foreign" -m brk
	expect_status 0
	trace --regions heap "$E2E/foreign" -m anon
	expect_status 1
}

@test 'only mappings' {
	trace --regions mmap "$E2E/foreign" -m anon
	expect_status 0
	trace --regions mmap "$E2E/foreign" -m brk
	expect_status 1
}

@test 'only bss' {
	trace --regions bss "$E2E/foreign" -m bss
	expect_status 0
	trace --regions bss "$E2E/foreign" -m shared
	expect_status 1
}
