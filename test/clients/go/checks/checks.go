// Package checks is what the programs beside it share: a check of an error, a bounded wait for a condition of the broker, and the values that consumers read.
package checks

import (
	"fmt"
	"os"
	"sync"
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

// Values are those that a consumer read. Its zero value is ready to use, by several goroutines.
type Values struct {
	mutex sync.Mutex
	read  map[string]bool
}

// Add enters a value.
func (v *Values) Add(value []byte) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if v.read == nil {
		v.read = map[string]bool{}
	}
	v.read[string(value)] = true
}

// Distinct counts the values that at least one of the consumers read.
func Distinct(consumers ...*Values) int {
	all := map[string]bool{}
	for _, v := range consumers {
		v.mutex.Lock()
		for value := range v.read {
			all[value] = true
		}
		v.mutex.Unlock()
	}
	return len(all)
}
