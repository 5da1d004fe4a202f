package main

import (
	"encoding/json"
	"io"
	"maps"
	"sync"

	"github.com/hashicorp/raft"
)

// command is one entry of the log. Expect nil with Cas: only if there is no such key.
type command struct {
	Cas    bool    `json:"cas,omitempty"`
	Key    string  `json:"key"`
	Expect *string `json:"expect,omitempty"`
	Value  string  `json:"value"`
}

// versioned is a value, and the index and term of the entry that wrote it.
type versioned struct {
	Value    string `json:"value"`
	Revision uint64 `json:"revision"`
	Term     uint64 `json:"term"`
}

// values is the replicated map. The library calls Apply in the order of the log, on every node alike.
type values struct {
	lock  sync.RWMutex
	byKey map[string]versioned
}

func newValues() *values { return &values{byKey: map[string]versioned{}} }

func (v *values) get(key string) *versioned {
	v.lock.RLock()
	defer v.lock.RUnlock()
	if found, ok := v.byKey[key]; ok {
		return &found
	}
	return nil
}

// Apply executes an entry and returns the answer for the client that proposed it.
func (v *values) Apply(entry *raft.Log) any {
	var command command
	if err := json.Unmarshal(entry.Data, &command); err != nil {
		panic("an entry that this program did not write: " + err.Error())
	}
	v.lock.Lock()
	defer v.lock.Unlock()
	before, exists := v.byKey[command.Key]
	after := versioned{command.Value, entry.Index, entry.Term}
	if !command.Cas {
		v.byKey[command.Key] = after
		return map[string]any{"revision": after.Revision, "term": after.Term}
	}
	swapped := exists == (command.Expect != nil) && (!exists || before.Value == *command.Expect)
	answer := map[string]any{"swapped": swapped, "value": nil, "revision": nil, "term": nil}
	if exists {
		answer["value"], answer["revision"], answer["term"] = before.Value, before.Revision, before.Term
	}
	if swapped {
		v.byKey[command.Key] = after
		answer["revision"], answer["term"] = after.Revision, after.Term
	}
	return answer
}

// Snapshot copies the map; the library writes the copy while entries go on being applied.
func (v *values) Snapshot() (raft.FSMSnapshot, error) {
	v.lock.RLock()
	defer v.lock.RUnlock()
	return snapshot(maps.Clone(v.byKey)), nil
}

// Restore replaces the map by a snapshot.
func (v *values) Restore(from io.ReadCloser) error {
	defer from.Close()
	byKey := map[string]versioned{}
	if err := json.NewDecoder(from).Decode(&byKey); err != nil {
		return err
	}
	v.lock.Lock()
	defer v.lock.Unlock()
	v.byKey = byKey
	return nil
}

type snapshot map[string]versioned

// Persist writes the copy.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		_ = sink.Cancel() // The first error is the one to tell.
		return err
	}
	return sink.Close()
}

// Release has nothing to free.
func (s snapshot) Release() {}
