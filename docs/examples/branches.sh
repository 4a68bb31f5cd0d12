#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# branches.sh: tries three branches of a computation from one checkpoint. The computation is any
# program; here it is a shell that adds up what it is told, and knows nothing of the tracer. Run it
# as root in the top folder: docs/examples/branches.sh
set -eu

tracer=${TRACER:-build/tracer}
folder=$(mktemp -d)
mkfifo "$folder/steps" "$folder/sums"
exec 3<>"$folder/steps" 4<>"$folder/sums"
sh -c 'sum=0; while read -r step; do sum=$((sum + step)); echo "$sum"; done' <&3 >&4 &
computation=$!
trap 'kill "$computation"; rm -r "$folder"' EXIT

# compute STEP: the sum after one more step
compute()
{
	echo "$1" >&3
	read -r sum <&4
}

compute 1000 # which may have taken hours
echo "at the checkpoint: $sum"

"$tracer" -q -p "$computation" &
until "$tracer" ctl "$computation" checkpoint fork 2>"$folder/not-yet"; do
	sleep 0.1
done
for step in 1 20 300; do
	compute "$step"
	echo "branch $step: $sum"
	"$tracer" ctl "$computation" rollback fork
done
compute 0
echo "at the end: $sum"
"$tracer" ctl "$computation" detach
