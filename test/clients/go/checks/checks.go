// Package checks is what the programs beside it share: a check of an error, and a bounded wait for a condition of the broker.
package checks

import (
	"fmt"
	"os"
	"time"
)

// Check ends the program when there is an error.
func Check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

// Eventually waits until the condition holds, for at most a minute.
func Eventually(condition func() bool, what string) {
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			Check(fmt.Errorf("never"), what)
		}
	}
}
