#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs one command as root in a virtual machine with a Debian kernel, and ends with the command's
# exit status. The command sees the files of this host, and starts in this source tree. Emulation
# only: it needs no /dev/kvm and works wherever qemu does. Always holds: nothing that the command
# writes reaches the host, for files are shared read-only, below a tmpfs; and a machine that dies is
# no success, for the status file begins as a failure and is written last.

set -euo pipefail

usage()
{
	cat <<-'END'
	Usage: run.sh --kernel 6.1|6.12 [OPTIONS] [--] COMMAND [ARG...]

	Run COMMAND as root in a virtual machine with this Debian kernel, in this source tree.

	  --kernel 6.1|6.12   the kernel series; fetched when it is used for the first time
	  --timeout SECONDS   give up when the machine has said nothing for so long (default 1200),
	                      or after twenty times as long in all
	  --memory MIB        memory of the machine (default 1024)
	  --cpus N            processors of the machine, emulated by one thread (default 1)
	  --parallel          emulate each processor in a thread of its own. For measurements only:
	                      kernels have been seen to panic that way
	  --swap MIB          give it a swap disk of this size (default none)
	  --env NAME=VALUE    set a variable for COMMAND (may be repeated)
	  --results DIR       copy the files that COMMAND leaves in results/ to DIR
	  --keep              keep the directory with the machine's logs, and print its name
	  -h, --help          print this text

	Exit status: COMMAND's own; 124 it hung; 125 the machine failed, or its kernel
	reported a bug, or it could not be started; 126 COMMAND cannot be run; 127 COMMAND not found;
	2 wrong usage.
	END
}

# die STATUS MESSAGE
die()
{
	printf 'run.sh: %s\n' "$2" >&2
	exit "$1"
}

# number OPTION TEXT: a whole number, without a sign or leading zeros
number()
{
	[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die 2 "$1 takes a whole number above 0, not '$2'"
}

# quote TEXT: as a word of sh
quote()
{
	local replacement="'\\''"

	printf "'%s'" "${1//\'/"$replacement"}"
}

# qemu_path PATH: as the value of a qemu option, which a comma would end
qemu_path()
{
	printf '%s' "${1//,/,,}"
}

kernel=
timeout=1200
memory=1024
cpus=1
threads=single
swap=
results=
keep=
environment=()
while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --timeout | --memory | --cpus | --swap | --env | --results)
		[ $# -ge 2 ] || die 2 "$1 needs a value"
		;;
	esac
	case $1 in
	--kernel) kernel=$2; shift ;;
	--timeout) number "$1" "$2"; timeout=$2; shift ;;
	--memory) number "$1" "$2"; memory=$2; shift ;;
	--cpus) number "$1" "$2"; cpus=$2; shift ;;
	--swap) number "$1" "$2"; swap=$2; shift ;;
	--env)
		[[ $2 =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || die 2 "--env takes NAME=VALUE, not '$2'"
		environment+=("$2")
		shift
		;;
	--results)
		[ -n "$2" ] || die 2 '--results needs a directory'
		results=$2
		shift
		;;
	--parallel) threads=multi ;;
	--keep) keep=1 ;;
	-h | --help) usage; exit 0 ;;
	--) shift; break ;;
	-*) die 2 "unknown option '$1'; --help lists them" ;;
	*) break ;;
	esac
	shift
done
case $kernel in
6.1 | 6.12) ;;
'') die 2 'no --kernel given: 6.1 or 6.12' ;;
*) die 2 "unknown kernel '$kernel': 6.1 or 6.12" ;;
esac
[ $# -gt 0 ] || die 2 'no command given; --help shows the usage'

packages='qemu-system-x86 busybox-static util-linux'
for tool in qemu-system-x86_64 busybox setpriv; do
	command -v "$tool" >/dev/null || die 125 "$tool not found: install the packages $packages"
done
busybox=$(command -v busybox)
# init runs before there is a C library.
if ldd "$busybox" >/dev/null 2>&1; then
	die 125 "$busybox is not a static program: install the package busybox-static"
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(cd "$here/../.." && pwd -P)
if [ -n "$results" ]; then
	mkdir -p "$results" || die 125 "cannot make the directory $results"
	results=$(cd "$results" && pwd -P)
fi

qemu_pid=
work=$(mktemp -d "${TMPDIR:-/tmp}/tracer-vm.XXXXXX")
work=$(cd "$work" && pwd -P)
# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup()
{
	trap '' INT TERM HUP
	[ -z "$qemu_pid" ] || kill -KILL "$qemu_pid" 2>/dev/null || true
	[ -z "$qemu_pid" ] || wait "$qemu_pid" 2>/dev/null || true
	if [ -n "$keep" ]; then
		printf 'run.sh: logs kept in %s\n' "$work" >&2
	else
		rm -rf "$work"
	fi
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

kernel_dir=$("$here/fetch.sh" "$kernel") || die 125 "no $kernel kernel to run"
release=$(basename "$kernel_dir"/lib/modules/*)

# The control share: the command goes in; status, kernel log and results come out.
control=$work/control
mkdir "$control"
echo none >"$control/status"
{
	printf 'tree=%s\n' "$(quote "$tree")"
	printf 'kernel_series=%s\n' "$kernel"
	printf 'swap=%s\n' "${swap:+1}"
	printf 'results=%s\n' "${results:+1}"
} >"$control/config"
{
	printf 'cd %s || exit 125\n' "$(quote "$tree")"
	for variable in "${environment[@]}"; do
		printf 'export %s=%s\n' "${variable%%=*}" "$(quote "${variable#*=}")"
	done
	printf 'exec'
	for word in "$@"; do
		printf ' %s' "$(quote "$word")"
	done
	printf '\n'
} >"$control/command"

# Each module comes after those that it needs. One that is built in, or is part of
# another (fscache of netfs since 6.8), is not found and left out. If it was needed
# after all, init stops at the mount.
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_console
	netfs fscache 9pnet 9pnet_virtio 9p overlay ${swap:+virtio_blk})
mkdir -p "$work/initramfs/bin" "$work/initramfs/modules"
cp "$busybox" "$work/initramfs/bin/busybox"
cp "$here/init" "$work/initramfs/init"
chmod 755 "$work/initramfs/init"
index=10
for module in "${modules[@]}"; do
	file=$(find "$kernel_dir/lib/modules" -name "$module.ko" -o -name "$module.ko.xz")
	index=$((index + 1))
	case $file in
	*.ko) cp "$file" "$work/initramfs/modules/$index-$module.ko" ;;
	*.ko.xz) busybox xzcat "$file" >"$work/initramfs/modules/$index-$module.ko" ;;
	esac
done
(cd "$work/initramfs" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs.cpio"
rm -rf "$work/initramfs"

# The kernel's reports of bugs, which fail a run. Only the start of a message counts: "Spectre V2 :
# WARNING: ..." and "[Firmware Bug]: ..." are part of a normal boot.
splats='^(\[[ 0-9.]+\] )?(\[ *[TC][0-9]+\] )?(-+\[ cut here|WARNING: |'
splats+='(watchdog: )?BUG: |kernel BUG|Oops: |general protection fault[,:]|'
splats+='Kernel panic|Call Trace:|UBSAN: |(rcu: )?INFO: .*(stall|starved)|'
splats+='INFO: task .* blocked for)'

# Shows the first such report; false if there is none. Both logs are searched: the kernel log is
# lost when the machine dies, and a command can silence the console.
kernel_bug()
{
	local log line

	for log in "$control/dmesg" "$work/console.log"; do
		[ -e "$log" ] || continue
		tr -d '\r' <"$log" >"$work/log"
		line=$(grep -anE -m 1 "$splats" "$work/log") || continue
		printf 'run.sh: %s: the kernel reported a bug:\n' "$release" >&2
		tail -n "+${line%%:*}" "$work/log" | head -n 60 >&2
		return 0
	done
	return 1
}

# console_tail MESSAGE
console_tail()
{
	printf 'run.sh: %s: %s; the console says:\n' "$release" "$1" >&2
	if [ -e "$work/console.log" ]; then
		tail -n 30 "$work/console.log" | tr -d '\r' >&2
	fi
}

# share TAG PATH [OPTION]: adds a 9p share to the qemu arguments. Shares of several file systems
# need multidevs=remap, or their inode numbers clash.
share()
{
	qemu+=(-virtfs "local,path=$(qemu_path "$2"),mount_tag=$1,security_model=none${3:-}")
}

# panic=-1 with -no-reboot ends a VM that panics at once. no_timer_check: the check fails at times
# on a busy host, where the emulated clock is late. The kernel takes a busy host for a stall of its
# own, so it waits longer before it reports one.
# shellcheck disable=SC2054 # the commas are qemu's
qemu=(qemu-system-x86_64 -accel "tcg,thread=$threads" -cpu max -m "$memory" -smp "$cpus"
	-nodefaults -no-user-config -no-reboot -display none -vga none -nic none
	-kernel "$kernel_dir/boot/vmlinuz-$release" -initrd "$work/initramfs.cpio"
	-append 'console=ttyS0 loglevel=5 log_buf_len=4M panic=-1 oops=panic no_timer_check
mitigations=off random.trust_cpu=on rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60
sysctl.kernel.hung_task_timeout_secs=1000'
	-chardev "file,id=console,path=$(qemu_path "$work/console.log")" -serial chardev:console
	-chardev file,id=output,path=/proc/self/fd/3
	-device virtio-serial-pci -device virtserialport,chardev=output,name=output)
share control "$control"
share kernel "$kernel_dir" ,readonly=on,multidevs=remap
share root / ,readonly=on,multidevs=remap
share tree "$tree" ,readonly=on,multidevs=remap
if [ -n "$swap" ]; then
	truncate -s "${swap}M" "$work/swap"
	qemu+=(-drive "file=$(qemu_path "$work/swap"),if=virtio,format=raw,cache=unsafe")
fi

# qemu truncates the file that it opens, so it gets a pipe: stdout may be a file. setpriv lets the
# kernel end qemu when this script is killed.
exec 3> >(exec tee "$work/output")
pump_pid=$!
setpriv --pdeathsig KILL -- "${qemu[@]}" </dev/null >"$work/qemu.log" 2>&1 &
qemu_pid=$!
exec 3>&-

# A machine that goes on is never too slow: seconds count only while it says nothing.
seconds=0 quiet=0 before=
while kill -0 "$qemu_pid" 2>/dev/null && ((quiet < timeout && seconds < 20 * timeout)); do
	sleep 1 &
	wait -n "$qemu_pid" $! || true
	seconds=$((seconds + 1)) quiet=$((quiet + 1))
	now=$(stat -c %s "$work/console.log" "$work/output" 2>/dev/null || true)
	[ "$now" = "$before" ] || quiet=0
	before=$now
done
if kill -0 "$qemu_pid" 2>/dev/null; then
	kill -KILL "$qemu_pid" 2>/dev/null || true
	wait "$qemu_pid" 2>/dev/null || true
	qemu_pid=
	wait "$pump_pid" || true
	kernel_bug || true
	console_tail "nothing new for $quiet seconds, no end after $seconds"
	exit 124
fi
qemu_pid=
wait "$pump_pid" || true

if [ -n "$results" ] && [ -d "$control/results" ]; then
	cp -r "$control/results/." "$results/" || die 125 "cannot copy the results to $results"
fi

if kernel_bug; then
	exit 125
fi

status=$(cat "$control/status")
if ! [[ $status =~ ^[0-9]+$ ]]; then
	cat "$work/qemu.log" >&2
	console_tail 'the machine ended before the command did'
	exit 125
fi

# In case the report was lost: the taint bits for bad page, oops, warning, soft lockup.
if (($(cat "$control/tainted") & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))); then
	die 125 "$release: the kernel is tainted by a bug, but its log does not say which"
fi
exit "$status"
