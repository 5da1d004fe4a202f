// A replicated map over HTTP on github.com/hashicorp/raft, the library under Consul, Nomad and Vault:
// the smallest program that shows how the library elects, and no more. The library decides everything;
// this file translates. Its JSON is that of chaos's own reference node, so one driver serves both.
//
// It refuses to guess: an answer that is no success says in `definite` whether it is certain that nothing
// happened and will not. The library promises that for three errors only (see `definite`).
//
//	GET  /status                      {"id":"n1","role":"leader","term":3,"leader":"n1","commit":7,"applied":7,"last":7}
//	GET  /kv/{key}?read=linearizable  {"value":"5","revision":7,"term":3}   all null: no such key; also read=lease, read=local
//	PUT  /kv/{key}      {"value":"5"} {"revision":7,"term":3}
//	POST /kv/{key}/cas  {"expect":"5","value":"6"}   {"swapped":true,"value":"5","revision":8,"term":3}   value: what was there
//	POST /transfer      {"to":"n2"}   {"transferred":true,"leader":"n2"}    {}: the library chooses
//	any                               {"error":"not_leader","definite":true,"leader":"n3"} with 421; 503, 504, 400, 404 alike
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// version names the library's release, as the build recorded it.
func version() string {
	said := "hashicorp-raft"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if strings.HasPrefix(module.Path, "github.com/hashicorp/raft") {
				said += fmt.Sprintf(" %s@%s", module.Path, strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	return said
}

// parsePeers reads "n1=10.0.0.1:7000,n2=…".
func parsePeers(text string) ([]raft.Server, error) {
	var servers []raft.Server
	for _, peer := range strings.Split(text, ",") {
		id, address, found := strings.Cut(peer, "=")
		if _, _, err := net.SplitHostPort(address); !found || id == "" || err != nil {
			return nil, fmt.Errorf("--peers: `%s` is not ID=HOST:PORT", peer)
		}
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(address)})
	}
	return servers, nil
}

// open starts the library on a log and snapshots in `dir`; a new directory begins with `servers` as members.
func open(config *raft.Config, dir, bind string, servers []raft.Server, values *values) (*raft.Raft, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return nil, err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, config.Logger)
	if err != nil {
		return nil, err
	}
	transport, err := raft.NewTCPTransportWithLogger(bind, nil, 3, 10*time.Second, config.Logger)
	if err != nil {
		return nil, err
	}
	existing, err := raft.HasExistingState(store, store, snapshots)
	if err == nil && !existing {
		err = raft.BootstrapCluster(config, store, store, snapshots, transport, raft.Configuration{Servers: servers})
	}
	if err != nil {
		return nil, err
	}
	return raft.NewRaft(config, values, store, store, snapshots, transport)
}

func run() error {
	config := raft.DefaultConfig()
	id := flag.String("id", "", "this node's name, one of --peers")
	bind := flag.String("bind", "127.0.0.1:7000", "address for the other nodes")
	listen := flag.String("http", "127.0.0.1:7001", "address for clients")
	peers := flag.String("peers", "", "all nodes: ID=HOST:PORT,… (their --bind)")
	dir := flag.String("data-dir", "data", "where the log and the snapshots are kept")
	timeout := flag.Duration("request-timeout", 5*time.Second, "after this long a request is answered `timeout`")
	flag.DurationVar(&config.HeartbeatTimeout, "heartbeat-timeout", config.HeartbeatTimeout, "a follower becomes a candidate after this long without a leader")
	flag.DurationVar(&config.ElectionTimeout, "election-timeout", config.ElectionTimeout, "a candidate tries again after this long")
	flag.DurationVar(&config.LeaderLeaseTimeout, "lease-timeout", config.LeaderLeaseTimeout, "a leader steps down after this long without a quorum")
	flag.BoolVar(&config.PreVoteDisabled, "no-pre-vote", false, "elect without asking first, as before version 1.7")
	level := flag.String("log-level", "info", "of the library's log on stderr")
	show := flag.Bool("version", false, "print the library's version")
	flag.Parse()
	if *show {
		_, err := fmt.Println(version())
		return err
	}
	servers, err := parsePeers(*peers)
	if err != nil {
		return err
	}
	config.LocalID = raft.ServerID(*id)
	config.Logger = hclog.New(&hclog.LoggerOptions{Name: *id, Level: hclog.LevelFromString(*level), Output: os.Stderr})
	values := newValues()
	running, err := open(config, *dir, *bind, servers, values)
	if err != nil {
		return err
	}
	n := &node{id: *id, raft: running, values: values, timeout: *timeout}
	return http.ListenAndServe(*listen, n.routes())
}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatalf("error: %v", err)
	}
}
