package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// fake is a lease in memory; a nil record is an API server that does not answer.
type fake struct {
	resourcelock.Interface
	record *resourcelock.LeaderElectionRecord
}

func (f *fake) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if f.record == nil {
		return nil, nil, errors.New("no answer")
	}
	return f.record, nil, nil
}

func (f *fake) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	if f.record == nil {
		return errors.New("no answer")
	}
	f.record = &record
	return nil
}

func lease(holder string, transitions int) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: holder, LeaderTransitions: transitions}
}

func check(t *testing.T, c *candidate, want string) {
	t.Helper()
	body, err := c.status()
	status, ok := body.(map[string]any)
	if err != nil || !ok {
		t.Fatal(body, err)
	}
	got := fmt.Sprint(status["role"], " term ", status["term"], " of ", status["leader"], " transitions ", status["transitions"])
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAHolderThatReadsOfAnotherStillClaimsItsOldTerm(t *testing.T) {
	ctx := context.Background()
	f := &fake{record: &resourcelock.LeaderElectionRecord{}}
	c := &candidate{Interface: f, id: "n1"}
	check(t, c, "follower term 0 of <nil> transitions 0")
	if err := c.Update(ctx, lease("n1", 3)); err != nil {
		t.Fatal(err)
	}
	c.started(ctx)
	check(t, c, "leader term 3 of n1 transitions 3")
	other := lease("n2", 4)
	f.record = &other
	if _, _, err := c.Get(ctx); err != nil {
		t.Fatal(err)
	}
	check(t, c, "leader term 3 of n2 transitions 4")
	c.stopped()
	check(t, c, "follower term 4 of n2 transitions 4")
}

func TestAWriteThatFailedIsNotBelieved(t *testing.T) {
	c := &candidate{Interface: &fake{}, id: "n1"}
	if err := c.Update(context.Background(), lease("n1", 3)); err == nil {
		t.Fatal("the API server did not answer")
	}
	check(t, c, "follower term 0 of <nil> transitions 0")
}

func TestALeadershipThatIsOverBeforeItWasToldIsNeverClaimed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &candidate{id: "n1"}
	c.started(ctx)
	check(t, c, "follower term 0 of <nil> transitions 0")
}
