# SPDX-License-Identifier: BSD-2-Clause
# What only the page engine does. ranges.bats, faults.bats and testcase/workloads run with all
# engines.

load common

LIBRARY=libbcc.so.0

# run_case PAGES ARG...: testcase must find every byte right with so many pages in a poll
run_case()
{
	local pages=$1

	shift
	trace -v -e page --pages-per-poll "$pages" "$TESTCASE" -t 0 "$@"
	expect_status 0
	expect_each status ok
	expect_each engine page
	expect_each failed_chunks 0
	expect_no_control_files
}

# expect_polls PAGES: no operation of the engine took fewer polls than its pages need
expect_polls()
{
	awk -v pages="$1" '
	/ polls, / && ($2 == "checkpoint" || path == "bpf") {
		for (i = 1; i < NF; i++) {
			if ($(i + 1) == "bytes,") bytes = $i
			if ($(i + 1) == "polls,") polls = $i
		}
		seen++
		if (polls * pages * 4096 < bytes - 65536) { print; bad = 1 }
	}
	END { exit bad || !seen }' path="$(restore_path)" "$err"
}

@test 'all cases, one page in each poll' {
	run_case 1 --case all
	expect_text "$out" '9 of 9 cases ok'
	expect_polls 1
}

@test 'all cases, 7 pages in each poll' {
	run_case 7 --case all -n 15
	expect_text "$out" '9 of 9 cases ok'
	expect_polls 7
}

@test '2 MiB, the most pages there can be in a poll' {
	run_case 1024 --case anon -n 19
}

@test '2 MiB, one page in each poll' {
	run_case 1 --case anon -n 19
	expect_polls 1
}

@test 'restored with process_vm_writev although BPF may' {
	[ "$(restore_path)" = bpf ] || skip 'BPF may not write on this kernel: all others are so'
	trace -e page --restore-path process_vm "$TESTCASE" -t 0 --case all
	expect_status 0
	[ "$(column restore_path | sort -u | xargs)" = '- process_vm' ]
}

@test 'programs of more than one thread or process' {
	for scene in $("$E2E/process" list); do
		case $scene in
		user-faults | mapping-signals) continue ;; # ranges.bats: an operation may be refused
		esac
		trace -e page "$E2E/process" "$scene"
		[ "$status" -ne 77 ] || continue
		echo "$scene"
		expect_status 0
		expect_each status ok
	done
}

@test 'the map log has the right checksum of each page' {
	trace -e page --map-log "$dir/map" "$E2E/steps" bytes=8192 byte=165 save scramble
	expect_status 0
	buffer=$(sed -n 's/^buffer: //p' "$out")
	crc=$(printf '%08x' "$(head -c 4096 /dev/zero | tr '\0' '\245' | gzip -c | tail -c 8 |
		od -An -tu4 -N4)")
	expect_text "$dir/map" "^slab $buffer present $crc\$" \
		"^slab $(printf '%#x' $((buffer + 4096))) present $crc\$"
}

# To replace a table, the kernel waits for all programs that may use the old one.
@test 'checkpoints of few and of all pages in turns replace no table' {
	trace -v -e page --pages-per-poll 1024 "$E2E/steps" bytes=12582912 save poke=1 save \
		scramble save poke=1 save scramble save
	expect_status 0
	expect_each status ok
	awk '/ the table .* gets [0-9]+ places$/ { if (taken) { print; bad = 1 } else seen++ }
		/ checkpoint 1: / { taken = 1 }
		END { exit bad || !seen || !taken }' "$err"
}

@test 'the first checkpoint of 1 MiB replaces one table, that of the data' {
	trace -v -e page "$E2E/steps" bytes=1048576 save
	expect_status 0
	[ "$(grep -c 'the table .* gets [0-9]* places$' "$err")" -eq 4 ] # three are made empty
	expect_text "$err" 'the table data_maps gets [5-9][0-9][0-9] places$'
}

# ---- what the engine needs ----

@test 'a machine without libbcc: one line names the package' {
	library=$(ldconfig -p | sed -n "s/.*$LIBRARY .*=> //p" | head -n 1)
	[ -n "$library" ] || library=$(ls /usr/lib/*/"$LIBRARY" 2>"$err" | head -n 1)
	if [ -n "$library" ]; then
		library=$(readlink -f "$library")
		# shellcheck disable=SC2016 # the inner shell expands
		run_limited unshare -m sh -c 'mount --bind /dev/null "$1" && shift && exec "$@"' \
			sh "$library" "$TRACER" --control-dir "$control" -o "$csv" -q -e page \
			touch "$dir/ran"
	else
		trace -q -e page touch "$dir/ran"
	fi
	expect_status 125
	[ "$(wc -l <"$err")" = 1 ]
	expect_text "$err" 'install the package libbpfcc'
	[ ! -e "$dir/ran" ]
}

# copy_headers: the headers of the build tree, in $dir/headers, for a test to spoil
copy_headers()
{
	cp -r "$BUILD/bcc" "$dir/headers"
	export BCC_KERNEL_SOURCE=$dir/headers
}

# expect_refusal PATTERN: the program has not run, and BCC's own words are shown
expect_refusal()
{
	expect_status 125
	expect_text "$err" "$@"
	[ ! -e "$dir/ran" ]
	expect_no_control_files
}

@test 'headers that the user names are used' {
	copy_headers
	trace -e page "$E2E/steps" save scramble restore verify
	expect_status 0
	echo '#error these are the headers of the user' >>"$dir/headers/include/linux/version.h"
	trace -q -e page touch "$dir/ran"
	expect_refusal 'these are the headers of the user' "cannot compile.*$dir/headers"
}

@test 'a folder without headers: what BCC says is shown' {
	mkdir "$dir/empty"
	BCC_KERNEL_SOURCE=$dir/empty trace -q -e page touch "$dir/ran"
	expect_refusal 'kconfig.h' "cannot compile.*$dir/empty"
}

@test 'a program that the kernel refuses: its messages are shown' {
	copy_headers
	cat >>"$dir/headers/arch/x86/include/asm/page.h" <<-'END'
		#undef PAGES_PER_POLL
		#define PAGES_PER_POLL 1000000
	END
	trace -q -e page touch "$dir/ran"
	expect_refusal 'too complex\|too large' 'refuses .* program store_pages'
}

@test 'a tracer without its headers says where it has looked' {
	cp "$TRACER" "$dir/tracer"
	run_limited "$dir/tracer" -q --control-dir "$control" -o "$csv" -e page touch "$dir/ran"
	expect_refusal "$dir/bcc and $dir/../lib/tracer/bcc" BCC_KERNEL_SOURCE
}

@test 'an installed tracer finds its headers' {
	make -s -C "$TREE" BUILD="$BUILD" DESTDIR="$dir/root" PREFIX=/usr install >"$dir/make" 2>&1
	run_limited "$dir/root/usr/sbin/tracer" --control-dir "$control" -o "$csv" -e page \
		"$E2E/steps" save scramble restore verify
	expect_status 0
	expect_steps 'save: 0' 'restore: 0' 'verify: ok'
	make -s -C "$TREE" BUILD="$BUILD" DESTDIR="$dir/root" PREFIX=/usr uninstall >"$dir/make" 2>&1
	[ -z "$(find "$dir/root" -type f)" ]
}

@test 'the program does not see the variable that BCC reads' {
	trace -e page sh -c '[ -z "${BCC_KERNEL_SOURCE+set}" ]'
	expect_status 0
}
