# SPDX-License-Identifier: BSD-2-Clause
# Real programs, which know nothing of the tracer, and programs in special surroundings.
#
# A whole rollback (rollback.c) is right with --regions mmap,heap,bss,data,stack, no less: the
# interpreter's frames are on the stack, the main arena and the interpreter's own records in data.
# Mappings that a program has given back since the checkpoint are not made again, so malloc is told
# to keep what it has, and python to use malloc.

load common

# roll_back NAME PROGRAM...: the program passes its checkpoint once and, after rollbacks, three
# times more
roll_back()
{
	local engine name=$1

	shift
	for engine in $ENGINES; do
		rm -f "$csv"
		printf 'engine %s\n' "$engine"
		ROLLBACKS=3 trace -e "$engine" --regions mmap,heap,bss,data,stack env \
			GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967295 \
			PYTHONMALLOC=malloc LD_PRELOAD="$WORKLOADS/rollback.so" "$@"
		expect_status 0
		[ "$(xargs <"$out")" = "pass pass pass pass end $name: ok" ]
		expect_column op checkpoint restore restore restore
		expect_each status ok
		expect_no_control_files
	done
}

find_python()
{
	python=/usr/bin/python3
	[ -x "$python" ] || python=$(command -v python3) || skip 'there is no python3'
}

@test 'python3 goes back to its checkpoint three times' {
	find_python
	roll_back python "$python" -I "$BATS_TEST_DIRNAME/rollback.py"
}

@test 'SQLite with a database in memory, in python3' {
	find_python
	"$python" -c 'import sqlite3' 2>"$err" || skip 'python3 has no module sqlite3'
	roll_back sqlite "$python" -I "$BATS_TEST_DIRNAME/rollback_sqlite.py"
}

@test 'perl goes back to its checkpoint three times' {
	command -v perl >"$out" || skip 'there is no perl'
	roll_back perl perl "$BATS_TEST_DIRNAME/rollback.pl"
}

@test 'a million malloc and free between checkpoint and restores' {
	options=(--max-chunks 2000000)
	if [ -n "${TRACER_VM:-}" ]; then
		play churn few # the same with fewer, for an emulated machine
	else
		play churn many
	fi
}

@test 'AddressSanitizer: slabs' {
	[ "${TRACER_VM:-}" != 6.1 ] ||
		skip '20 TiB: without PAGEMAP_SCAN it takes minutes on an emulated machine'
	trace -e slab "$WORKLOADS/asan"
	expect_status 0
	expect_text "$out" 'blocks: ok'
	expect_column status ok ok
}

@test 'AddressSanitizer: too much for the chunk engine, which says so and does no harm' {
	trace -e chunk --max-chunks 4096 "$WORKLOADS/asan"
	expect_status 125
	expect_text "$out" 'refused: '
	expect_text "$err" 'checkpoint 1 of process.*allow more with --max-chunks'
	expect_no_text "$err" AddressSanitizer
}

@test 'valgrind: the tracer refuses, and does no harm' {
	command -v valgrind >"$out" || skip 'there is no valgrind'
	trace valgrind -q --error-exitcode=99 "$WORKLOADS/blocks"
	expect_status 125
	expect_text "$out" 'refused: '
	expect_text "$err" 'checkpoint 1 of process.*runs under valgrind'
	expect_no_text "$err" '^=='
}
