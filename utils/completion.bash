# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Completion in bash for all programs of this project. Options are those that a program's --help
# names, so there is no list to keep in step.

# words WORD...: those that begin like the word at the cursor. After --OPTION= that is "=".
_tracer_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "${COMP_WORDS[COMP_CWORD]#=}")
}

# options COMMAND...: the long options that COMMAND --help names
_tracer_options()
{
	_tracer_words "$("$@" --help 2>/dev/null | grep -o -E '^ +(-., )*--[a-z][a-z-]*' |
		grep -o -E -e '--.*' | sort -u)"
}

# The values that an option takes, if they are known.
_tracer_values()
{
	case $1 in
	-e | --engine) _tracer_words auto chunk slab page ;;
	--regions) _tracer_words mmap heap bss data stack ;;
	--restore-path) _tracer_words auto bpf process_vm ;;
	--restore) _tracer_words diff all ;;
	--dirty) _tracer_words auto faults scan soft compare ;;
	-x | --explain) _tracer_words all foreign inside double-free overflow underflow write-after-free \
		no-memory interrupted ;;
	--case) _tracer_words "$("${COMP_WORDS[0]}" --list 2>/dev/null | awk '{ print $1 }') all" ;;
	-u | --user) mapfile -t COMPREPLY < <(compgen -u -- "$2") ;;
	-p | --pid) _tracer_words "$(cd /proc && echo [0-9]*)" ;;
	*) return 1 ;;
	esac
}

# tracer ctl PID COMMAND [NAME]
_tracer_ctl()
{
	local word words=() i

	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--control-socket) i=$((i + 1)) ;;
		-*) ;;
		*) words+=("$word") ;;
		esac
	done
	case ${#words[@]} in
	0) _tracer_words "$(find /run/tracer "${XDG_RUNTIME_DIR:-/run}/tracer" -name '*.sock' -printf '%f\n' 2>/dev/null |
		sed 's/\.sock$//' | sort -u)" ;;
	1) _tracer_words checkpoint rollback list delete diff save status detach ;;
	2)
		case ${words[1]} in
		rollback | delete | diff)
			_tracer_words "$("${COMP_WORDS[0]}" ctl "${words[0]}" list 2>/dev/null |
				awk 'NR > 1 { print $1 }')"
			;;
		save) mapfile -t COMPREPLY < <(compgen -f -- "$at") ;;
		esac
		;;
	3)
		case ${words[1]} in
		diff | save)
			_tracer_words "$("${COMP_WORDS[0]}" ctl "${words[0]}" list 2>/dev/null |
				awk 'NR > 1 { print $1 }')"
			;;
		esac
		;;
	esac
}

_tracer()
{
	local at=${COMP_WORDS[COMP_CWORD]#=} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=("${COMP_WORDS[0]}")

	COMPREPLY=()
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]} # bash makes --OPTION=x three words
	! _tracer_values "$before" "$at" || return 0
	case ${COMP_WORDS[0]##*/}:${COMP_WORDS[1]} in
	tracer:ctl | tracer:check) [ "$COMP_CWORD" -eq 1 ] || command+=("${COMP_WORDS[1]}") ;;
	esac
	case $at in
	-*) _tracer_options "${command[@]}" ;;
	*)
		case ${command[1]:-} in
		ctl) _tracer_ctl ;;
		check) ;;
		*)
			mapfile -t COMPREPLY < <(compgen -f -- "$at")
			[ "${COMP_WORDS[0]##*/}" != tracer ] || [ "$COMP_CWORD" -ne 1 ] ||
				mapfile -t COMPREPLY < <(compgen -W 'ctl check' -- "$at"
					compgen -c -- "$at")
			;;
		esac
		;;
	esac
}

complete -o filenames -F _tracer tracer testcase slabsim restart readckpt
