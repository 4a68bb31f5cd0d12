# SPDX-License-Identifier: BSD-2-Clause
# Mappings that change (ranges.c), memory of all kinds (kinds.c), and programs of more than one
# thread or process (process.c).

load common

# play PROGRAM SCENE [OPTION...]: the scene must succeed, and no operation in its report has failed.
play()
{
	local program=$1 scene=$2

	shift 2
	trace "$@" "$E2E/$program" "$scene"
	expect_played "$scene"
}

# expect_played SCENE: of a trace
expect_played()
{
	local scene=$1

	[ "$status" -ne 77 ] || skip "$(head -n 1 "$out")"
	expect_status 0
	expect_text "$out" "$scene: ok"
	expect_each status ok
	expect_each failed_chunks 0
	expect_no_control_files
}

# Counts the chunks of the snapshot that the target no longer has.
expect_gone()
{
	expect_column gone_chunks 0 "$1"
	expect_text "$err" "restore 2: $1 chunks were not restored"
}

@test 'every scene is played here' {
	for program in ranges kinds process; do
		for scene in $("$E2E/$program" list); do
			expect_text "$BATS_TEST_FILENAME" " [^ ]*$program\"\\? $scene\\( \|\$\\)"
		done
	done
}

@test 'unmapped after the checkpoint: the rest is restored' {
	play ranges unmapped
	expect_gone 80
}

@test 'replaced with MAP_FIXED: the new contents are left alone' {
	play ranges replaced
	expect_gone 80
}

@test 'replaced in part' {
	play ranges replaced-in-part
	expect_gone 16
}

@test 'unmapped and mapped again at the same place' {
	play ranges replaced-by-hint
	expect_gone 80
}

@test 'replaced by a file' {
	play ranges replaced-by-file
	expect_gone 80
}

@test 'replaced by System V shared memory' {
	play ranges replaced-by-shm
	expect_gone 80
}

@test 'unmapped by a call that failed, and mapped again at the same place' {
	play ranges replaced-after-failure
	expect_gone 64
}

@test 'moved with mremap' {
	play ranges moved
	expect_gone 80
}

@test 'moved with MREMAP_DONTUNMAP' {
	play ranges moved-away
}

@test 'grown with mremap, and a part is newer than the checkpoint: it fails, and a message says so' {
	local message='a call of mremap(2) of process [0-9]* (ranges) has failed with EFAULT'

	trace --dirty scan "$E2E/ranges" partly-newer
	! grep -q 'all pages are compared' "$err" || skip 'this kernel cannot arm pages'
	expect_text "$out" 'mremap fails'
	expect_text "$err" "$message"
	trace --dirty compare "$E2E/ranges" partly-newer
	expect_text "$out" 'mremap works'
	run ! grep "$message" "$err"
}

@test 'shrunk with mremap' {
	play ranges shrunk
	expect_gone 160
}

@test 'grown with mremap' {
	play ranges grown
}

@test 'grown and moved before the checkpoint' {
	play ranges grown-before
}

@test 'read-only since the checkpoint' {
	play ranges read-only
}

@test 'without access since the checkpoint' {
	play ranges no-access
}

@test 'without access at the checkpoint' {
	play ranges no-access-before
}

@test 'read-only at the checkpoint' {
	play ranges read-only-before
}

@test 'a private mapping of /dev/zero' {
	play kinds dev-zero
}

@test 'reserved without access, used before the checkpoint' {
	play kinds reserved
}

@test 'a heap that shrinks and grows again' {
	play kinds brk-again
}

@test 'a heap that shrinks' {
	play kinds brk-shrunk
}

@test 'discarded with MADV_DONTNEED: the data come back' {
	play ranges discarded
}

@test 'a hole in shared memory: the data come back' {
	play kinds shared-hole
}

@test 'touched after the checkpoint: zeros again' {
	play ranges untouched
}

@test '16 MiB' {
	play ranges large
}

@test '16 MiB unmapped' {
	play ranges large-unmapped
	expect_gone 65536
}

@test '16 MiB replaced' {
	play ranges large-replaced
	expect_gone 65536
}

@test '16 MiB moved' {
	play ranges large-moved
}

@test 'MAP_GROWSDOWN' {
	play kinds grows-down
}

@test 'transparent huge pages' {
	play kinds transparent-huge
}

# A machine of testcase/vm reserves some; the host's settings are not changed.
@test 'MAP_HUGETLB' {
	play kinds huge
}

@test 'swapped out' {
	play kinds swapped
}

@test 'files are not rolled back' {
	play kinds files
}

@test 'a thousand mappings that come and go' {
	play ranges churned
}

# play_all OPTION...: every scene, one after the other in one process; after one that cannot be
# played here, the others follow in the next
play_all()
{
	local program scenes played

	for program in ranges kinds; do
		mapfile -t scenes < <("$E2E/$program" list)
		while [ "${#scenes[@]}" -gt 0 ]; do
			rm -f "$csv"
			trace -q "$@" "$E2E/$program" "${scenes[@]}"
			played=$(grep -c ': ok$' "$out") || true
			[ "$played" -eq 0 ] || expect_each status ok
			if [ "$status" -ne 77 ]; then
				expect_status 0
				[ "$played" -eq "${#scenes[@]}" ]
			fi
			scenes=("${scenes[@]:played + 1}")
		done
	done
}

@test 'all of these with the chunk engine' {
	play_all -e chunk
}

@test 'all of these with the slab engine' {
	play_all -e slab
}

@test 'all of these with the page engine' {
	play_all -e page --pages-per-poll 64
}

@test 'stores that grow: 16 chunks ready, 16 MiB used' {
	trace --engine chunk --ready-chunks 16 "$E2E/ranges" large
	expect_status 0
	expect_text "$out" 'large: ok'
	expect_each status ok
}

@test 'stores that grow: 16 chunks ready, one mapping after the other' {
	trace --engine chunk --ready-chunks 16 "$TESTCASE" -t 0 --case all
	expect_status 0
	expect_text "$out" '9 of 9 cases ok'
	expect_each status ok
}

# After a restore that had nothing to write, the target is not stopped beforehand. On a loaded
# machine there is always something, for the client library has slept.
@test 'restores with nothing to write, then with something after all' {
	for options in '-e chunk' '-e slab --dirty compare' '-e slab --dirty scan'; do
		# shellcheck disable=SC2086 # an option and its value
		play process unchanged $options
	done
}

@test 'a child shares pages, but is not restored' {
	play process fork
}

@test 'a child that asks is not answered' {
	play process child-asks
}

@test 'a program that runs others' {
	play process run-other
}

@test 'a program that allocates and frees between checkpoint and restore' {
	play process allocating
}

@test 'threads that write: a snapshot shows one instant' {
	play process threads
}

@test 'threads that start and end all the time' {
	play process thread-churn
}

@test 'threads that map and unmap the same pages' {
	play process contested-pages
	play process contested-pages -e chunk
}

@test 'a signal handler that maps all the time: the copy ends, well or with an error' {
	trace "$E2E/process" mapping-signals
	expect_text "$out" 'mapping-signals: ok'
	if says "$out" 'save: -5'; then
		expect_status 125
		expect_text "$err" 'the target changed its mappings again and again'
	else
		expect_status 0
	fi
}

@test 'mappings that another process changes: nothing is written into the new ones' {
	play process behind
}

@test 'memory whose faults a thread serves: refused, and restored when it is not registered' {
	trace "$E2E/process" user-faults
	[ "$status" -ne 77 ] || skip "$(head -n 1 "$out")"
	expect_status 125
	expect_text "$out" 'user-faults: ok'
	expect_column status ok failed ok
	expect_text "$err" 'restore 2 .* with userfaultfd.* its memory is as it was'
}

@test 'a thread that is moved to another processor since the checkpoint' {
	play process moved
	[ "$(restore_path)" = bpf ] || return 0
	play process moved -e chunk
	play process moved --restore-path process_vm
}

@test 'signals that arrive all the time' {
	play process signals
}
