# SPDX-License-Identifier: BSD-2-Clause
# Checkpoints that fail leave the snapshot before them: it is restored, and all memory is compared
# from outside (kept.c). The tracer fails at a point on demand, or the kernel cannot read a page.

load common

# expect_kept CASE [OPTION...]: the second checkpoint has failed, and all else went well
expect_kept()
{
	local case=$1

	shift
	printf '%s, %s: %s\n' "${TRACER_FAULT:-no fault}" "$case" "$*"
	rm -f "$csv"
	trace -q "$@" "$WORKLOADS/kept" "$case"
	expect_status 125
	expect_text "$out" "^$case: ok$"
	expect_text "$err" 'checkpoint 2 .*; the snapshot before it is kept'
	[ "$(column status | sed '2d' | sort -u)" = ok ]
}

@test 'slabs: before the copy, when pages are armed, and after the copy, whatever was changed' {
	for point in replace armed changed; do
		TRACER_FAULT=$point:fail expect_kept few-changed -e slab --dirty scan
	done
	TRACER_FAULT=replaced:fail expect_kept all-changed -e slab --dirty scan
	for way in $WAYS; do
		TRACER_FAULT=replaced:fail expect_kept few-changed -e slab --dirty "$way"
	done
}

@test 'pages: when they are armed, and after the copy, whatever was changed' {
	for point in armed replaced; do
		TRACER_FAULT=$point:fail expect_kept few-changed -e page --pages-per-poll 64
	done
	for way in auto compare; do
		TRACER_FAULT=replaced:fail expect_kept all-changed -e page --pages-per-poll 64 \
			--dirty "$way"
	done
}

@test 'a program of few pages' {
	for engine in ${ENGINES/chunk/}; do
		TRACER_FAULT=replaced:fail expect_kept few-pages -e "$engine"
	done
}

@test 'a page cannot be read in the second checkpoint' {
	for options in '-e slab' '-e slab --dirty compare' '-e page --verify'; do
		# shellcheck disable=SC2086 # options
		expect_kept unreadable $options --regions mmap,heap,bss,data
	done
}
