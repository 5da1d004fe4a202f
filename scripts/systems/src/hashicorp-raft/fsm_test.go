package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/raft"
)

func text(s string) *string { return &s }

// applied is the answer to a command at an index of term 4, as a client would read it.
func applied(t *testing.T, v *values, index uint64, c command) string {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(v.Apply(&raft.Log{Index: index, Term: 4, Data: data}))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestCasSwapsOnlyWhatItExpects(t *testing.T) {
	v := newValues()
	for i, step := range []struct {
		command command
		want    string
	}{
		{command{Cas: true, Key: "a", Expect: text("1"), Value: "2"}, `{"revision":null,"swapped":false,"term":null,"value":null}`},
		{command{Cas: true, Key: "a", Value: "1"}, `{"revision":2,"swapped":true,"term":4,"value":null}`},
		{command{Cas: true, Key: "a", Value: "3"}, `{"revision":2,"swapped":false,"term":4,"value":"1"}`},
		{command{Cas: true, Key: "a", Expect: text("9"), Value: "3"}, `{"revision":2,"swapped":false,"term":4,"value":"1"}`},
		{command{Cas: true, Key: "a", Expect: text("1"), Value: ""}, `{"revision":5,"swapped":true,"term":4,"value":"1"}`},
		{command{Cas: true, Key: "a", Expect: text(""), Value: "6"}, `{"revision":6,"swapped":true,"term":4,"value":""}`},
		{command{Key: "a", Value: "7"}, `{"revision":7,"term":4}`},
	} {
		if got := applied(t, v, uint64(i+1), step.command); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

type sink struct{ bytes.Buffer }

func (*sink) ID() string    { return "" }
func (*sink) Cancel() error { return nil }
func (*sink) Close() error  { return nil }

func TestASnapshotHoldsWhatWasThereWhenItWasTaken(t *testing.T) {
	v, restored := newValues(), newValues()
	applied(t, v, 1, command{Key: "a", Value: "1"})
	taken, err := v.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	applied(t, v, 2, command{Key: "a", Value: "2"})
	applied(t, restored, 1, command{Key: "stale", Value: "0"})
	var written sink
	if err := taken.Persist(&written); err != nil {
		t.Fatal(err)
	}
	if err := restored.Restore(io.NopCloser(&written)); err != nil {
		t.Fatal(err)
	}
	if got := restored.get("a"); got == nil || *got != (versioned{"1", 1, 4}) {
		t.Errorf("restored a: %v", got)
	}
	if got := restored.get("stale"); got != nil {
		t.Errorf("what the snapshot lacks is still there: %v", got)
	}
}

// future ends with an error, or never.
type future struct{ ends chan error }

func (f future) Error() error { return <-f.ends }

func TestOnlyWhatNeverReachedTheLogIsDefinite(t *testing.T) {
	n := &node{timeout: 20e6}
	for _, c := range []struct {
		err             error
		word            string
		write, readOnly bool
	}{
		{raft.ErrEnqueueTimeout, "busy", true, true},
		{raft.ErrLeadershipTransferInProgress, "busy", true, true},
		{raft.ErrLeadershipLost, "superseded", false, true},
		{raft.ErrRaftShutdown, "busy", false, true},
		{errors.New("disk full"), "busy", false, true},
		{nil, "timeout", false, true}, // No answer at all.
	} {
		for reads, want := range map[bool]bool{false: c.write, true: c.readOnly} {
			f := future{make(chan error, 1)}
			if c.err != nil {
				f.ends <- c.err
			}
			refused := n.wait(f, reads)
			if refused == nil || refused.body["error"] != c.word || refused.body["definite"] != want {
				t.Errorf("%v, reads %t: %+v", c.err, reads, refused)
			}
		}
	}
}
