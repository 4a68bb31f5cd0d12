# SPDX-License-Identifier: BSD-2-Clause
# Programs that know nothing of the tracer, attached and rolled back while they run.
#
# Each target reads lines and answers them (common.bash), so it waits for the next line whenever a
# test asks for a checkpoint or a rollback. Its answers show whether its state is that of the
# checkpoint.

load common

# start_server COMMAND...: target is its pid, without pipes
start_server()
{
	"$@" >"$dir/server.log" 2>&1 </dev/null 3>&- &
	target=$!
	started+=("$target")
}

@test 'python3: a generator half-way' {
	find_python
	start_target "$python" -I -u -c '
import sys

def squares():
    number, seen = 0, []
    while True:
        number += 1
        seen.append(number ** 2)
        yield sum(seen)

generator = squares()
for line in sys.stdin:
    print(next(generator))
'
	expect_answer next 1
	expect_answer next 5
	go_back next 14 30
}

@test 'python3: a pool of threads' {
	find_python
	start_target "$python" -I -u -c '
import sys, threading
from concurrent.futures import ThreadPoolExecutor

lock, sums = threading.Lock(), {}
barrier = threading.Barrier(7)

def work(n):
    barrier.wait()
    with lock:
        sums[threading.get_ident()] = sums.get(threading.get_ident(), 0) + n

with ThreadPoolExecutor(7) as pool:
    for line in sys.stdin:
        list(pool.map(work, range(7)))
        print(len(sums), sum(sums.values()))
'
	expect_answer go '7 21'
	go_back go '7 42' '7 63'
}

@test 'python3: threads that were made since are ended' {
	find_python
	start_target "$python" -I -u -c '
import sys, threading

stay, count = threading.Event(), 0
for line in sys.stdin:
    for _ in range(3):
        threading.Thread(target=stay.wait, daemon=True).start()
    print(threading.active_count())
'
	expect_answer go 4
	go_back go 7 10
	[ "$(find "/proc/$target/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq 10 ]
}

@test 'bash between two commands' {
	start_target bash --norc -c 'declare -A seen; n=1
		while read -r line; do n=$((n * 2)); seen[$n]=$line; echo "$n ${#seen[@]}"; done'
	expect_answer go '2 1'
	go_back go '4 2' '8 3'
}

@test 'perl' {
	command -v perl >"$out" || skip 'there is no perl'
	start_target perl -e '$| = 1; my %seen; my $text = "";
		while (<STDIN>) { $text .= "x" x 100000; $seen{length $text} = 1;
			print length($text) . " " . keys(%seen) . "\n" }'
	expect_answer go '100000 1'
	go_back go '200000 2' '300000 3'
}

@test 'tcl' {
	command -v tclsh >"$out" || skip 'there is no tclsh'
	printf '%s\n' 'set list {}' 'while {[gets stdin line] >= 0} {' 'lappend list $line' \
		'puts [llength $list]; flush stdout }' >"$dir/program.tcl"
	start_target tclsh "$dir/program.tcl"
	expect_answer go 1
	go_back go 2 3
}

@test 'lua' {
	find_program lua5.4 lua5.4
	start_target "$program" -e 'local list = {}
		for line in io.lines() do list[#list + 1] = line; print(#list); io.flush() end'
	expect_answer go 1
	go_back go 2 3
}

@test 'perl, with the allocators jemalloc and tcmalloc' {
	local library

	command -v perl >"$out" || skip 'there is no perl'
	unpack libjemalloc2 libtcmalloc-minimal4
	for library in "$dir"/packages/usr/lib/*/lib{jemalloc.so.2,tcmalloc_minimal.so.4}; do
		rm -f "$dir/in" "$dir/answers"
		start_target env LD_PRELOAD="$library" perl -e '$| = 1; my %seen; my $text = "";
			while (<STDIN>) { $text .= "x" x 100000; $seen{length $text} = 1;
				print length($text) . " " . keys(%seen) . "\n" }'
		expect_answer go '100000 1'
		grep -q "$library" "/proc/$target/maps"
		go_back go '200000 2' '300000 3'
	done
}

@test 'sqlite3 with a database in memory' {
	command -v sqlite3 >"$out" || skip 'there is no sqlite3'
	start_target stdbuf -oL sqlite3 :memory:
	expect_answer 'CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1); SELECT count(*) FROM t;' 1
	attach
	ctl checkpoint start
	for ((round = 0; round < 23; round++)); do
		expect_answer 'INSERT INTO t SELECT n + 1 FROM t; SELECT count(*) FROM t;' 2
		expect_answer 'INSERT INTO t SELECT n + 1 FROM t; SELECT sum(n) FROM t;' 8
		ctl rollback start
	done
	expect_answer 'PRAGMA integrity_check;' ok
	expect_answer 'SELECT count(*) FROM t;' 1
	detach_and_check
}

@test 'a static program' {
	printf '%s\n' '#include <stdio.h>' '#include <stdlib.h>' 'int main(void) {' \
		'int n = 0; char line[64]; while (fgets(line, 64, stdin)) { char *p = malloc(99999);' \
		'n++; p[9] = 1; printf("%d\n", n); fflush(stdout); } }' >"$dir/program.c"
	cc -static -O2 "$dir/program.c" -o "$dir/program" 2>"$err" || skip 'cc links no static program'
	start_target "$dir/program"
	expect_answer go 1
	go_back go 2 3
}

@test 'a C++ program that throws and catches' {
	command -v c++ >"$out" || skip 'there is no c++'
	cat >"$dir/program.cc" <<-'CC'
		#include <iostream>
		#include <map>
		#include <stdexcept>
		#include <string>

		static std::map<std::string, int> thrown;

		static void descend(int depth)
		{
		    if (!depth)
		        throw std::runtime_error("bottom");
		    descend(depth - 1);
		}

		int main()
		{
		    std::string line;

		    while (std::getline(std::cin, line)) {
		        try {
		            descend(99);
		        } catch (const std::exception &e) {
		            thrown[e.what()]++;
		        }
		        std::cout << thrown["bottom"] << std::endl;
		    }
		}
	CC
	c++ -O2 "$dir/program.cc" -o "$dir/program"
	start_target "$dir/program"
	expect_answer go 1
	go_back go 2 3
}

@test 'a shell in namespaces of its own, but that of PIDs' {
	start_target unshare --mount --uts --ipc --net --cgroup \
		sh -c 'n=0; while read -r line; do n=$((n + 1)); echo "$n"; done'
	expect_answer go 1
	go_back go 2 3
}

@test 'a program that filters its system calls' {
	find_python
	start_target "$python" -I -u -c '
import ctypes, struct, sys

class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

# one instruction: return SECCOMP_RET_ALLOW
program = Program(1, struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
n = 0
for line in sys.stdin:
    n += 1
    print(n)
'
	expect_answer go 1
	go_back go 2 3
}

@test 'node' {
	command -v node >"$out" || skip 'there is no node'
	start_target node -e '
		const lines = require("readline").createInterface({input: process.stdin});
		const list = [];
		lines.on("line", (line) => {
			for (let i = 0; i < 1000; i++) list.push({line, i});
			console.log(list.length);
		});'
	expect_answer go 1000
	go_back go 2000 3000
}

@test 'a Java program' {
	command -v javac >"$out" || skip 'there is no javac'
	cat >"$dir/Lines.java" <<-'JAVA'
		import java.util.*;
		public class Lines {
			public static void main(String[] args) {
				Scanner lines = new Scanner(System.in);
				List<String> list = new ArrayList<>();
				while (lines.hasNextLine()) {
					String line = lines.nextLine();
					for (int i = 0; i < 10000; i++)
						list.add(line + i);
					System.out.println(list.size());
				}
			}
		}
	JAVA
	javac -d "$dir" "$dir/Lines.java" 2>"$err" 3>&-
	start_target java -Xmx64m -cp "$dir" Lines
	expect_answer go 10000
	go_back go 20000 30000
}

# play_client SOCKET: a client of the program behind the socket, which also asks the tracer. The
# text on stdin uses path, connect and control of client.py.
play_client()
{
	cat "$BATS_TEST_DIRNAME/client.py" - |
		timeout "$LIMIT_SECONDS" "$python" -I - "$1" "$dir/$socket" 3>&-
}

set_key()
{
	play_client "$dir/redis.sock" <<-'PYTHON'
		redis, replies = connect(path)
		redis.sendall(b'SET kept later\r\n')
		assert replies.readline() == b'+OK\r\n'
	PYTHON
}

@test 'redis-server: keys set after the checkpoint are gone, the connection still answers' {
	find_program redis-server redis-server
	find_python
	start_server "$program" --port 0 --unixsocket "$dir/redis.sock" --save '' --daemonize no \
		--dir "$dir"
	wait_until redis-server test -S "$dir/redis.sock"
	attach
	play_client "$dir/redis.sock" <<-'PYTHON'
		redis, replies = connect(path)

		def ask(*words):
		    redis.sendall(b'*%d\r\n' % len(words) +
		                  b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
		    reply = replies.readline().strip()
		    if reply.startswith(b'$') and reply != b'$-1':
		        reply = replies.readline().strip()
		    return reply

		assert ask(b'SET', b'kept', b'before') == b'+OK'
		control('checkpoint start')
		for i in range(1000):
		    assert ask(b'SET', b'new%d' % i, b'x' * 10000) == b'+OK'
		    assert ask(b'SET', b'kept', b'after') == b'+OK'
		    assert ask(b'DBSIZE') == b':2', ask(b'DBSIZE')
		    control('rollback start')
		    assert ask(b'GET', b'new%d' % i) == b'$-1'
		    assert ask(b'GET', b'kept') == b'before'
	PYTHON
	come_back_whole set_key
	detach_and_check
}

get_page()
{
	play_client "$dir/nginx.sock" <<-'PYTHON'
		s, reply = connect(path)
		s.sendall(b'GET / HTTP/1.0\r\n\r\n')
		assert reply.read().endswith(b'hello\n')
	PYTHON
}

@test 'an nginx worker answers clients that come again and again' {
	find_program nginx nginx
	find_python
	mkdir "$dir/logs" "$dir/html"
	echo hello >"$dir/html/index.html"
	printf '%s\n' 'daemon off; master_process off; pid nginx.pid; error_log error.log;' \
		'events { worker_connections 64; }' "http { access_log off;" \
		'client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t;' \
		'uwsgi_temp_path t; scgi_temp_path t;' \
		"server { listen unix:$dir/nginx.sock; root $dir/html; } }" >"$dir/nginx.conf"
	start_server "$program" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
	wait_until nginx test -S "$dir/nginx.sock"
	attach
	play_client "$dir/nginx.sock" <<-'PYTHON'
		def get():
		    s, reply = connect(path)
		    s.sendall(b'GET / HTTP/1.0\r\n\r\n')
		    assert reply.read().endswith(b'hello\n')
		    reply.close()
		    s.close()

		get()
		control('checkpoint start')
		for i in range(100):
		    for _ in range(7):
		        get()
		    control('rollback start')
	PYTHON
	come_back_whole get_page
	detach_and_check
}

set_value()
{
	play_client "$dir/memcached.sock" <<-'PYTHON'
		cache, replies = connect(path)
		cache.sendall(b'set kept0 0 0 5\r\nlater\r\n')
		assert replies.readline() == b'STORED\r\n'
	PYTHON
}

@test 'memcached with its threads' {
	find_program memcached memcached
	find_python
	start_server "$program" -s "$dir/memcached.sock" -t 4 -u root -m 64
	wait_until memcached test -S "$dir/memcached.sock"
	attach
	play_client "$dir/memcached.sock" <<-'PYTHON'
		caches = [connect(path) for _ in range(7)]

		def store(cache, key, value):
		    cache[0].sendall(b'set %s 0 0 %d\r\n%s\r\n' % (key, len(value), value))
		    assert cache[1].readline() == b'STORED\r\n'

		def fetch(cache, key):
		    cache[0].sendall(b'get %s\r\n' % key)
		    line = cache[1].readline()
		    if line == b'END\r\n':
		        return None
		    value = cache[1].readline().strip()
		    assert cache[1].readline() == b'END\r\n'
		    return value

		for n, cache in enumerate(caches):
		    store(cache, b'kept%d' % n, b'before')
		control('checkpoint start')
		for i in range(100):
		    for n, cache in enumerate(caches):
		        store(cache, b'new%d' % n, b'x' * 1000)
		        store(cache, b'kept%d' % n, b'after')
		    control('rollback start')
		    for n, cache in enumerate(caches):
		        assert fetch(cache, b'new%d' % n) is None
		        assert fetch(cache, b'kept%d' % n) == b'before'
	PYTHON
	come_back_whole set_value
	detach_and_check
}
