# SPDX-License-Identifier: BSD-2-Clause
# Finding the pages that may have changed: the ways of --dirty, what the report says of them, and
# checkpoints that fail and leave the snapshot before them whole.

load common

# has_scan: can this kernel arm pages? Else why is in $why
has_scan()
{
	trace --dirty scan "$E2E/steps" save
	why=$(sed -n 's/.*all pages are compared: //p' "$err")
	[ -z "$why" ]
}

# The buffer has 245 pages; few others are written.
few_pages()
{
	awk '$1 >= 200 { exit 1 }'
}

@test 'compare: every operation looks at all pages' {
	trace --dirty compare "$E2E/steps" bytes=1000003 save poke=5000 restore verify save
	expect_status 0
	expect_text "$out" 'verify: ok'
	expect_each dirty_way compare
	if column dirty_pages | few_pages; then return 1; fi
	expect_text "$err" 'restores: 1 by compare, [0-9]* pages looked at'
}

@test 'scan: a restore and a second checkpoint look at few pages' {
	has_scan || skip "$why"
	for options in '-e slab' '-e page --pages-per-poll 64 --verify'; do
		# shellcheck disable=SC2086 # an option and its value
		trace $options --dirty scan "$E2E/steps" bytes=1000003 save poke=5000 restore \
			verify poke=70000 save poke=90000 restore
		expect_status 0
		expect_text "$out" 'verify: ok'
		expect_column dirty_way compare scan scan scan
		column dirty_pages | tail -n +2 | few_pages
		expect_text "$err" 'restores: 2 by scan, [0-9]* pages looked at'
	done
}

# Where BPF restores, the list is only used if the tracer is quick.
@test 'faults: restores ask the list of faults, and memory when it may be incomplete' {
	has_scan || skip "$why"
	trace --dirty faults "$E2E/steps" bytes=1000003 save poke=5000 restore verify poke=70000 \
		restore verify churn=1 poke=90000 restore verify poke=23 restore verify poke=5000 \
		save poke=70000 restore
	expect_status 0
	! grep -q 'with --dirty faults' "$err" || skip 'the machine has no list of faults'
	[ "$(grep -c 'verify: ok' "$out")" -eq 4 ]
	column dirty_pages | tail -n +2 | few_pages
	# who reads /proc/PID/cmdline leaves a sign in the list
	[ "$(restore_path)" = bpf ] || column dirty_way | tail -n +2 | grep -q faults
}

@test 'faults: checkpoints of large memory ask the list, too, for the target stands still' {
	has_scan || skip "$why"
	trace --dirty faults "$E2E/steps" bytes=100000003 save poke=5000 save poke=70000 save \
		poke=23 save poke=9000 restore verify
	expect_status 0
	! grep -q 'with --dirty faults' "$err" || skip 'the machine has no list of faults'
	column dirty_pages | tail -n +2 | few_pages
	[ "$(column dirty_way | sed -n '2,4p' | grep -c faults)" -ge 1 ]
}

@test 'auto: memory of few pages is compared, larger memory is not' {
	has_scan || skip "$why"
	trace "$E2E/steps" save restore
	expect_each dirty_way compare
	trace "$E2E/steps" bytes=1000003 save restore
	expect_column dirty_way compare scan
}

@test 'the target forgets nothing in an exec: its new memory is found anew' {
	has_scan || skip "$why"
	trace --dirty scan "$E2E/steps" bytes=1000003 save poke=23 restore verify exec bytes=1000003 \
		save poke=23 restore verify
	expect_status 0
	[ "$(grep -c 'verify: ok' "$out")" -eq 2 ]
	expect_column dirty_way compare scan compare scan
}

@test 'the userfaultfd is refused: all pages are compared, and a message says so' {
	has_scan || skip "$why"
	TRACER_FAULT=watch:fail trace "$E2E/steps" bytes=1000003 save poke=23 restore verify
	expect_status 0
	expect_text "$out" 'verify: ok'
	expect_each dirty_way compare
	expect_text "$err" 'writes of process [0-9]* are not tracked, all pages are compared: '
}

@test 'a mapping cannot be registered: its pages are compared' {
	has_scan || skip "$why"
	for bytes in 94231 1000003; do
		TRACER_FAULT=register:fail trace --dirty scan "$E2E/steps" bytes=$bytes save poke=23 \
			restore verify poke=9000 restore verify
		expect_status 0
		[ "$(grep -c 'verify: ok' "$out")" -eq 2 ]
	done
}

@test 'a checkpoint that fails leaves the snapshot before it' {
	has_scan || skip "$why"
	for point in replace armed changed; do
		TRACER_FAULT=$point:fail trace --dirty scan --regions mmap,heap "$E2E/steps" \
			bytes=1000003 save poke=5000 save poke=70000 restore verify poke=9 save poke=10 \
			poke=9 poke=10 poke=9 restore
		expect_status 125
		[ "$(grep -E '^(save|restore|verify)' "$out" | xargs)" = \
			'save: 0 save: -5 restore: 0 verify: ok save: 0 restore: 0' ]
		expect_text "$err" 'checkpoint 2 .* has failed: .*; the snapshot before it is kept'
		expect_column status ok failed ok ok ok
	done
}

@test 'the tracer is killed: the target is unarmed and runs on' {
	has_scan || skip "$why"
	TRACER_FAULT=changed:die trace --dirty scan "$E2E/steps" bytes=1000003 save poke=5000 \
		wait=$NOBODY_ANSWERS_MS save poke=5000 verify touch="$dir/ran-on"
	wait_until 'the end of the program' test -e "$dir/ran-on"
	expect_text "$out" 'verify: ok'
}

@test 'most pages differ again and again: they are written without being compared' {
	has_scan || skip "$why"
	trace --dirty scan "$E2E/steps" bytes=1000003 fill=7 save scramble restore verify \
		fill=7 restore verify poke=5000 restore verify scramble restore verify
	expect_status 0
	[ "$(grep -c 'verify: ok' "$out")" -eq 4 ]
	# 245 pages of 16 chunks; the third operation has written all of them again
	[ "$(column clean_chunks | sed -n 3p)" -lt 3000 ]
	trace --dirty scan "$E2E/steps" bytes=1000003 fill=7 save fill=7 restore verify
	[ "$(column clean_chunks | sed -n 2p)" -gt 3000 ]
}
