package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// node answers requests; the map itself is in fsm.go.
type node struct {
	id      string
	raft    *raft.Raft
	values  *values
	timeout time.Duration
}

// refusal is an answer that is not what was asked for.
type refusal struct {
	status int
	body   map[string]any
}

func refuse(status int, word string, definite bool) *refusal {
	return &refusal{status, map[string]any{"error": word, "definite": definite}}
}

// definite: the library turned the request away before it reached the log. ErrLeadershipLost is not among
// them ("there is no way to guarantee whether the write succeeded or failed", its api.go), and neither is
// ErrRaftShutdown, which also ends a wait for an entry that is already in the log.
func definite(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress)
}

// wait ends when the library answers or time is up. `reads` change nothing, so their failure is definite.
func (n *node) wait(future raft.Future, reads bool) *refusal {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, raft.ErrNotLeader):
			refused := refuse(http.StatusMisdirectedRequest, "not_leader", true)
			refused.body["leader"] = n.leader()
			return refused
		case errors.Is(err, raft.ErrLeadershipLost):
			return refuse(http.StatusServiceUnavailable, "superseded", reads)
		default:
			refused := refuse(http.StatusServiceUnavailable, "busy", reads || definite(err))
			refused.body["message"] = err.Error()
			return refused
		}
	case <-time.After(n.timeout):
		return refuse(http.StatusGatewayTimeout, "timeout", reads)
	}
}

// leader is who this node follows, or nil.
func (n *node) leader() any {
	if _, id := n.raft.LeaderWithID(); id != "" {
		return string(id)
	}
	return nil
}

func (n *node) status(*http.Request) (any, *refusal) {
	// The library publishes role and term one after the other. The term is read on both sides of the role, or
	// a node that steps down because of term 4 could be seen as "leader of term 4", which nobody ever was.
	for {
		term, role := n.raft.CurrentTerm(), n.raft.State()
		leader := n.leader()
		if n.raft.CurrentTerm() == term {
			return map[string]any{"id": n.id, "role": strings.ToLower(role.String()), "term": term, "leader": leader,
				"commit": n.raft.CommitIndex(), "applied": n.raft.AppliedIndex(), "last": n.raft.LastIndex()}, nil
		}
	}
}

func (n *node) get(r *http.Request) (any, *refusal) {
	switch how := r.URL.Query().Get("read"); how {
	case "", "linearizable":
		// An entry of our own through the log: once it is applied here, so is all that was committed before.
		if refused := n.wait(n.raft.Barrier(n.timeout), true); refused != nil {
			return nil, refused
		}
	case "lease": // What Consul calls `default`: the leader answers from memory and asks nobody.
		if n.raft.State() != raft.Leader {
			refused := refuse(http.StatusMisdirectedRequest, "not_leader", true)
			refused.body["leader"] = n.leader()
			return nil, refused
		}
	case "local":
	default:
		return nil, badRequest(fmt.Errorf("read %q: write linearizable, lease or local", how))
	}
	if found := n.values.get(r.PathValue("key")); found != nil {
		return found, nil
	}
	return map[string]any{"value": nil, "revision": nil, "term": nil}, nil
}

// apply puts a command through the log and answers what the map made of it.
func (n *node) apply(command command) (any, *refusal) {
	encoded, err := json.Marshal(command)
	if err != nil {
		return nil, badRequest(err)
	}
	future := n.raft.Apply(encoded, n.timeout)
	if refused := n.wait(future, false); refused != nil {
		return nil, refused
	}
	return future.Response(), nil
}

func (n *node) put(r *http.Request) (any, *refusal) {
	var body struct{ Value *string }
	if err := decode(r, &body); err != nil || body.Value == nil {
		return nil, badRequest(errors.Join(err, missing("value", body.Value == nil)))
	}
	return n.apply(command{Key: r.PathValue("key"), Value: *body.Value})
}

func (n *node) cas(r *http.Request) (any, *refusal) {
	var body struct {
		Expect json.RawMessage
		Value  *string
	}
	err := decode(r, &body)
	if err == nil { // A forgotten `expect` is not "expect nothing", which is an explicit null.
		err = errors.Join(missing("value", body.Value == nil), missing("expect", body.Expect == nil))
	}
	if err != nil {
		return nil, badRequest(err)
	}
	command := command{Cas: true, Key: r.PathValue("key"), Value: *body.Value}
	if err := json.Unmarshal(body.Expect, &command.Expect); err != nil {
		return nil, badRequest(err)
	}
	return n.apply(command)
}

func (n *node) transfer(r *http.Request) (any, *refusal) {
	var body struct{ To string }
	if err := decode(r, &body); err != nil {
		return nil, badRequest(err)
	}
	future := n.raft.LeadershipTransfer()
	if body.To != "" {
		address := raft.ServerAddress("")
		for _, server := range n.raft.GetConfiguration().Configuration().Servers {
			if string(server.ID) == body.To {
				address = server.Address
			}
		}
		if address == "" {
			return nil, badRequest(fmt.Errorf("`%s` is not a node of this cluster", body.To))
		}
		future = n.raft.LeadershipTransferToServer(raft.ServerID(body.To), address)
	}
	if refused := n.wait(future, false); refused != nil {
		return nil, refused
	}
	return map[string]any{"transferred": true, "leader": n.leader()}, nil
}

func missing(field string, is bool) error {
	if is {
		return fmt.Errorf("`%s` is missing", field)
	}
	return nil
}

func badRequest(err error) *refusal {
	refused := refuse(http.StatusBadRequest, "bad_request", true)
	refused.body["message"] = err.Error()
	return refused
}

func decode(r *http.Request, into any) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, r.Body, 1<<20)); err != nil {
		return err
	}
	if body.Len() == 0 {
		body.WriteString("{}")
	}
	decoder := json.NewDecoder(&body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func handler(answer func(*http.Request) (any, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, refused := answer(r)
		w.Header().Set("Content-Type", "application/json")
		if refused != nil {
			w.WriteHeader(refused.status)
			body = refused.body
		}
		// An error means that the client is gone; there is nobody to tell.
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (n *node) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", handler(n.status))
	mux.HandleFunc("GET /kv/{key}", handler(n.get))
	mux.HandleFunc("PUT /kv/{key}", handler(n.put))
	mux.HandleFunc("POST /kv/{key}/cas", handler(n.cas))
	mux.HandleFunc("POST /transfer", handler(n.transfer))
	mux.HandleFunc("/", handler(func(*http.Request) (any, *refusal) {
		return nil, refuse(http.StatusNotFound, "not_found", true)
	}))
	return mux
}
