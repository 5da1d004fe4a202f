//! The words of system definitions (`workloads/systems/*.yaml`), in tables like those of plans.
//!
//! The forms are examples that load where they stand alone; what a template or an expression sees is told by
//! [`definition`](crate::definition), not here.

use super::{Table, word};

pub(crate) static DEFINITION: Table = Table {
    owner: "a system definition",
    words: &[
        word("version", "1", "of this format [1]"),
        word("system", "etcd", "its name, as reports write it"),
        word("about", "The store under Kubernetes.", "a sentence for people"),
        word("untested", "no binary can be had here", "why nobody has tried this definition; shown before a run"),
        word("install", "{ name: etcd, versions: [3.5.1] }", "what `scripts/systems/install` installs for it"),
        word("programs", "{ etcd: {} }", "what its commands begin with; `chaos` is this very program"),
        word("ports", "{ client: 2379 }", "ports by name, the same at every node: each has an address of its own"),
        word("tune", "{ default: { heartbeat: 100 } }", "profiles of values that templates know as `tune.NAME`"),
        word("timing", "{ election-timeout: 1s..2s, heartbeat: 100ms }", "its timeouts, for the theoretical floor"),
        word("promises", "{ one-leader: per-term }", "what it promises; the rest is measured, not judged"),
        word(
            "files",
            "{ my.cfg: \"port={{ port.client }}\" }",
            "rendered into the node's directory before its first start",
        ),
        word("setup", "[{ run: [mytool, create] }]", "commands before the nodes' first start, each node in turn"),
        word(
            "processes",
            "{ etcd: { run: [etcd] } }",
            "what a node runs, in this order; the first is its main process",
        ),
        word("after-start", "[{ run: [mytool, join], on: first }]", "commands once all nodes have been started"),
        word("clean-on-restart", "[ctl]", "files of the node's directory that are removed before later starts"),
        word("network", "{ proxy: true }", "whether it can run on `network: proxy`"),
        word("start", "together", "together, or one-by-one: the next when the one before has answered [together]"),
        word("service", "{ nodes: 1, processes: { store: { run: [store] } } }", "further nodes that these depend on"),
        word(
            "observers",
            "{ self: { tcp: { port: client }, role: answer } }",
            "who is asked who leads; the first decides",
        ),
        word("ready", "[write]", "what must hold of every node before the cluster counts as up"),
        word("client", "{ driver: etcd, port: client }", "what clients speak [nothing: only leadership is tested]"),
        word("compare", "{ exec: [mytool, hash], value: answer }", "how each node's final state is told"),
        word(
            "operations",
            "{ transfer: { exec: [mytool, yield], done: code == 0 } }",
            "what a running cluster can be told",
        ),
    ],
};

pub(crate) static SYSTEM_NETWORK: Table = Table {
    owner: "`network` of a system",
    words: &[word("proxy", "true", "whether nodes dial only what their own templates say [false]")],
};

pub(crate) static INSTALL: Table = Table {
    owner: "`install`",
    words: &[
        word("name", "etcd", "the recipe's name"),
        word("versions", "[3.4.23, 3.5.1]", "which versions this fits, the default first"),
    ],
};

pub(crate) static PROGRAM: Table = Table {
    owner: "a program",
    words: &[
        word("of", "etcd@3.4.23", "the installed system that it is a part of, if not of `install`; a template"),
        word("version", "{ run: [etcd, --version], pattern: 'Version: (\\S+)' }", "how it tells its version"),
    ],
};

pub(crate) static VERSION: Table = Table {
    owner: "the version of a program",
    words: &[
        word("run", "[etcd, --version]", "the command"),
        word("pattern", "'etcd Version: (\\S+)'", "finds the version in its output: the first group"),
    ],
};

pub(crate) static TIMING: Table = Table {
    owner: "`timing`",
    words: &[
        word("election-timeout", "\"{{ tune.election }}ms\"", "when a follower that hears nothing campaigns"),
        word("heartbeat", "\"{{ tune.heartbeat }}ms\"", "how often a leader shows that it is there"),
        word("pre-vote", "true", "whether candidates ask before they campaign [false]"),
    ],
};

pub(crate) static PROMISES: Table = Table {
    owner: "`promises`",
    words: &[
        word("one-leader", "per-term", "per-term, any-time or nothing [nothing]"),
        word("acknowledged-writes", "kept", "kept or may-be-lost [may-be-lost]"),
        word("reads", "linearizable", "linearizable, sequential or stale [stale]"),
    ],
};

/// What a definition has for its nodes and a service for its own.
pub(crate) static SERVICE: Table = Table {
    owner: "`service`",
    words: &[
        word("nodes", "1", "how many, 1 to 5 [1]"),
        word("files", "{ my.cfg: \"port={{ port.client }}\" }", "as of a definition"),
        word("setup", "[{ run: [mytool, create] }]", "as of a definition"),
        word("processes", "{ store: { run: [store] } }", "as of a definition"),
        word("after-start", "[{ run: [mytool, join], on: first }]", "as of a definition"),
        word("clean-on-restart", "[ctl]", "as of a definition"),
        word("start", "together", "as of a definition"),
    ],
};

pub(crate) static FILE: Table = Table {
    owner: "a file",
    words: &[
        word("text", "\"port={{ port.client }}\"", "what it contains"),
        word("mode", "\"0600\"", "its permission bits, in octal [what the umask leaves]"),
    ],
};

pub(crate) static SETUP: Table = Table {
    owner: "a set-up command",
    words: &[
        word("run", "[mytool, create, \"{{ data }}\"]", "the command"),
        word("on", "first", "first, others or all nodes [all]"),
        word("retry-for", "10s", "how long it is tried again while it fails [not at all]"),
        word("nonroot", "true", "it refuses to be root [false]"),
    ],
};

pub(crate) static PROCESS: Table = Table {
    owner: "a process",
    words: &[
        word(
            "run",
            "[etcd, --name, \"{{ id }}\"]",
            "the command; its first word is a program, or a path from `{{ dir }}`",
        ),
        word("environment", "{ HOME: \"{{ dir }}\" }", "environment variables beside those that it inherits"),
        word("nonroot", "true", "it refuses to be root [false]"),
    ],
};

/// What an observer says beside how it asks.
pub(crate) static OBSERVER: Table = Table {
    owner: "an observer",
    words: &[
        word("of", "own-role", "whose word it is: own-role, coordinator or client-view [own-role]"),
        word("pattern", "'Mode: (?<mode>\\w+)'", "applied to the answer's text; its groups are `m.NAME`"),
        word("role", "answer.state", "leader, follower, candidate or pre-candidate; or true, false for the first two"),
        word("term", "answer.term", "the term, a whole number [the system shows none]"),
        word("leader", "answer.leader", "whom the node takes for the leader [nodes speak only of themselves]"),
        word("identity", "answer.id", "what the node calls itself [its id or address]"),
        word("voted-for", "answer.vote", "for whom the node voted in the term [not shown]"),
        word(
            "lease-remaining",
            "answer.ttl",
            "seconds that are left to a leader if nobody answers it any more [not shown]",
        ),
        word(
            "confirm",
            "true",
            "ask twice, and believe only one term in both: for answers that are no snapshot [false]",
        ),
        word(
            "snapshot",
            "true",
            "an answer is of one moment; without it, only what a node claims of itself convicts [false]",
        ),
        word("every", "50ms", "how often it asks [as the workload says]"),
    ],
};

/// How a question is asked: exactly one of these.
pub(crate) static ENGINES: Table = Table {
    owner: "a question",
    words: &[
        word(
            "http",
            "{ port: client, path: /status }",
            "HTTP; `answer` is the decoded JSON or the text, `status` the code",
        ),
        word("prometheus", "{ port: metrics }", "Prometheus text; `answer.NAME` is a list of `{labels, value}`"),
        word("tcp", "{ port: client, send: srvr }", "bytes over TCP; `answer` is the text"),
        word("resp", "{ port: client, command: [ROLE] }", "a Redis command; `answer` is the reply"),
        word("unix-json-rpc", "{ socket: ctl, method: status }", "JSON-RPC over a unix socket; `answer` is the result"),
        word("exec", "[mytool, status]", "a command at the node; `answer` is its output, `code` the exit code"),
        word(
            "log",
            "{ process: etcd }",
            "a process's last line that the pattern matches, since its start or resumption; `answer` is it",
        ),
        word("address", "10.9.0.1", "whether the node has this IPv4 address; `answer` is true or false"),
        word("client", "{ question: leader }", "a question that the client driver knows by name"),
    ],
};

pub(crate) static HTTP: Table = Table {
    owner: "`http`",
    words: &[
        word("method", "POST", "the method [GET]"),
        word("port", "client", "one of `ports`"),
        word("path", "/status", "path and query"),
        word("headers", "{ Accept: application/json }", "headers by name"),
        word("body", "\"{}\"", "the body [none]"),
    ],
};

pub(crate) static PROMETHEUS: Table = Table {
    owner: "`prometheus`",
    words: &[word("port", "metrics", "one of `ports`"), word("path", "/metrics", "path and query [/metrics]")],
};

pub(crate) static TCP: Table = Table {
    owner: "`tcp`",
    words: &[
        word("port", "client", "one of `ports`"),
        word("send", "srvr", "what is sent, as text [nothing]"),
        word("send-hex", "00 00 00 04", "what is sent, as hex digits"),
        word("until", "end", "when the answer is whole: end, matched (by `pattern`) or so many bytes [end]"),
    ],
};

pub(crate) static RESP: Table = Table {
    owner: "`resp`",
    words: &[
        word("port", "client", "one of `ports`"),
        word("command", "[SENTINEL, MASTER, m]", "the words"),
        word("pairs", "true", "names and values in turn are a mapping [false]"),
    ],
};

pub(crate) static UNIX_JSON_RPC: Table = Table {
    owner: "`unix-json-rpc`",
    words: &[
        word("socket", "ctl", "in the node's directory"),
        word("method", "cluster/status", "the method"),
        word("params", "[KV]", "texts [none]"),
    ],
};

pub(crate) static EXEC: Table =
    Table { owner: "`exec`", words: &[word("run", "[mytool, status]", "the command; its first word is a program")] };

pub(crate) static LOG: Table = Table {
    owner: "`log`",
    words: &[
        word("process", "etcd", "one of `processes`"),
        word("stderr", "true", "its standard error, not its standard output [false]"),
    ],
};

pub(crate) static QUESTION: Table =
    Table { owner: "`client` of a question", words: &[word("question", "leader", "by the driver's name for it")] };

/// A condition has exactly one of the first three.
pub(crate) static READY: Table = Table {
    owner: "a condition",
    words: &[
        word("observer", "self", "one of `observers`; with `that:`"),
        word("exec", "[mytool, check]", "a command that succeeds at every node"),
        word("write", "true", "a client's write is acknowledged; or just `write`"),
        word("that", "answer.members == 3", "true where the observer's answer meets it"),
    ],
};

pub(crate) static CLIENT: Table = Table {
    owner: "`client` of a definition",
    words: &[
        word("driver", "etcd", "who speaks with it"),
        word("port", "client", "one of `ports`"),
        word("options", "{ read: linearizable }", "the driver's own, by name; a workload may change each"),
        word(
            "http",
            "{ read: { path: \"/{{ key }}\", ok: status == 200, value: answer } }",
            "for the driver http: what each operation sends",
        ),
        word("program", "[python3, my-client.py]", "for the driver program: a command that speaks chaos-client/1"),
    ],
};

pub(crate) static DRIVERS: Table = Table {
    owner: "the client drivers",
    words: &[
        word("etcd", "", "etcd's JSON gateway"),
        word("http", "", "any HTTP interface, described by `http:`"),
        word("redis", "", "RESP"),
        word("zookeeper", "", "ZooKeeper's own protocol"),
        word("nats", "", "NATS JetStream"),
        word("postgres", "", "PostgreSQL's own protocol"),
        word("ovsdb", "", "OVSDB's JSON-RPC"),
        word("kafka", "", "Kafka's own protocol"),
        word("amqp", "", "AMQP 0.9.1"),
        word("program", "", "a program of one's own that speaks chaos-client/1"),
    ],
};

pub(crate) static OPERATIONS: Table = Table {
    owner: "`http` of a client",
    words: &[
        word("read", "{ path: \"/{{ key }}\", ok: status == 200, value: answer }", "read a key"),
        word("write", "{ method: PUT, path: \"/{{ key }}\", body: \"{{ value }}\", ok: status == 200 }", "write a key"),
        word("cas", "{ path: /cas, ok: status == 200, swapped: answer.done }", "set a key if it is as expected"),
        word("add", "{ path: /add, ok: status == 200 }", "add an element to a set"),
        word("elements", "{ path: /all, ok: status == 200, value: answer }", "read all elements of a set"),
    ],
};

pub(crate) static EXCHANGE: Table = Table {
    owner: "an operation over HTTP",
    words: &[
        word("method", "PUT", "the method [GET]"),
        word("path", "\"/kv/{{ key }}\"", "path and query; templates know `key`, `value` and `expect`"),
        word("headers", "{ Accept: application/json }", "headers by name"),
        word("body", "\"{{ value }}\"", "the body [none]"),
        word("ok", "status == 200", "true if it happened"),
        word("fail", "status == 409", "true if it did not happen and never will [nothing is so definite]"),
        word("value", "answer.value", "what was read; nothing if the key is absent"),
        word("swapped", "answer.done", "for cas: whether the value was set"),
        word("revision", "answer.index", "the change's place in the system's order"),
        word("leader", "answer.leader", "whom the answer names as the leader"),
    ],
};

pub(crate) static COMPARE: Table = Table {
    owner: "`compare`",
    words: &[
        word("pattern", "'hash: (?<hash>\\w+)'", "applied to the answer's text; its groups are `m.NAME`"),
        word("value", "answer.hash", "the state or its digest: equal on all nodes, or they have diverged"),
        word("revision", "answer.revision", "up to which change it goes; only equal ones are compared"),
    ],
};

pub(crate) static CLUSTER_OPERATIONS: Table = Table {
    owner: "`operations`",
    words: &[
        word(
            "transfer",
            "{ exec: [mytool, yield], done: code == 0 }",
            "how a leader is asked to hand over: a question, and what beside it",
        ),
        word(
            "remove-member",
            "{ at: other, exec: [mytool, remove, \"{{ target.id }}\"], done: code == 0 }",
            "how a member is taken out",
        ),
        word(
            "add-member",
            "{ at: other, exec: [mytool, add, \"{{ target.id }}\"], done: code == 0 }",
            "how it is added again, before it is started",
        ),
    ],
};

/// What an operation says beside how it is asked for.
pub(crate) static OPERATION: Table = Table {
    owner: "an operation",
    words: &[
        word("at", "leader", "who is asked: leader (others, if it can't), target or any other member [leader]"),
        word("pattern", "'moved to (?<node>\\w+)'", "applied to the answer's text; its groups are `m.NAME`"),
        word("done", "status == 200", "true of an answer that says that it is done"),
        word("refused", "status == 400", "true of one that says that it won't be [nothing is so definite]"),
    ],
};

pub(crate) static TRANSFER_OPERATION: Table = Table {
    owner: "`transfer` of a definition",
    words: &[word("to", "required", "whether a plan can say to whom: required, optional or never [optional]")],
};

/// Every table of definitions, in the order of the reference.
pub(super) static ALL: [&Table; 30] = [
    &DEFINITION,
    &INSTALL,
    &SYSTEM_NETWORK,
    &PROGRAM,
    &VERSION,
    &TIMING,
    &PROMISES,
    &FILE,
    &SETUP,
    &PROCESS,
    &SERVICE,
    &OBSERVER,
    &ENGINES,
    &HTTP,
    &PROMETHEUS,
    &TCP,
    &RESP,
    &UNIX_JSON_RPC,
    &EXEC,
    &LOG,
    &QUESTION,
    &READY,
    &CLIENT,
    &DRIVERS,
    &OPERATIONS,
    &EXCHANGE,
    &COMPARE,
    &CLUSTER_OPERATIONS,
    &OPERATION,
    &TRANSFER_OPERATION,
];

pub(super) const INTRODUCTION: &str = "\
A system definition says how a cluster is started, how each node is asked who leads, what clients speak, and what is promised:

  version: 1
  system: mydb
  programs: { mydb: {} }
  ports: { client: 8000, peer: 8001 }
  promises: { one-leader: per-term }
  processes:
    mydb:
      run: [mydb, --id, \"{{ id }}\", --listen, \"{{ ip }}:{{ port.client }}\", --data, \"{{ data }}\",
            --peers, '{{ nodes | each(\"{id}={ip}:8001\") }}']
  observers:
    self:
      http: { port: client, path: /status }
      role: answer.state
      term: answer.term
      leader: answer.leader

Texts are templates. They know the node's own id, number (from 1), ip, dir, data and run (a short path for sockets), and
nodes, others, first, service (each a list of such nodes), tune, port, program, install, version, seed, and resource (what
locks protect: `http://{{ resource }}/access/LOCK?hold=TEXT&token=NUMBER`). Where members come and go, `joining` is true of
a node that is started to join a running cluster, and `members` are that cluster's, itself among them. Operations know `target`
and `to`, a node each, with `identity`: what it calls itself to the first observer.
`nodes | each(\"{id}={ip}:8001\")` is the text once per node, joined by commas.

Expressions stand without braces. They know what templates know, and answer (with status or code); of a pattern, its groups
m.NAME; at(answer, \"/a/b\") is a JSON pointer; `text | hex` and `text | b64decode` decode.

A workload names a definition by `system: mydb.yaml`, or `system: { use: mydb.yaml, profile: fast }`.
";
