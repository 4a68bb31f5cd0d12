# SPDX-License-Identifier: BSD-2-Clause
# tracer ctl diff: what has changed in memory, as a table, as JSON and as a picture.

load common

# start_changer: a target with known variables, mappings and a thread. Each line has a command.
start_changer()
{
	cat >"$dir/changer.c" <<-'C'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>

		_Alignas(4096) char alpha[4096] = {1};
		_Alignas(4096) char beta[3 * 4096];
		static pthread_barrier_t barrier;

		static void *deep(void *unused)
		{
			volatile char here[8192] = {0};

			for (;;) {
				pthread_barrier_wait(&barrier);
				here[17]++;
				pthread_barrier_wait(&barrier);
			}
			return unused;
		}

		int main(void)
		{
			const int rw = PROT_READ | PROT_WRITE;
			const int fd = open("file", O_RDONLY);
			char *heap = malloc(1000), *large, *file, *more = NULL, line[64];
			pthread_t thread;

			large = mmap(NULL, 8UL << 30, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				     -1, 0);
			file = mmap(NULL, 8192, rw, MAP_PRIVATE, fd, 0);
			pthread_barrier_init(&barrier, NULL, 2);
			pthread_create(&thread, NULL, deep, NULL);
			setvbuf(stdin, NULL, _IONBF, 0);
			while (fgets(line, sizeof(line), stdin)) {
				switch (*line) {
				case 'a':
					alpha[300]++; /* in its second chunk */
					break;
				case 'b':
					memset(beta + 255, ++*heap, 258); /* three chunks */
					break;
				case 't':
					pthread_barrier_wait(&barrier);
					pthread_barrier_wait(&barrier);
					break;
				case 'f':
					file[4096 + 256]++;
					break;
				case 'l':
					for (int i = 0; i < 8; i++)
						large[((unsigned long)i << 30) + 5000]++;
					break;
				case 'm':
					/* its own rights: it is merged with no other mapping */
					more = mmap(NULL, 65536, rw | PROT_EXEC,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					memset(more, 1, 65536);
					break;
				case 'u':
					munmap(more, 65536);
					break;
				}
				puts("done");
				fflush(stdout);
			}
		}
	C
	cc -O1 -pthread "$dir/changer.c" -o "$dir/changer" 2>"$err" || skip "cc: $(head -n 1 "$err")"
	head -c 8192 /dev/urandom >"$dir/file"
	start_target "$dir/changer"
	expect_answer x done
	attach
	ctl checkpoint start
}

is_waiting()
{
	[ "$(state_of "$target")" = S ]
}

# change LETTER...: the target does it, and then waits: on its way there it still writes
change()
{
	local letter

	for letter; do
		expect_answer "$letter" done
	done
	wait_until 'the target to wait' is_waiting
}

# query FILTER: of the answer, by jq
query()
{
	jq -c "$1" "$out"
}

@test 'the table names variables, heap and stacks' {
	start_changer
	change a b t
	ctl diff
	expect_text "$out" '^ADDRESS .*NAME$' ' alpha+0x100$' ' beta$' ' heap$' ' stack$' \
		' stack of thread [0-9]*$' '^all '
	expect_text "$out" ' bss of /.*/changer$' ' 768 B  *beta$'
	run ! grep -q '/file' "$out"
	detach_and_check
}

@test 'chunks and ranges are exact, as JSON' {
	command -v jq >"$out" || skip 'there is no jq'
	start_changer
	change a b
	ctl --json diff start
	[ "$(query '[.ok, .op, .from, .to, .more_ranges, .more_mappings]')" = \
		'[true,"diff","start",null,0,0]' ]
	[ "$(query '[.ranges[] | select(.symbol == "beta").bytes]')" = '[768]' ]
	[ "$(query '[.ranges[] | select(.symbol // "" | startswith("alpha")) | .bytes, .start % 4096]')" = \
		'[256,256]' ]
	[ "$(query '[.ranges[].bytes] | add')" = "$(query .bytes)" ]
	[ "$(query '[.mappings[].bytes] | add')" = "$(query .bytes)" ]
	[ "$(query '[.mappings[].pages] | add')" = "$(query .pages)" ]
	[ "$(query '[.mappings[] | .end - .start] | max >= 8589934592')" = true ]
	[ "$(query '.cell_bytes >= 524288')" = true ]
	[ "$(query '[.mappings[].cells | length] | add <= 16384')" = true ]
	detach_and_check
}

# The chunk that changes begins with a variable that does not.
@test 'a variable is named only if a byte of it has changed' {
	compile <<-'C'
		#include <stdio.h>

		_Alignas(256) volatile char quiet[16] = "quiet";
		static volatile char *volatile after = quiet + 64; /* no variable is there */

		int main(void)
		{
			char line[23];

			setvbuf(stdout, NULL, _IONBF, 0);
			while (fgets(line, sizeof(line), stdin)) {
				(*line == 'q' ? quiet : after)[3]++;
				puts("done");
			}
			return 0;
		}
	C
	start_target "$dir/program"
	attach
	ctl checkpoint
	expect_answer a done
	ctl diff
	run ! grep quiet "$out"
	expect_answer q done
	ctl diff
	expect_text "$out" ' quiet$'
	detach_and_check
}

@test 'two checkpoints, in both directions; nothing has changed in between' {
	command -v jq >"$out" || skip 'there is no jq'
	start_changer
	change b
	ctl checkpoint second
	change a m
	ctl --json diff start second
	[ "$(query '[.from, .to, .stop_ns]')" = '["start","second",0]' ]
	[ "$(query '[.ranges[].symbol // "" | select(startswith("alpha"))]')" = '[]' ]
	bytes=$(query .bytes)
	ctl --json diff second start
	[ "$(query .bytes)" = "$bytes" ]
	ctl --json diff second second
	[ "$(query '[.bytes, .pages, .ranges]')" = '[0,0,[]]' ]
	run_ctl diff start nothing
	expect_status 1
	expect_text "$dir/ctl.err" 'there is no checkpoint of that name'
	detach_and_check
}

@test 'mappings that are new and gone, and a private page of a file' {
	command -v jq >"$out" || skip 'there is no jq'
	start_changer
	change m f
	ctl --json diff
	[ "$(query '[.mappings[] | select(.state == "new") | .bytes]')" = '[65536]' ]
	[ "$(query '[.mappings[] | select(.name | endswith("/file")) | .bytes, .pages]')" = '[256,1]' ]
	ctl checkpoint second
	change u
	ctl --json diff
	[ "$(query '[.mappings[] | select(.state != "same") | .state, .bytes]')" = '["gone",65536]' ]
	ctl rollback second
	ctl --json diff second
	[ "$(query '[.mappings[] | select(.name | endswith("/file")) | .bytes]')" = '[0]' ]
	detach_and_check
}

@test 'it changes nothing: a rollback after it is right' {
	start_changer
	change a b t l
	ctl diff
	change a b
	ctl diff start
	ctl rollback start
	ctl diff
	run ! grep -q -E 'alpha|beta' "$out"
	ctl list
	[ "$(wc -l <"$out")" -eq 2 ]
	ctl delete start
	run_ctl diff
	expect_status 1
	expect_text "$dir/ctl.err" 'there is no checkpoint; take one first'
	detach_and_check
}

@test 'a heat map of 8 GiB as SVG, PNG and text' {
	find_python
	start_changer
	change l b
	ctl checkpoint second # so that both pictures are of one moment
	ctl diff start second --map "$dir/map.svg"
	ctl diff start second --map "$dir/map.png"
	[ ! -s "$out" ]
	"$python" -I - "$dir" <<-'PYTHON'
		import struct, sys, xml.dom.minidom, zlib

		svg = xml.dom.minidom.parse(sys.argv[1] + '/map.svg').documentElement
		texts = [t.firstChild.data for t in svg.getElementsByTagName('text')]
		assert texts[0].startswith('from start to second: '), texts
		assert any('8.0 GiB, changed: 2.0 KiB' in t for t in texts), texts
		fills = [r.getAttribute('fill') for r in svg.getElementsByTagName('rect')]
		assert sum(f not in ('#e8e8e8', '#ffffff') for f in fills) >= 8 + 1

		png = open(sys.argv[1] + '/map.png', 'rb').read()
		assert png[:8] == b'\x89PNG\r\n\x1a\n'
		width, height, depth, kind = struct.unpack('>IIBB', png[16:26])
		assert (width, height) == (int(svg.getAttribute('width')), int(svg.getAttribute('height')))
		assert (depth, kind) == (8, 3) and height < 2000
		data, at = b'', 8
		while at < len(png):
		    length, name = struct.unpack('>I4s', png[at:at + 8])
		    assert zlib.crc32(png[at + 4:at + 8 + length]) == \
		        struct.unpack('>I', png[at + 8 + length:at + 12 + length])[0]
		    data += png[at + 8:at + 8 + length] if name == b'IDAT' else b''
		    at += 12 + length
		rows = zlib.decompress(data)
		assert len(rows) == height * (width + 1)
		assert all(rows[y * (width + 1)] == 0 for y in range(height)), 'filtered'
		cells = sum(1 <= byte < 64 for byte in rows)
		assert cells >= (8 + 1) * 25, cells
	PYTHON
	LC_ALL=C ctl diff start second --map -
	expect_text "$out" '8.0 GiB, changed: 2.0 KiB' '^one cell: '
	LC_ALL=C expect_no_text "$out" '[^ -~]'
	LC_ALL=C.UTF-8 ctl diff start second --map -
	expect_text "$out" '8.0 GiB, changed: 2.0 KiB' '░' '^one cell: '
	[ "$(wc -l <"$out")" -lt 100 ]
	run_ctl diff --map "$dir/nothing/map.svg"
	expect_status 1
	for words in '--map map.gif diff' '--map map.svg list' '--json --map map.svg diff'; do
		# shellcheck disable=SC2086 # these are words
		run_ctl $words
		expect_status 2
	done
	detach_and_check
}
