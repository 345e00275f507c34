// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestOracle answers cases, one a line of JSON, until its standard input ends. It is a test because notation-go reads
// the clock, and Go lets tests alone set it: the time in a bubble of testing/synctest begins with the year 2000, and a
// sleep in it takes no time.
func TestOracle(t *testing.T) {
	stores := NewStores(t.TempDir())
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil {
			t.Fatalf("cannot read a case: %v", err)
		}
		var c Case
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("cannot understand a case: %v", err)
		}
		folder, err := stores.Folder(c.Stores)
		if err != nil {
			t.Fatalf("case %d: %v", c.ID, err)
		}
		var opinion Opinion
		synctest.Test(t, func(t *testing.T) {
			wait := time.Until(c.Now)
			if wait < 0 {
				t.Fatalf("case %d: the time is before that of the bubble, %v", c.ID, time.Now())
			}
			time.Sleep(wait)
			opinion = Judge(&c, folder)
		})
		text, err := json.Marshal(opinion)
		if err != nil {
			t.Fatalf("case %d: %v", c.ID, err)
		}
		if _, err := out.Write(append(text, '\n')); err != nil {
			t.Fatalf("cannot write an opinion: %v", err)
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				t.Fatalf("cannot write opinions: %v", err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatalf("cannot write opinions: %v", err)
	}
}
