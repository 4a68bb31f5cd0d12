# SPDX-License-Identifier: BSD-2-Clause
# readckpt on images of make_images.c and of tracer --save.

load common

READCKPT=$BUILD/readckpt

# make_images: full, full.gz, one-page, nothing, increment (upon full) in $dir
make_images()
{
	"$E2E/make_images" "$dir"
}

readckpt()
{
	run_limited "$READCKPT" "$@"
}

need()
{
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# flip FILE OFFSET: one bit
flip()
{
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# mount_small NAME: a file system of 64 KiB
mount_small()
{
	mkdir "$1"
	mount -t tmpfs -o size=64k tmpfs "$1" || skip 'nothing can be mounted here'
	small=$1
}

unmount_small()
{
	umount "$small"
}

@test 'the table, of an image and of a compressed one' {
	make_images
	readckpt full
	expect_status 0
	expect_text "$out" 'full: 24.1 KiB, format version 2' 'process *2300 counting' \
		'^  000002300000 000002303000 rw-p .* 1 *1 *0 *1  \[heap\]$' \
		'rip    0000000000400005' 'USR2 *handler 0x400017' \
		'23 /tmp/results.txt at 2323 O_WRONLY|O_APPEND|O_CLOEXEC' \
		'missing *pages that could not be read; open files' 'Checksums all right'
	[ ! -s "$err" ]
	sed 1d "$out" >plain
	readckpt full.gz
	expect_status 0
	expect_text "$out" 'unpacked'
	diff plain <(sed 1d "$out")
}

@test 'myckpt is read when nothing is named' {
	readckpt
	expect_status 2
	[ "$(wc -l <"$err")" -eq 1 ]
	expect_text "$err" '^readckpt: no FILE is given, and there is no myckpt here; usage: readckpt '
	make_images
	cp full myckpt
	readckpt
	expect_status 0
}

@test 'JSON that other programs read' {
	need jq
	make_images
	for image in full full.gz one-page nothing increment; do
		readckpt --json $image
		expect_status 0
		jq -e '.intact and .version == 2 and .total.pages == ([.mappings[].pages] | add // 0)' \
			"$out" >/dev/null
	done
	readckpt --json full
	[ "$(jq -r '.mappings[] | select(.kind == "heap") | .start, .permissions, .resident_pages,
		.zero_pages, .missing_pages' "$out" | tr '\n' ' ')" = '0x2300000 rw-p 1 1 1 ' ]
	[ "$(jq -r '.threads[1].registers.rip, .signals[0].name, .files[2].path, .missing[0]' \
		"$out" | tr '\n' ' ')" = '0x400006 USR2 /tmp/results.txt pages ' ]
	jq -e '.process | .monotonic_ns == 2300e9 and .boottime_ns == 2323e9' "$out" >/dev/null
	readckpt --json increment
	[ "$(jq -r '.parent.images_before, (.chain | length)' "$out" | tr '\n' ' ')" = '1 2 ' ]
	if command -v python3 >/dev/null; then
		python3 -m json.tool <"$out" >/dev/null
	fi
}

@test 'JSON of a damaged image says so, and is JSON' {
	need jq
	make_images
	flip full $((0x3000 + 23))
	readckpt --json full
	expect_status 1
	jq -e '(.intact | not) and (.faults[0] | test("segment 1")) and
		[.segments[].intact] == [true, false, true, true]' "$out" >/dev/null
	: >"$(printf 'empty\033"')"
	readckpt --json "$(printf 'empty\033"')"
	expect_status 1
	jq -e '(.intact | not) and (.file == "empty\u001b\"")' "$out" >/dev/null
	expect_text "$err" 'empty?"'
}

@test '--dump, also of memory in a parent' {
	make_images
	readckpt --dump 0x400040,5 increment
	expect_status 0
	[ "$(cat "$out")" = \
		'000000400040  b8 ba bd c0 c3                                    |.....|' ]
	readckpt --dump 0x2302fff,2 full
	expect_status 1
	expect_text "$err" '/full: 0x2303000 is in no mapping'
	readckpt --dump 1,1 full
	expect_status 1
	expect_text "$err" '0x1 is in no mapping'
}

@test '--squash makes one image of two' {
	make_images
	readckpt --dump 0x2300000,0x3000 increment
	cp "$out" before
	readckpt --squash whole.gz increment
	expect_status 0
	[ "$(stat -c %a whole.gz)" = 600 ]
	rm full increment
	readckpt whole.gz
	expect_status 0
	expect_no_text "$out" 'an increment'
	readckpt --dump 0x2300000,0x3000 whole.gz
	diff before "$out"
	zcat whole.gz >core
	readckpt core
	expect_status 0
}

@test 'libelf reads the same as our reader' {
	make_images
	for image in full one-page nothing increment; do
		"$E2E/elf_image" $image $image
	done
	zcat full.gz >core
	"$E2E/elf_image" full.gz core
	readckpt --squash whole increment
	expect_status 0
	"$E2E/elf_image" whole whole
	# it notices a change of: number of segments, kind of one, address, registers, memory
	for offset in 56 120 138 1300 0x3017; do
		cp full flipped
		flip flipped $((offset))
		run "$E2E/elf_image" full flipped
		[ "$status" -eq 1 ]
	done
}

@test '--squash to a place that cannot be written, and to one that is full' {
	make_images
	readckpt --squash no/folder increment
	expect_status 1
	expect_text "$err" 'no/folder: No such file'
	ln -s victim link
	readckpt --squash link increment
	expect_status 1
	expect_text "$err" 'link: it is there and is no plain file'
	[ ! -e victim ]
	mount_small small
	head -c 60000 /dev/urandom >small/filled
	readckpt --squash small/whole increment
	ls -A small >left
	unmount_small
	expect_status 1
	expect_text "$err" 'small/whole: No space left'
	[ "$(cat left)" = filled ]
}

@test 'a parent that is gone, or is another image: the increment alone is shown' {
	make_images
	mv full elsewhere
	readckpt increment
	expect_status 1
	expect_text "$out" 'Parents NOT USABLE' 'Checksums all right in this file' '\[heap\]'
	expect_no_text "$out" DAMAGED
	expect_text "$err" '/increment: it is an increment, and the image that it adds to is not there'
	readckpt --dump 0x2300000,16 increment
	expect_status 1
	[ ! -s "$out" ]
	cp nothing full
	flip full 3000
	readckpt increment
	expect_status 1
	expect_text "$out" 'Parents NOT USABLE' 'Checksums all right in this file'
	expect_text "$err" '/full: damaged: the checksum of its headers'
	flip increment $(($(stat -c %s increment) - 2300)) # in its last page
	readckpt increment
	expect_status 1
	expect_text "$out" 'Parents NOT USABLE' 'Checksums DAMAGED' 'increment: damaged: the checksum of segment'
}

@test 'one flipped bit' {
	make_images
	for offset in 16 70 500 1000 5000 0x2017 0x3017 24600; do
		cp full flipped
		flip flipped $((offset))
		readckpt flipped
		expect_status 1
		expect_text "$err" '^readckpt: .*flipped: '
	done
}

@test 'files that are no images' {
	printf 'no image\n' >text
	: >empty
	mkfifo fifo
	gzip -c text >text.gz
	for file in text empty fifo text.gz "$dir" /dev/zero /proc/self/maps "$READCKPT"; do
		readckpt "$file"
		expect_status 1
		expect_text "$err" "^readckpt: .*${file##*/}: not an image"
		[ ! -s "$out" ]
	done
}

@test 'wrong usage' {
	for words in '--dump 23' '--dump 23,' '--dump ,23' '--dump 0x,1' '--dump 1,0' \
		'--dump 1,1073741825' '--dump 281474976710656,1' '--json --dump 1,1' \
		'--json --squash x' 'one two' '--nothing'; do
		# shellcheck disable=SC2086
		readckpt $words
		expect_status 2
		[ -s "$err" ]
		[ ! -s "$out" ]
	done
	for option in --help -h; do
		readckpt $option
		expect_status 0
		expect_text "$out" '--squash=OUT'
	done
	readckpt --version
	expect_status 0
	[ "$(cat "$out")" = "readckpt $(cat "$TREE/VERSION")" ]
}

@test 'colours only on a terminal, and not with NO_COLOR' {
	need script
	make_images
	script -qec "$READCKPT full" /dev/null >colours </dev/null
	expect_text colours "$(printf '\033')"
	NO_COLOR=1 script -qec "$READCKPT full" /dev/null >plain </dev/null
	expect_no_text plain "$(printf '\033')"
	NO_COLOR='' script -qec "$READCKPT full" /dev/null >colours </dev/null
	expect_text colours "$(printf '\033')"
}

@test 'stdout that is full' {
	make_images
	status=0
	"$READCKPT" full >/dev/full 2>"$err" || status=$?
	expect_status 1
	expect_text "$err" 'cannot write: No space left'
}

# ---- tracer --save ----

# saved ADDRESS BYTES: as readckpt dumps it, hexadecimal digits alone
saved()
{
	"$READCKPT" --dump "$1,$2" image | sed 's/^[0-9a-f]*  //; s/  |.*//' | tr -d ' \n'
}

@test '--save writes the memory of the last checkpoint' {
	for engine in chunk slab page auto; do
		for name in image image.gz; do
			rm -f "$csv"
			trace --engine $engine --save "$dir/$name" "$E2E/steps" bytes=94231 byte=35 \
				save byte=165 save scramble
			expect_status 0
			[ "$(stat -c %a $name)" = 600 ]
		done
		"$E2E/elf_image" image image
		zcat image.gz >image
		"$E2E/elf_image" image.gz image
		buffer=$(sed -n 's/^buffer: //p' "$out")
		[ "$(saved "$buffer" 16)" = a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 ]
		readckpt --dump "$buffer,94231" image
		expect_status 0
		[ "$(wc -l <"$out")" -le 4 ]
		expect_text "$out" '^\*$' "^$(printf %012x $((buffer + 94224)))  a5 a5 a5 a5 a5 a5 a5 *|"
		readckpt image
		expect_status 0
		expect_text "$out" 'memory without registers' 'Checksums all right' '\[heap\]' \
			'/steps$' 'missing *mappings that were not asked for$'
	done
}

@test '--save of the bytes of a seed' {
	need python3
	trace --save "$dir/image" "$E2E/steps" bytes=23000 fill=23 save restore verify
	expect_status 0
	buffer=$(sed -n 's/^buffer: //p' "$out")
	readckpt --json image
	expect_status 0
	python3 - "$buffer" "$out" "$(saved "$buffer" 23000)" <<-'END'
		import json, sys
		def byte_at(seed, i): # of check.h
		    x = (seed + 1) * 0x9e3779b97f4a7c15 + i * 0xbf58476d1ce4e5b9 & (1 << 64) - 1
		    return ((x ^ x >> 31) * 0x94d049bb133111eb >> 56) & 255
		assert bytes.fromhex(sys.argv[3]) == bytes(byte_at(23, i) for i in range(23000))
		buffer = int(sys.argv[1], 16)
		mapping = [r for r in json.load(open(sys.argv[2]))["mappings"]
			  if int(r["start"], 16) <= buffer < int(r["end"], 16)]
		assert len(mapping) == 1 and mapping[0]["permissions"] == "rw-p"
		assert mapping[0]["resident_pages"] >= 6
	END
}

@test 'gdb and readelf read what --save has written' {
	need gdb
	need readelf
	trace --save "$dir/image" "$E2E/foreign" -m bss -c 1 -r 1
	expect_status 0
	readelf -h -l -n image >elf 2>&1
	expect_text elf 'CORE (Core file)' 'LOAD' 'NT_AUXV' 'NT_FILE' 'TRACER'
	gdb -nx -batch -ex 'print in_data' -ex 'print &in_bss' -ex 'x/8xb &in_bss' \
		"$E2E/foreign" image >said 2>&1
	# .data is not tracked, but its end shares a page with the bss, which is saved
	expect_text said '^$1 = 23$' '<in_bss>'
	address=$(sed -n 's/.* \(0x[0-9a-f]*\) <in_bss>$/\1/p' said)
	[ "$(saved "$address" 8)" = "$(sed -n 's/.*<in_bss>://p' said | sed 's/0x//g' | tr -d '\t ')" ]
	[ "$(saved "$address" 8)" != 0000000000000000 ]
}

@test 'restart refuses what --save has written' {
	trace --save "$dir/image" "$E2E/steps" save
	expect_status 0
	run_limited "$BUILD/restart" image
	[ "$status" -ne 0 ]
	expect_text "$err" 'memory without registers'
}

@test '--save leaves out memory that was unmapped since' {
	trace --save "$dir/image" "$E2E/steps" bytes=94231 byte=165 save unmap
	expect_status 0
	buffer=$(sed -n 's/^buffer: //p' "$out")
	readckpt --dump "$buffer,16" image
	expect_status 1
	expect_text "$err" "$buffer is in no mapping"
	readckpt image
	expect_status 0
}

@test '--save has memory without access, and says what was replaced' {
	need jq
	for engine in chunk slab page; do
		rm -f "$csv"
		trace --engine $engine --save "$dir/image" "$E2E/ranges" no-access-before
		expect_status 0
		readckpt --json image
		expect_status 0
		jq -e '[.mappings[] | select(.permissions == "---p" and .resident_pages > 0)] |
			length > 0' "$out" >/dev/null
	done
	# with chunks the new mapping is tracked at once, but none of its pages is saved
	rm "$csv"
	trace --engine chunk --save "$dir/image" "$E2E/ranges" replaced
	expect_status 0
	readckpt --json image
	expect_status 0
	jq -e '.process | .monotonic_ns > 0 and .boottime_ns >= .monotonic_ns' "$out" >/dev/null
	jq -e '.total.missing_pages == 5 and .missing == ["pages", "mappings"]' "$out" >/dev/null
}

@test '--save without a checkpoint, or to a place that cannot be written' {
	trace --save "$dir/image" true
	expect_status 125
	expect_text "$err" "cannot save $dir/image: there is no snapshot"
	[ ! -e image ]
	trace --save "$dir/nothing/image" "$E2E/steps" save
	expect_status 125
	expect_text "$err" "$dir/nothing/image: No such file"
	rm "$csv"
	ln -s "$dir/victim" "$dir/link"
	trace --save "$dir/link" "$E2E/steps" save
	expect_status 125
	expect_text "$err" "$dir/link: it is there and is no plain file"
	[ ! -e victim ]
}

@test '--save on a disk that is full' {
	mount_small small
	trace --save "$dir/small/image" "$E2E/steps" bytes=94231 save
	ls -A small >left
	unmount_small
	expect_status 125
	expect_text "$err" "small/image: No space left"
	[ ! -s left ]
}
