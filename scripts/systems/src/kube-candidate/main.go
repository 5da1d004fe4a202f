// A candidate for a Kubernetes Lease, on client-go's leaderelection as controllers use it: it says aloud what
// the library tells it to believe, and does nothing by itself to be safer than that.
//
// Each change is one line on stdout, flushed at once (the number is CLOCK_MONOTONIC in nanoseconds, so lines
// of several candidates on one machine can be compared):
//
//	leader 81234567890123    or    follower 81234567890123
//
//	GET /status   {"id":"n1","role":"leader","term":3,"leader":"n1","transitions":3}
//	GET /lease    {"holder":"n1","transitions":3,"renewed":"2026-…","duration_s":15,"resource_version":"77"}
//
// `role` is what the callbacks said last. `transitions` and `leader` are of the lease as this candidate saw it
// last; `term` is `transitions` at the moment of its own claim, so a candidate that still claims a lease which
// it knows to be another's (it may, until its renew deadline) is seen claiming the old term, not the new one.
// /lease asks the API server now: 503 if that does not answer.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	exitLost  = 1   // the lease was lost and --on-lost is `exit`
	exitUsage = 254 // the command makes no sense
)

// candidate is the lock that it hands to the library, so it sees each record that the library sees.
type candidate struct {
	resourcelock.Interface
	id string

	lock    sync.Mutex
	leading bool
	term    int
	seen    resourcelock.LeaderElectionRecord
}

func (c *candidate) saw(record *resourcelock.LeaderElectionRecord) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.seen = *record
}

// Get reads the lease.
func (c *candidate) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := c.Interface.Get(ctx)
	if err == nil {
		c.saw(record)
	}
	return record, raw, err
}

// Create writes the first lease.
func (c *candidate) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := c.Interface.Create(ctx, record)
	if err == nil {
		c.saw(&record)
	}
	return err
}

// Update writes the lease, if it is still as it was read.
func (c *candidate) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := c.Interface.Update(ctx, record)
	if err == nil {
		c.saw(&record)
	}
	return err
}

// say writes what is believed from now on. The lock is held, so lines stand in the order of the beliefs.
func (c *candidate) say(leading bool) {
	c.leading = leading
	word := "follower"
	if leading {
		word = "leader"
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // No Linux is without this clock.
	}
	if _, err := fmt.Printf("%s %d\n", word, now.Nano()); err != nil {
		os.Exit(exitLost) // Nobody reads: do not live on unseen.
	}
}

func (c *candidate) started(ctx context.Context) {
	c.lock.Lock()
	defer c.lock.Unlock()
	// The library calls this in a goroutine of its own; leadership may be over before it runs.
	if ctx.Err() == nil {
		c.term = c.seen.LeaderTransitions
		c.say(true)
	}
}

func (c *candidate) stopped() {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.leading { // The library also calls this when it has never led.
		c.say(false)
	}
}

func (c *candidate) status() (any, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	status := map[string]any{"id": c.id, "role": "follower", "term": c.seen.LeaderTransitions, "leader": nil,
		"transitions": c.seen.LeaderTransitions}
	if c.leading {
		status["role"], status["term"] = "leader", c.term
	}
	if c.seen.HolderIdentity != "" {
		status["leader"] = c.seen.HolderIdentity
	}
	return status, nil
}

func answer(w http.ResponseWriter, body any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		body = map[string]any{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(body) // An error means that the client is gone.
}

// version names the library's release, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "k8s.io/client-go" {
				return "client-go " + strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "client-go of unknown version"
}

func main() {
	id := flag.String("id", "", "this candidate's name")
	server := flag.String("apiserver", "https://127.0.0.1:6443", "its certificate is not checked")
	token := flag.String("token", "", "bearer token, of the API server's --token-auth-file")
	namespace := flag.String("namespace", "default", "of the lease")
	name := flag.String("name", "chaos", "of the lease")
	listen := flag.String("http", "127.0.0.1:7001", "address of /status and /lease")
	duration := flag.Duration("lease-duration", 15*time.Second, "others wait this long after the last renewal they saw")
	deadline := flag.Duration("renew-deadline", 10*time.Second, "a leader gives up after this long without a renewal")
	retry := flag.Duration("retry-period", 2*time.Second, "between tries to take or renew the lease")
	onLost := flag.String("on-lost", "exit", "`exit` (what client-go's users do) or `rejoin`")
	show := flag.Bool("version", false, "print the library's version")
	flag.Parse()
	if *show {
		fmt.Println(version())
		return
	}
	if *id == "" || (*onLost != "exit" && *onLost != "rejoin") {
		fmt.Fprintln(os.Stderr, "error: --id is needed, and --on-lost is `exit` or `rejoin`")
		os.Exit(exitUsage)
	}
	config := &rest.Config{Host: *server, BearerToken: *token, Timeout: *deadline,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitUsage)
	}
	c := &candidate{id: *id, Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *name},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: *id},
	}}
	http.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		body, err := c.status()
		answer(w, body, err)
	})
	http.HandleFunc("GET /lease", func(w http.ResponseWriter, r *http.Request) {
		lease, err := client.CoordinationV1().Leases(*namespace).Get(r.Context(), *name, metav1.GetOptions{})
		if err != nil {
			answer(w, nil, err)
			return
		}
		answer(w, map[string]any{"holder": lease.Spec.HolderIdentity, "transitions": lease.Spec.LeaseTransitions,
			"renewed": lease.Spec.RenewTime, "duration_s": lease.Spec.LeaseDurationSeconds,
			"resource_version": lease.ResourceVersion}, nil)
	})
	go func() {
		fmt.Fprintln(os.Stderr, "error:", http.ListenAndServe(*listen, nil))
		os.Exit(exitUsage)
	}()
	c.lock.Lock()
	c.say(false)
	c.lock.Unlock()
	for {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: c, LeaseDuration: *duration, RenewDeadline: *deadline, RetryPeriod: *retry, Name: *name,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: c.started, OnStoppedLeading: c.stopped},
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(exitUsage)
		}
		elector.Run(context.Background())
		if *onLost == "exit" {
			os.Exit(exitLost)
		}
	}
}
