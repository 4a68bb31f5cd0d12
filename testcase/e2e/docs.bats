# SPDX-License-Identifier: BSD-2-Clause
# The documents: what they name is there, and the commands of docs/learn.md do what it shows.
#
# The commands of docs/learn.md are run in one shell, in order.
# A fence that begins with "sh test" is run. A fence "text" that follows at once is its output. More
# words after "test": numbers (they may differ), fails (the last command must), bcc and lockdown
# (run only where there is BCC, or where BPF may not write). In the output, a line "..." stands for
# any lines. Where output depends on the kernel, comments "<!-- key: TEXT -->" between the two
# fences say what both the document and the machine must show; nothing else is compared then.
#
# shellcheck disable=SC2016,SC2154 # code of another shell; dir is set in common

load common

# find_blocks FILE: each block as the files N.sh, N.words, N.line, N.want, N.keys in $dir/blocks
find_blocks()
{
	mkdir -p "$dir/blocks"
	rm -f "$dir"/blocks/*
	awk -v to="$dir/blocks/" '
	fence && /^```$/ { fence = ""; next }
	fence == "sh" { print >(to n ".sh"); next }
	fence == "text" { print >(to n ".want"); next }
	fence { next }
	/^```sh test/ {
		n++
		fence = "sh"
		follows = 1
		print NR >(to n ".line")
		sub(/^```sh test ?/, "")
		print >(to n ".words")
		next
	}
	/^```text$/ && follows { fence = "text"; follows = 0; next }
	/^```/ { fence = "other"; follows = 0; next }
	/^<!-- key: .* -->$/ && follows { print substr($0, 11, length($0) - 14) >(to n ".keys"); next }
	/./ { follows = 0 }' "$1"
}

# has_word N WORD: was it after "test"?
has_word()
{
	grep -q -w -- "$2" "$dir/blocks/$1.words"
}

# is_skipped N: does this machine lack what the block needs?
is_skipped()
{
	if has_word "$1" bcc && ! ldconfig -p | grep -q 'libbcc\.so\.0 '; then
		return 0
	fi
	has_word "$1" lockdown && [ "$(restore_path)" = bpf ]
}

# run_blocks: runs all of them in one shell; output and exit status are left in N.out and N.status.
# The document starts programs in the background as tracer and first; both are ended.
run_blocks()
{
	local n=1 run=()

	while [ -e "$dir/blocks/$n.sh" ]; do
		is_skipped "$n" || run+=("$n")
		n=$((n + 1))
	done
	[ "${#run[@]}" -gt 0 ]
	mkdir -p "$dir/tree"
	ln -sfn "$TREE"/* "$dir/tree/"
	ln -sfn "$BUILD" "$dir/tree/build"
	cd "$dir/tree" || return 1
	TMPDIR=$dir timeout -k 5 "$LIMIT_SECONDS" bash -c '
	leave() {
		for process in ${tracer:-} ${first:-}; do
			[ ! -e "/proc/$process" ] || kill -KILL $(cat "/proc/$process/task/$process/children") "$process"
		done
	}
	trap leave EXIT
	trap "exit 143" TERM
	blocks=$1
	shift
	for block; do
		. "$blocks/$block.sh" >"$blocks/$block.out" 2>&1 </dev/null
		echo $? >"$blocks/$block.status"
	done' - "$dir/blocks" "${run[@]}" 3>&- || return 1
	cd "$dir" || return 1
}

# is_like WANT OUT NUMBERS: the same lines, where "..." stands for any. With NUMBERS, numbers and
# the white space around them may differ.
is_like()
{
	awk -v numbers="$3" '
	function plain(line) {
		if (numbers) {
			gsub(/(0x)?[0-9a-f]*[0-9][0-9a-f]*/, "N", line)
			gsub(/[ \t]+/, " ", line)
		}
		return line
	}
	FILENAME == ARGV[1] { want[++wanted] = plain($0); next }
	{ out[++lines] = plain($0) }
	END {
		for (i = 1; i <= wanted; i++) {
			if (want[i] == "...") {
				gap = 1
				continue
			}
			for (at++; gap && at <= lines && out[at] != want[i]; at++)
				;
			if (at > lines || out[at] != want[i]) {
				print "in vain looked for: " want[i]
				exit 1
			}
			gap = 0
		}
		if (!gap && at < lines) {
			print "more than is shown: " out[at + 1]
			exit 1
		}
	}' "$1" "$2"
}

# expect_block N: its end and its output are what the document says
expect_block()
{
	local block=$dir/blocks/$1 ended key

	if ! ended=$(cat "$block.status"); then
		printf 'it was not run\n'
		return 1
	fi
	if has_word "$1" fails; then
		[ "$ended" -ne 0 ] || { printf 'it succeeds, and should fail\n' && return 1; }
	else
		[ "$ended" -eq 0 ] || { printf 'it ends with status %s\n' "$ended" && return 1; }
	fi
	if [ ! -e "$block.keys" ]; then
		[ -e "$block.want" ] || return 0
		is_like "$block.want" "$block.out" "$(! has_word "$1" numbers || echo 1)"
		return
	fi
	while IFS= read -r key; do
		for file in "$block.want" "$block.out"; do
			if ! grep -q -F -- "$key" "$file"; then
				printf '%s does not have: %s\n' "${file##*.}" "$key"
				return 1
			fi
		done
	done <"$block.keys"
}

# expect_document FILE: all blocks of it
expect_document()
{
	local n bad=0

	find_blocks "$1"
	run_blocks || printf 'the shell of %s ended before its last command\n' "$1"
	for ((n = 1; ; n++)); do
		[ -e "$dir/blocks/$n.sh" ] || break
		if is_skipped "$n"; then
			printf 'line %s: not for this machine\n' "$(cat "$dir/blocks/$n.line")"
		elif ! expect_block "$n"; then
			printf '%s, line %s: its output was\n' "$1" "$(cat "$dir/blocks/$n.line")"
			head -n 40 "$dir/blocks/$n.out"
			bad=1
		fi
	done
	if [ "$n" -eq 1 ]; then
		printf '%s has no command\n' "$1"
		bad=1
	fi
	return $bad
}

# expect_refused LINE...: a document of these lines is found out
expect_refused()
{
	printf '%s\n' "$@" >wrong.md
	if expect_document "$dir/wrong.md" >said; then
		printf 'this passes, and must not:\n'
		cat wrong.md
		return 1
	fi
}

@test 'the commands of docs/learn.md do what it says' {
	for tool in bpftool llvm-objdump objdump clang cc; do
		PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || skip "there is no $tool"
	done
	PATH=$PATH:/usr/sbin expect_document "$TREE/docs/learn.md"
	[ -e "$dir/blocks/20.status" ] # there are that many at least
}

@test 'a document that is wrong is found out' {
	printf '%s\n' '```sh test' 'true; echo 1 2; echo 3; echo 4' '```' '```text' '1 2' '...' '4' '```' \
		'```sh test fails numbers' 'echo 99; false' '```' '<!-- not a key -->' '```text' '5' '```' \
		'```sh test numbers' 'echo a 99' '```' '```text' 'a  5' '```' \
		'```sh test' 'echo a; echo b' '```' '<!-- key: b -->' '```text' 'b' '```' >right.md
	expect_document "$dir/right.md"
	expect_refused '```sh test' 'false' '```'
	expect_refused '```sh test fails' 'true' '```'
	expect_refused '```sh test' 'echo 1' '```' '```text' '2' '```'
	expect_refused '```sh test' 'echo 1; echo 2' '```' '```text' '1' '```'
	expect_refused '```sh test' 'echo 1; echo 2' '```' '```text' '2' '```'
	expect_refused '```sh test numbers' 'echo a 1' '```' '```text' 'b 1' '```'
	expect_refused '```sh test' 'echo 1' '```' '<!-- key: 2 -->' '```text' '1' '2' '```'
	expect_refused '```sh test' 'echo 1' '```' '<!-- key: 1 -->' '```text' '2' '```'
	expect_refused '```sh test' 'exit 0' '```' '```sh test' 'true' '```'
	expect_refused 'no command at all'
}

# Two forms are checked: "**Where:** `FILE`, `NAME`, ...", where each name is in the file before it,
# and "`NAME` in `FILE`".
@test 'the files, functions and links that docs/learn.md names are there' {
	local document=$TREE/docs/learn.md line token file count=0

	cd "$TREE"
	while IFS= read -r line; do
		file=
		while IFS= read -r token; do
			case $token in
			*/*) file=$token ;;
			*) grep -q -w -- "${token%%->*}" "$file" || { printf '%s: no %s\n' "$file" "$token" && return 1; } ;;
			esac
			[ -e "$file" ] || { printf 'no file %s\n' "$file" && return 1; }
			count=$((count + 1))
		done < <(grep -o '`[^`]*`' <<<"$line" | tr -d '`')
	done < <(awk -v RS= '/^\*\*Where:\*\*/ { gsub(/\n/, " "); print }' "$document")
	[ "$count" -ge 20 ]
	while IFS='`' read -r _ token _ file _; do
		grep -q -w -- "$token" "$file" || { printf '%s: no %s\n' "$file" "$token" && return 1; }
		count=$((count + 1))
	done < <(tr '\n' ' ' <"$document" | grep -o '`[a-z_]*` in `[^`]*`')
	[ "$count" -ge 26 ]
}

# list_sources ROOT NAME: the files of that name in the source folders and at the top of a tree
list_sources()
{
	find "$1" -maxdepth 1 -type f -name "$2"
	find "$1"/{bpf,tracer,utils,testcase,docs,results} -type f -name "$2"
}

# list_anchors FILE: of its headings, as GitHub makes them
list_anchors()
{
	sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# expect_links ROOT: each relative link in a document leads to a file, and to a heading of it
expect_links()
{
	local document link file count=0

	while IFS= read -r document; do
		while IFS= read -r link; do
			file=$document
			[[ $link == '#'* ]] || file=$(dirname "$document")/${link%%#*}
			[ -e "$file" ] || { printf '%s: no file %s\n' "$document" "$link" && return 1; }
			count=$((count + 1))
			[[ $link == *'#'* ]] || continue
			list_anchors "$file" | grep -q -x -- "${link#*#}" ||
				{ printf '%s: no heading %s\n' "$document" "$link" && return 1; }
		done < <(grep -o '](\([^)]*\))' "$document" | sed 's/^](\(.*\))$/\1/' | grep -v '^[a-z]*:')
	done < <(list_sources "$1" '*.md')
	[ "$count" -ge 1 ]
}

# list_paths ROOT: the paths of the tree that documents, manual pages and comments name
list_paths()
{
	local folders='bpf|tracer|utils|testcase|docs|results'

	{
		list_sources "$1" '*.md' | xargs grep -h -o -E '`[^` ]+`' | tr -d '`'
		list_sources "$1" '*.[1-8]' | xargs sed 's/\\-/-/g' |
			grep -o -E "\\b($folders)/[[:alnum:]_./*-]+\.[[:alnum:]]+"
		list_sources "$1" '*.[ch]' | xargs grep -h -o -E '\bdocs/[a-z-]+\.(md|[1-8])'
	} | grep -E "^($folders)/[][[:alnum:]_./*-]*(\.[][[:alnum:]*]+|/)$" | sort -u
}

# expect_paths ROOT: these are there. A name with capitals may stand for others (bench-TIME.csv).
expect_paths()
{
	local path missing=0 count=0

	while IFS= read -r path; do
		count=$((count + 1))
		[[ ! $path =~ [A-Z] ]] || continue
		compgen -G "$1/$path" >found || { printf 'no %s\n' "$path" && missing=1; }
	done < <(list_paths "$1")
	[ "$count" -ge 1 ] && return "$missing"
}

# c_block N FILE: the Nth piece of C in a document, with the control folder of this test
c_block()
{
	awk -v n="$1" '/^```c$/ { inside = ++count == n; next } /^```$/ { inside = 0 } inside' "$2" |
		sed "s|\"/tmp/|\"$control/|g"
}

# expect_program NAME OUTPUT: NAME.c, compiled and run by the tracer, prints OUTPUT
expect_program()
{
	cc -Wall -Werror -I"$TREE/utils" "$1.c" "$BUILD/client.o" -o "$1"
	trace "./$1"
	expect_status 0
	[ "$(cat "$out")" = "$2" ]
}

@test 'the pieces of C in README.md and docs/protocol.md work' {
	command -v cc >/dev/null || skip 'there is no cc'
	{
		printf '#include <stdio.h>\n#include "client/client.h"\nstatic volatile int sum;\n'
		printf 'static void try_something(int i) { sum += i; }\n'
		printf 'int main(void) { const int inputs = 23;\n'
		c_block 1 "$TREE/README.md"
		printf 'printf("%%d\\n", sum); }\n'
	} >library.c
	grep -q recovercontext library.c
	expect_program library 0
	{
		printf '#include <stdio.h>\n#include <unistd.h>\nint main(void) {\n'
		c_block 2 "$TREE/README.md"
		printf 'puts("saved"); }\n'
	} >files.c
	grep -q ready_to_checkpoint files.c
	expect_program files saved
	c_block 1 "$TREE/docs/protocol.md" >whole.c
	expect_program whole 23
	c_block 2 "$TREE/docs/protocol.md" >with_library.c
	expect_program with_library 23
}

@test 'README.md has at most 1,000 words, and 350 outside of code and tables' {
	[ "$(wc -w <"$TREE/README.md")" -le 1000 ]
	[ "$(sed '/^```/,/^```$/d; /^[|!]/d' "$TREE/README.md" | wc -w)" -le 350 ]
}

@test 'the transcript in README.md is what its command prints' {
	grep -q -x 'cd build && ./tracer ./testcase -q -t 2' "$TREE/README.md"
	trace "$TESTCASE" -q -t 2
	expect_status 0
	[ "$(cat "$out" "$err" | wc -l)" -le 12 ]
	for line in "$(cat "$out")" "$(grep 'copy MiB/s' "$err")"; do
		grep -q -x -F -- "$line" "$TREE/README.md"
	done
}

@test 'links and paths in documents, manual pages and comments lead somewhere' {
	expect_links "$TREE"
	expect_paths "$TREE"
}

@test 'docs/design.md draws each folder' {
	local folder

	for folder in "$TREE"/tracer/*/ "$TREE"/utils/*/; do
		folder=$(basename "$folder")
		grep -q -E "^ +$folder/ +[a-z]" "$TREE/docs/design.md" ||
			{ printf '%s/ is not in docs/design.md\n' "$folder" && return 1; }
	done
}

@test 'every document begins with its readers' {
	local document

	while IFS= read -r document; do
		[ "$document" != "$TREE/README.md" ] || continue
		sed -n 3p "$document" | grep -q '^For ' || { printf '%s: for whom?\n' "$document" && return 1; }
	done < <(list_sources "$TREE" '*.md')
}

@test 'a link or a path that leads nowhere is found out' {
	mkdir -p wrong/{bpf,tracer,utils,testcase,docs,results}
	cd wrong
	printf '# A b\n[right](docs/b.md#c) [right](#a-b) `docs/b.md`\n' >a.md
	printf '# C\n' >docs/b.md
	printf '.I docs/b.md\n' >docs/b.1
	printf '/* docs/b.1 */\n' >tracer/b.c
	expect_links "$PWD"
	expect_paths "$PWD"
	for line in '[wrong](docs/c.md)' '[wrong](docs/b.md#d)' '[wrong](#c)'; do
		printf '%s\n' "$line" >c.md
		run ! expect_links "$PWD"
	done
	printf '`bpf/b.h`\n' >c.md
	run ! expect_paths "$PWD"
	printf '/* docs/c.md */\n' >tracer/c.c
	: >c.md
	run ! expect_paths "$PWD"
	: >tracer/c.c
	printf '.I docs/c\\-d.md\n' >docs/c.1
	run ! expect_paths "$PWD"
	: >docs/c.1
	expect_paths "$PWD"
}
