# SPDX-License-Identifier: BSD-2-Clause
# Common uses of memory. Each workload checks itself, with each engine. A process outside compares
# its mappings, open files and contents (workload.h).

load common

@test 'discarded, lazily freed, locked, in transparent huge pages' {
	play advice discarded discarded-before removed free-to-take locked transparent-huge
}

@test 'swapped out' {
	play advice swapped
}

@test 'guard pages' {
	play advice guarded
}

@test 'guard pages over saved memory: that part cannot be restored, which is said' {
	for engine in $ENGINES; do
		run_workload advice guarded-since
		[ "$status" -ne 77 ] || skip "$(why_skipped)"
		expect_status 125
		expect_column status ok partial
		expect_text "$err" '16 chunks could not be written'
	done
}

@test 'explicit huge pages' {
	[ -z "${TRACER_VM:-}" ] || echo 23 >/proc/sys/vm/nr_hugepages
	play advice huge
}

@test 'protected, resized, moved, unmapped, replaced; heap and stack-like mappings that grow' {
	play change read-only no-access later locked-away locked-away-often grown shrunk moved \
		left-behind unmapped replaced failing-calls brk grows-down
}

@test 'written by the program, by the kernel, by other processes; pages that come and go' {
	page_options=(--pages-per-poll 64)
	play write store same read beside-child discard free protect signal-frame process-vm-writev \
		proc-mem debugger
	ENGINES=slab play write read-direct
}

@test 'registered by the program with userfaultfd(2)' {
	page_options=(--pages-per-poll 64)
	play write registered
}

# Root may suspend the filter, and so makes the call for the program.
@test 'a program whose filter of system calls forbids userfaultfd(2)' {
	for options in '-e slab' '-e page --pages-per-poll 64'; do
		rm -f "$csv"
		# shellcheck disable=SC2086 # options
		trace $options "$BUILD/e2e/deny" userfaultfd 1 "$WORKLOADS/write" store discard
		expect_status 0
		[ "$(grep -c ': ok$' "$out")" -eq 2 ]
		expect_each status ok
		expect_no_text "$err" 'are not tracked'
	done
}

# play_pinned CASE...: no way is taken but to compare
play_pinned()
{
	engine=slab
	for way in $WAYS; do
		play_once pinned "$@"
		expect_each dirty_way compare
	done
	engine=page way=scan page_options=(--pages-per-poll 64)
	play_once pinned "$@"
	expect_each dirty_way compare
}

@test 'memory that io_uring holds on to, and writes unnoticed: all pages are compared' {
	play_pinned ring registered let-go
}

@test 'memory that is read into asynchronously: all pages are compared' {
	play_pinned aio
}

@test 'pages that are in a pipe; written at the end of a thread' {
	page_options=(--pages-per-poll 64)
	play pinned in-pipe pipe robust-list
}

# The kernel's settings are changed in a virtual machine alone: scenes.sh has these cases, too.
@test 'armed pages that are swapped out, dirty and clean' {
	ENGINES='slab page' page_options=(--pages-per-poll 64)
	play housekeeping swapped-dirty swapped-before swapped-and-back swapped-shared swapped-huge
}

@test 'gathered into a huge page' {
	ENGINES='slab page' page_options=(--pages-per-poll 64)
	play housekeeping gathered
}

@test 'gathered into a huge page by khugepaged' {
	ENGINES='slab page' page_options=(--pages-per-poll 64)
	play housekeeping gathered-later
}

@test 'merged by KSM' {
	ENGINES='slab page' page_options=(--pages-per-poll 64)
	play housekeeping merged
}

@test 'copied on write: the child keeps its own contents; shared: both see the restore' {
	play share copied-on-write not-copied shared shared-untouched
}

@test 'one page; 2,003 ranges; 2,003 mappings that touch each other' {
	page_options=(--pages-per-poll 64)
	play size one-page fewer fewer-touching
}

# Once: what so many ranges cost is the same with other engines.
@test '60,000 ranges' {
	ENGINES=slab WAYS=scan play size many
}

@test 'pages of zeros take no store, and what is unmapped gives its store back' {
	play size zeros
	engine=slab
	options=(--stats)
	run_workload size zeros
	[ "$(awk '$1 == "slabs" { print $3 }' "$err")" -le 4096 ] # 3 extents, and one of them spare
}

@test '8 GiB and 2 TiB, five pages of each used: slabs' {
	ENGINES=slab
	play size 8-gib
	[ "${TRACER_VM:-}" != 6.1 ] ||
		skip '2 TiB: without PAGEMAP_SCAN it takes minutes on an emulated machine'
	play size 2-tib
}

@test '8 GiB and 2 TiB are too much for the chunk engine, which says what to do' {
	engine=chunk options=(--max-chunks 4096)
	for case in 8-gib 2-tib; do
		run_workload size "$case"
		expect_status 125
		expect_text "$out" "$case: cannot run: save: "
		expect_text "$err" 'checkpoint 1 of process.*allow more with --max-chunks'
		expect_column status failed
	done
}
