# SPDX-License-Identifier: BSD-2-Clause
# Descriptors that were opened or closed since the checkpoint.

load common

# a target whose lines change its files: "open PATH" and "socket" answer with a descriptor, "stat N"
# with a size; "close N", "move FROM TO"
start_opener()
{
	find_python
	start_target "$python" -I -u -c '
import os, socket, sys
os.closerange(3, 1000)
for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "open":
            print(os.open(words[1], os.O_RDWR | os.O_CREAT))
        elif words[0] == "socket":
            print(socket.socketpair()[0].detach())
        elif words[0] == "close":
            os.close(int(words[1]))
            print("closed")
        elif words[0] == "move":
            os.dup2(int(words[1]), int(words[2]))
            print("moved")
        elif words[0] == "stat":
            print(os.fstat(int(words[1])).st_size)
    except OSError as e:
        print(e.strerror)
'
	expect_answer 'open kept' 3
	expect_answer 'open other' 4
}

files()
{
	ls "/proc/$target/fd" | paste -sd' '
}

@test 'what was opened and closed since is named once, in one line' {
	start_opener
	attach
	ctl checkpoint
	ctl rollback
	[ ! -s "$dir/ctl.err" ]
	expect_answer 'open new' 5
	expect_answer 'close 3' closed
	ctl rollback
	[ "$(wc -l <"$dir/ctl.err")" -eq 1 ]
	expect_text "$dir/ctl.err" 'warning: ' "5 opened ($dir/new)" ', 3 closed$'
	expect_answer 'stat 5' 0
	ctl --json rollback
	expect_text "$out" '"files":\[{"fd":5,"state":"opened","name":"/.*/new"},{"fd":3,"state":"closed"}\]'
	detach_and_check
}

@test '--close-new-fds closes what is new, and nothing else' {
	start_opener
	attach
	ctl checkpoint
	before=$(files)
	for round in 1 2 3; do
		expect_answer 'open new' 5
		expect_answer 'open other' 6
		expect_answer socket 7
		ctl rollback --close-new-fds
		[ "$(files)" = "$before" ]
		expect_text "$dir/ctl.err" '^tracer ctl: closed by the rollback: 5, 6, 7$'
		[ "$(wc -l <"$dir/ctl.err")" -eq 1 ]
		expect_answer 'stat 5' 'Bad file descriptor'
	done
	expect_answer 'stat 3' 0
	mv "$dir/kept" "$dir/renamed"
	rm "$dir/other"
	ctl rollback --close-new-fds
	expect_answer 'stat 3' 0
	expect_answer 'stat 4' 0
	run_ctl --close-new-fds list
	expect_status 2
	detach_and_check
}

@test 'a number that is another file now is closed as well' {
	start_opener
	attach
	ctl checkpoint
	expect_answer 'open new' 5
	expect_answer 'move 5 3' moved
	ctl rollback
	expect_text "$dir/ctl.err" "3 opened ($dir/new), 5 opened ($dir/new), 3 closed$"
	ctl rollback --close-new-fds
	expect_text "$dir/ctl.err" ': 3 closed$'
	expect_answer 'stat 3' 'Bad file descriptor'
	expect_answer 'stat 5' 'Bad file descriptor'
	detach_and_check
}

@test 'a rollback that is refused closes nothing' {
	start_opener
	attach
	ctl checkpoint
	expect_answer 'open new' 5
	run_ctl rollback --close-new-fds nothing
	expect_status 1
	expect_answer 'stat 5' 0
	: >"$err"
	detach_and_check
	TRACER_FAULT=rollback:fail attach
	ctl checkpoint
	expect_answer 'open new' 6
	run_ctl rollback --close-new-fds
	expect_status 1
	expect_answer 'stat 6' 0
	ctl rollback --close-new-fds
	expect_answer 'stat 6' 'Bad file descriptor'
	detach_and_check
}
