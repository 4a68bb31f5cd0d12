// SPDX-License-Identifier: BSD-2-Clause
// Goes back by itself, from Go: "go build rollback.go", then "tracer ./rollback". See
// docs/protocol.md.
package main

import (
	"fmt"
	"os"
	"syscall"
)

// Asks for a checkpoint or a rollback. Returns which of them has brought us here.
func ask(what string) string {
	folder := os.Getenv("TRACER_CONTROL_DIR")
	request := folder + "/ready_to_" + what
	file, err := os.Create(request)
	if err != nil {
		panic(err)
	}
	file.Close()
	for {
		_, gone := os.Lstat(request)
		for _, answer := range []string{"rollback", "checkpoint"} {
			complete := folder + "/" + answer + "_complete"
			if syscall.Access(complete, 0) != nil { // os.Stat would be no poll
				continue
			}
			os.Remove(complete)
			if answer == "checkpoint" {
				os.Remove(request)
			}
			return answer
		}
		if gone != nil {
			panic("the tracer could not do it")
		}
	}
}

func sum(numbers []int) (sum int) {
	for _, n := range numbers {
		sum += n
	}
	return
}

func main() {
	numbers := make([]int, 1000)
	for n := range numbers {
		numbers[n] = n
	}
	if ask("checkpoint") == "checkpoint" {
		for n := range numbers {
			numbers[n] *= n
		}
		fmt.Println("try", sum(numbers))
		ask("rollback")
	}
	fmt.Println("back", sum(numbers))
}
