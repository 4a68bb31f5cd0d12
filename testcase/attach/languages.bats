# SPDX-License-Identifier: BSD-2-Clause
# Programs in many languages that ask for their own rollback by files: docs/examples/rollback.*. A
# language that is not on the machine is unpacked from its packages.

load common

EXAMPLES=$TREE/docs/examples

@test 'C, with the client library' {
	command -v cc >"$out" || skip 'there is no cc'
	cc -Wall -Werror -O2 -I"$TREE/utils" "$EXAMPLES/rollback.c" "$BUILD/client.o" -o "$dir/rollback"
	goes_back "$dir/rollback"
}

@test 'python' {
	find_python
	goes_back "$python" "$EXAMPLES/rollback.py"
}

@test 'perl' {
	find_program perl perl
	goes_back "$program" "$EXAMPLES/rollback.pl"
}

@test 'tcl' {
	command -v tclsh >"$out" || skip 'there is no tclsh'
	goes_back tclsh "$EXAMPLES/rollback.tcl"
}

@test 'javascript: node' {
	command -v node >"$out" || skip 'there is no node'
	goes_back node "$EXAMPLES/rollback.js"
}

@test 'java' {
	command -v java >"$out" || skip 'there is no java'
	goes_back java -Xmx64m "$EXAMPLES/Rollback.java"
}

@test 'ruby' {
	find_program ruby3.1 ruby3.1
	goes_back "$program" --disable=gems "$EXAMPLES/rollback.rb"
}

@test 'php' {
	find_program php8.2 php8.2-cli
	goes_back "$program" -n "$EXAMPLES/rollback.php"
}

@test 'a rollback without a checkpoint for it is refused' {
	find_python
	cat >"$dir/wrong.py" <<-'PY'
		import os, sys
		folder = os.environ["TRACER_CONTROL_DIR"]
		request = folder + "/ready_to_rollback"
		open(request, "w").close()
		while os.path.lexists(request):
		    pass
		print(os.listdir(folder))
	PY
	trace "$python" "$dir/wrong.py"
	expect_status 125
	[ "$(cat "$out")" = '[]' ]
	expect_text "$err" 'there is no checkpoint to roll back to; look for rollback_complete first'
}

@test 'many rollbacks to one checkpoint, with threads that come and go' {
	find_python
	cat >"$dir/many.py" <<-'PY'
		import os, sys, threading
		sys.argv = ["rollback.py"]
		folder = os.environ["TRACER_CONTROL_DIR"]
		source = open(os.environ["EXAMPLE"]).read().split("numbers =")[0]
		exec(source)
		stay = threading.Event()
		threading.Thread(target=stay.wait, daemon=True).start()
		state = []
		ask("checkpoint")
		assert state == [] and threading.active_count() == 2
		with open(folder + "/../tries", "a") as tries:
		    tries.write("x")
		if os.path.getsize(folder + "/../tries") < 23:
		    state.append([0] * 100000)
		    threading.Thread(target=stay.wait, daemon=True).start()
		    ask("rollback")
		print("tries", os.path.getsize(folder + "/../tries"))
	PY
	EXAMPLE=$EXAMPLES/rollback.py trace "$python" "$dir/many.py"
	expect_status 0
	[ "$(cat "$out")" = 'tries 23' ]
	[ "$(grep -c ',rollback,auto,.*,ok,' "$csv")" -eq 22 ]
}
