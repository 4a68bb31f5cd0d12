# SPDX-License-Identifier: BSD-2-Clause
# Goes back by itself, from Tcl: run it with "tracer tclsh rollback.tcl". See docs/protocol.md.
set folder $env(TRACER_CONTROL_DIR)

# Asks for a checkpoint or a rollback. Returns which of them has brought us here.
proc ask {what} {
	global folder
	set request $folder/ready_to_$what
	close [open $request w]
	while {1} {
		set is_asked [file exists $request]
		foreach answer {rollback checkpoint} {
			if {![file exists $folder/${answer}_complete]} continue
			file delete $folder/${answer}_complete
			if {$answer eq "checkpoint"} { file delete $request }
			return $answer
		}
		if {!$is_asked} { error "the tracer could not do it" }
	}
}

proc sum {list} { return [tcl::mathop::+ {*}$list] }

set numbers {}
for {set n 0} {$n < 1000} {incr n} { lappend numbers $n }
if {[ask checkpoint] eq "checkpoint"} {
	set numbers [lmap n $numbers { expr {$n * $n} }]
	puts "try [sum $numbers]"
	flush stdout
	ask rollback
}
puts "back [sum $numbers]"
