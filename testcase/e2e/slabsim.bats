# SPDX-License-Identifier: BSD-2-Clause
# slabsim: its options, errors and their explanations, the menu, and bad input.

load common

SLABSIM=$BUILD/slabsim
ESCAPE=$(printf '\033')

# No root is needed here, and no tracer.
setup()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/tracer-e2e.XXXXXX")
	cd "$dir" || return 1
	out=$dir/out
	err=$dir/err
	csv=$dir/none
	: >"$out"
	: >"$err"
	started=()
	unset NO_COLOR
}

# slabsim ARG...: its output is in $out, its messages in $err, its exit status in status
slabsim()
{
	run_limited "$SLABSIM" "$@"
}

# type_in LINE...: these lines in the menu
type_in()
{
	printf '%s\n' "$@" >"$dir/in"
	status=0
	timeout -k 5 "$LIMIT_SECONDS" "$SLABSIM" <"$dir/in" >"$out" 2>"$err" 3>&- || status=$?
}

@test 'objects are allocated and deallocated, and shown' {
	slabsim -a 20 -d 3 --deallocate 7 --status
	expect_status 0
	[ ! -s "$err" ]
	expect_text "$out" 'allocated: objects 1 to 20' 'deallocated: object 3' \
		'18 allocated, 14 free, 0 damaged' '2 (0 full, 2 partial, 0 empty)' \
		'^slab 1 *partial *\[##.###.#########\]$' '^slab 2 *partial *\[####____________\]$'
}

@test 'the last one freed is handed out first' {
	slabsim -a 5 -d 2 -d 4 -a 1 -s
	expect_status 0
	expect_text "$out" '^slab 1 *partial *\[#.###___________\]$'
}

@test 'full, partial and empty slabs; empty ones are given back' {
	slabsim -a 48 -s
	expect_text "$out" '3 (3 full, 0 partial, 0 empty)' '^slab 3 *full *\[################\]$'
	slabsim -a 80 -d all -s
	expect_status 0
	expect_text "$out" 'deallocated: 80 objects' '2 (0 full, 0 partial, 2 empty), never more than 5' \
		'^slab 5 *empty *\[................\]$' '5 slabs made, 3 given back'
	slabsim --keep 4 -a 80 -d all -s
	expect_text "$out" '5 slabs made, 1 given back'
}

@test 'sizes of objects and slabs' {
	slabsim -b 1000 -S 8192 -a 9 -s
	expect_status 0
	expect_text "$out" 'each has 1000 bytes and takes 1008' 'each has 8192 bytes for 8 objects' \
		'^slab 1 *full *\[########\]$' '^slab 2 *partial *\[#_______\]$'
	slabsim --debug -b 1000 -S 8192 -a 1 -s
	expect_text "$out" 'each has 1000 bytes and takes 1040'
	slabsim -b 16 -a 1 -s
	expect_status 0
	[ "$(grep -c '^ *_*\]*$' "$out")" -ge 3 ] # the picture goes on in further lines
}

@test 'a double free is refused and explained' {
	slabsim -a 3 -d 2 -d 2 -s
	expect_status 1
	expect_text "$out" 'object 2: refused' 'SLAB_FREE_ALREADY: this object is free already' \
		'Set pointers to NULL' '2 allocated'
}

@test 'a double free that nobody can notice takes the object of somebody else' {
	slabsim -a 1 -d 1 -a 1 -d 1 -s
	expect_status 0
	expect_text "$out" 'handed out again, as object 2' '0 allocated'
	slabsim -a 1 -d 1 -a 1 -d 1 -d 2
	expect_status 1
	expect_text "$out" 'object 2: refused'
}

@test 'addresses that are no objects are refused and explained' {
	for address in 0x1 0x1234 0x7fffffffffff 0xffffffffffffffff; do
		slabsim -a 1 -d "$address" -s
		expect_status 1
		expect_text "$out" "$address: refused" 'SLAB_NO_OBJECT' 'table of slabs' '1 allocated'
	done
	slabsim -d 0x0
	expect_status 0
	expect_text "$out" 'NULL is no object'
}

@test 'numbers of objects that never were, and garbage' {
	for object in 0 2 18446744073709551615; do
		slabsim -a 1 -d "$object" -s
		expect_status 1
		expect_text "$out" 'there never was' '1 allocated'
	done
	for object in '' x 1x -1 +1 ' 1' 1.5 0x 99999999999999999999; do
		slabsim -a 1 "--deallocate=$object" -s
		expect_status 1
		expect_text "$out" 'is no number of an object' '1 allocated'
	done
}

@test 'without memory an alloc is refused, and works again later' {
	slabsim --memory 20480 -a 33 -s
	expect_status 1
	expect_text "$out" 'allocated: objects 1 to 32' 'one more is refused' 'ENOMEM' \
		'1 times no memory'
	slabsim --memory 8192 -a 1
	expect_status 1
	expect_text "$out" 'the first one is refused'
	slabsim --memory 20480 -a 33 -d 5 -a 1 -s
	expect_status 1
	expect_text "$out" 'allocated: object 33' '32 allocated'
	slabsim --memory 1 -a 1
	expect_status 2
	expect_text "$err" 'no memory' '--memory'
}

@test 'each error is provoked and explained' {
	slabsim --explain all
	expect_status 0
	[ ! -s "$err" ]
	expect_text "$out" '^foreign: ' '^inside: ' '^double-free: ' '^overflow: ' '^underflow: ' \
		'^write-after-free: ' '^no-memory: ' '^interrupted: '
	[ "$(grep -c '^  -[ES]' "$out")" = 8 ]
	expect_no_text "$out" 'not right'
	[ "$(awk 'length > 100' "$out" | wc -l)" = 0 ]
	slabsim -x overflow
	expect_status 0
	expect_text "$out" 'SLAB_WRITTEN_BEHIND: bytes behind this object were written to'
	expect_no_text "$out" '^double-free'
}

@test 'a run is the same for the same seed, and sound' {
	slabsim --seed 5 -r 3001 --every 1000 -s
	expect_status 0
	expect_text "$out" 'after 1000 operations:' 'after 3000 operations:' \
		'3001 operations with seed 5' 'the cache is sound'
	cp "$out" first
	slabsim --seed 5 -r 3001 --every 1000 -s
	cmp first "$out"
	slabsim --seed 6 -r 3001 --every 1000 -s
	expect_status 0
	run ! cmp -s first "$out"
	slabsim --debug --seed 5 -r 3001 -s
	expect_status 0
	expect_text "$out" 'the cache is sound' '0 damaged'
}

@test 'a run with little memory goes on' {
	slabsim --memory 20480 -r 1000 -s
	expect_status 0
	expect_text "$out" '1000 operations' 'the cache is sound'
	expect_no_text "$out" ' 0 times no memory$'
}

@test 'wrong usage' {
	for arguments in '-a 0' '-a x' '-a 1000001' '-b 0' '-b 99999999999' '-S 100' '-S 5000' \
		'-b 5000 -S 4096' '--debug -b 4090' '--keep 0' '-m 0' '-r 0' '-r 1e3' '--seed -1' \
		'--every 0' '--every 10' '-x nonsense' '--nonsense' 'word' '-a'; do
		# shellcheck disable=SC2086 # several words
		slabsim $arguments
		expect_status 2
		expect_text "$err" slabsim
		[ ! -s "$out" ]
	done
	slabsim -S 5000
	expect_text "$err" '--slab 5000'
}

@test '--help, --usage and --version go to stdout' {
	for option in --help -h -\?; do
		slabsim $option
		expect_status 0
		expect_text "$out" '--deallocate' '--explain' 'Exit status'
		[ ! -s "$err" ]
	done
	slabsim --usage
	expect_status 0
	expect_text "$out" '--slab'
	for option in --version -V; do
		slabsim $option
		expect_status 0
		[ "$(cat "$out")" = "slabsim $(cat "$TREE/VERSION")" ]
	done
}

@test 'the menu: allocate, deallocate, status, run, explain, exit' {
	type_in 1 5 2 2 3 2 0x10 4 50 7 5 overflow 5 '' 6
	expect_status 0
	[ ! -s "$err" ]
	expect_text "$out" 'allocated: objects 1 to 5' 'deallocated: object 2' \
		'\[#.###___________\]' '0x10: refused' 'after 13 operations' \
		'50 operations with seed 7' '^which one.*overflow: ' 'interrupted: '
	[ "$(grep -c '6  exit' "$out")" = 8 ]
}

@test 'the menu: answers by default' {
	type_in 1 '' 4 '' '' 4 '' '' '' 3 6
	expect_status 0
	expect_text "$out" 'allocated: object 1$' '100 operations with seed 23' \
		'100 operations with seed 24' '^> objects: '
}

@test 'the menu: garbage is told, and asked for again' {
	type_in x 0 7 -1 '1 2' 99999999999999999999 "$(head -c 5000 /dev/zero | tr '\0' y)" \
		1 none 0 1000001 3 2 nonsense 5 nonsense 3 6
	expect_status 0
	[ "$(grep -c 'is not a choice' "$out")" = 7 ]
	[ "$(grep -c 'is not a number from 1 to 1000000' "$out")" = 3 ]
	expect_text "$out" 'allocated: objects 1 to 3' "'nonsense' is no number" \
		"no error 'nonsense'" '3 allocated'
	head -c 100000 /dev/urandom >"$dir/noise"
	status=0
	timeout "$LIMIT_SECONDS" "$SLABSIM" <"$dir/noise" >"$out" 2>"$err" 3>&- || status=$?
	expect_status 0
	printf '1\n\000\n2\n\0331\n3\n6\n' >"$dir/zeros"
	status=0
	timeout "$LIMIT_SECONDS" "$SLABSIM" <"$dir/zeros" >"$out" 2>"$err" 3>&- || status=$?
	expect_status 0
	expect_no_text "$out" "$ESCAPE"
}

@test 'the menu: the end of input ends it at each question' {
	for lines in '' '1' '2' '4' '4\n10' '5'; do
		printf '%b' "$lines${lines:+\n}" >"$dir/in"
		status=0
		timeout "$LIMIT_SECONDS" "$SLABSIM" <"$dir/in" >"$out" 2>"$err" 3>&- || status=$?
		expect_status 0
		[ ! -s "$err" ]
	done
	printf 3 >"$dir/in" # without a newline
	timeout "$LIMIT_SECONDS" "$SLABSIM" <"$dir/in" >"$out" 2>"$err" 3>&-
	expect_text "$out" '0 allocated'
}

@test 'input that cannot be read, output that cannot be written' {
	status=0
	timeout "$LIMIT_SECONDS" "$SLABSIM" <"$dir" >"$out" 2>"$err" 3>&- || status=$?
	expect_status 2
	expect_text "$err" 'stdin' 'directory'
	status=0
	timeout "$LIMIT_SECONDS" "$SLABSIM" -a 1 -s >/dev/full 2>"$err" 3>&- || status=$?
	expect_status 2
	expect_text "$err" 'stdout' 'No space left'
	status=0
	timeout "$LIMIT_SECONDS" "$SLABSIM" </dev/null >/dev/full 2>"$err" 3>&- || status=$?
	expect_status 2
}

@test 'colours only on a terminal, and not with NO_COLOR' {
	command -v script >/dev/null || skip 'script is not installed'
	slabsim -a 3 -d 2 -s
	expect_no_text "$out" "$ESCAPE"
	timeout "$LIMIT_SECONDS" script -qec "$SLABSIM -a 3 -d 2 -s" /dev/null >"$out" </dev/null 3>&-
	expect_text "$out" "$ESCAPE"
	NO_COLOR=1 timeout "$LIMIT_SECONDS" script -qec "$SLABSIM -a 3 -d 2 -s" /dev/null >"$out" \
		</dev/null 3>&-
	expect_text "$out" '\[#.#_'
	expect_no_text "$out" "$ESCAPE"
}
