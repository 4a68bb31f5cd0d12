# SPDX-License-Identifier: BSD-2-Clause
# Programs in Go: one that asks for its own rollback, and one that knows nothing of the tracer.

load common

# A machine without Go gets what a build needs of its packages.
setup_file()
{
	local packages=$BATS_FILE_TMPDIR/packages package

	if command -v go >"$BATS_FILE_TMPDIR/which"; then
		return
	fi
	mkdir "$packages"
	cd "$packages" || return 1
	timeout 100 apt-get download golang-1.19-go golang-1.19-src >apt 2>&1 ||
		skip "no Go: $(tail -n 1 apt)"
	for package in *.deb; do
		dpkg --fsys-tarfile "$package" | tar -x --exclude='*_test.go' --exclude=testdata \
			--exclude='./usr/share/go-1.19/test' --exclude='./usr/share/go-1.19/src/cmd'
		rm "$package"
	done
	export GOROOT=$packages/usr/lib/go-1.19
	export PATH=$GOROOT/bin:$PATH
}

# build SOURCE: $dir/program
build()
{
	HOME=$dir GO111MODULE=off run_limited go build -o "$dir/program" "$1"
	expect_status 0
}

@test 'it asks for its own rollback' {
	build "$TREE/docs/examples/rollback.go"
	goes_back "$dir/program"
}

@test 'goroutines on small stacks, preempted by signals' {
	cat >"$dir/lines.go" <<-'GO'
		package main

		import (
			"bufio"
			"fmt"
			"os"
			"sync"
		)

		func depth(n int) int {
			if n == 0 {
				return 0
			}
			return 1 + depth(n-1)
		}

		// Computes without a call, so that only a signal preempts it.
		func spin(stop *bool, lock *sync.Mutex) {
			for n := uint64(1); ; {
				for i := 0; i < 1000000; i++ {
					n = n*6364136223846793005 + 1442695040888963407
				}
				lock.Lock()
				if *stop {
					fmt.Println(n)
				}
				lock.Unlock()
			}
		}

		func main() {
			var lock sync.Mutex
			var stop bool
			total := 0
			requests, sums := make(chan int), make(chan int)
			go spin(&stop, &lock)
			for i := 0; i < 100; i++ {
				go func() {
					for n := range requests {
						sums <- depth(n)
					}
				}()
			}
			lines := bufio.NewScanner(os.Stdin)
			for lines.Scan() {
				for i := 0; i < 100; i++ {
					go func(i int) { requests <- i * 10 }(i)
				}
				for i := 0; i < 100; i++ {
					total += <-sums
				}
				fmt.Println(total)
			}
		}
	GO
	build lines.go
	start_target "$dir/program"
	expect_answer go 49500
	expect_answer go 99000
	go_back go 148500 198000
	save_and_bring_back go 247500 297000
}
