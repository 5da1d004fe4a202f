//! Every file under `tests/definitions` but `everything.yaml` is refused with exactly the text beside it; that one is taken, means
//! what it says, and is saved and read back.
//!
//! `UPDATE=1 cargo test -p chaos-plan --test definitions` writes the texts anew; read the difference before committing it.

use std::fs;
use std::io;
use std::time::Duration;

use chaos_plan::definition::{
    AcknowledgedWrites, Ask, AskedAt, DefinedSystem, HttpOperation, OneLeader, Reads, Ready, Scope, SetupOn,
    SystemDefinition, TestimonyOf, ToWhom, Tuned, Until,
};
use chaos_plan::{PlanErrors, Source, System, Workload, load_source, resolved_yaml};

/// A workload of the definition in a file; what else it says of the system stands in `chosen`.
fn load(file: &str, chosen: &str) -> Result<Workload, PlanErrors> {
    let text = format!(
        "name: case\nsystem: {{ use: {file}, {chosen} }}\nnodes: 3\nfaults: none\nchecks: [reelection: {{ within: 9s }}]\n"
    );
    let source = Source { name: "case.yaml".to_owned(), text };
    load_source(source, &[], &|name| fs::read_to_string(name)).map(|loaded| loaded.workload)
}

fn everything(chosen: &str) -> DefinedSystem {
    let workload = load("tests/definitions/everything.yaml", chosen).unwrap_or_else(|errors| panic!("{errors}"));
    match workload.system {
        System::Defined(defined) => *defined,
        System::Raft(_) => panic!("the reference node"),
    }
}

fn definition() -> SystemDefinition {
    everything("").definition
}

#[test]
fn each_wrong_definition_is_refused_with_the_text_beside_it() {
    let update = std::env::var_os("UPDATE").is_some();
    let (mut count, mut wrong) = (0, Vec::new());
    let mut files: Vec<_> = fs::read_dir("tests/definitions").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        if !is_yaml || path.ends_with("everything.yaml") {
            continue;
        }
        count += 1;
        let rendered = match load(path.to_str().unwrap(), "") {
            Ok(_) => panic!("{} is taken", path.display()),
            Err(errors) => errors.render(false),
        };
        let beside = path.with_extension("txt");
        if update {
            fs::write(&beside, &rendered).unwrap();
        } else if fs::read_to_string(&beside).unwrap_or_default() != rendered {
            wrong.push(format!("== {} ==\n{rendered}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected; UPDATE=1 writes them anew:\n{}", wrong.join("\n"));
    assert!(count >= 5);
}

#[test]
fn what_is_written_is_what_is_meant() {
    let definition = definition();
    assert_eq!((definition.name.as_str(), definition.untested.as_deref()), ("everything", Some("it is made up")));
    assert_eq!(definition.install.unwrap().versions, ["2.0", "1.5"]);
    assert!(definition.programs["store"].of.is_some());
    assert_eq!(definition.ports["metrics"], 4002);
    assert_eq!(definition.tune["default"]["pre_vote"], Tuned::Flag(true));
    assert_eq!(definition.tune["fast"]["mode"], Tuned::Text("fast".to_owned()));
    let promises = definition.promises;
    assert_eq!(promises.one_leader, OneLeader::PerTerm);
    assert_eq!((promises.acknowledged_writes, promises.reads), (AcknowledgedWrites::Kept, Reads::Sequential));
    let nodes = &definition.nodes;
    let files: Vec<_> = nodes.files.iter().map(|file| (file.path.text(), file.mode)).collect();
    assert_eq!(files, [("{{ data }}/id", None), ("server.cfg", None), ("secret", Some(0o600)), ("empty", None)]);
    assert_eq!(nodes.setup.iter().map(|command| command.on).collect::<Vec<_>>(), [SetupOn::First, SetupOn::Others]);
    assert_eq!((nodes.setup[0].retry_for, nodes.setup[1].nonroot), (Duration::from_secs(10), true));
    assert_eq!(nodes.processes.iter().map(|process| process.name.as_str()).collect::<Vec<_>>(), ["server", "agent"]);
    assert_eq!(nodes.processes[0].environment[1].1.text(), "{{ install }}/lib");
    assert!(nodes.processes[0].nonroot && nodes.one_by_one && nodes.after_start.len() == 1);
    let service = definition.service.unwrap();
    assert_eq!((service.nodes, service.part.one_by_one, service.part.processes[0].name.as_str()), (2, false, "store"));
    assert!(matches!(definition.ready[..], [Ready::Observed { .. }, Ready::Exec { .. }, Ready::Write]));
    let client = definition.client.unwrap();
    assert_eq!(client.http[&HttpOperation::Write].method, "PUT");
    assert_eq!(client.http[&HttpOperation::Read].method, "GET");
    assert_eq!(client.http.len(), 5);
    assert!(matches!(definition.compare.unwrap().ask, Ask::Exec { .. }));
}

#[test]
fn observers_keep_their_order_and_each_asks_in_its_own_way() {
    let observers = definition().observers;
    let names: Vec<&str> = observers.iter().map(|observer| observer.name.as_str()).collect();
    assert_eq!(
        names,
        ["self", "metrics", "words", "bytes", "redis", "socket", "command", "line", "place", "asked"],
        "the first decides, so the order matters"
    );
    let of = |name: &str| observers.iter().find(|observer| observer.name == name).unwrap();
    assert_eq!((of("self").of, of("self").every), (TestimonyOf::OwnRole, Some(Duration::from_millis(50))));
    assert_eq!((of("words").of, of("place").of), (TestimonyOf::Coordinator, TestimonyOf::ClientView));
    let sent = |name: &str| {
        let Ask::Tcp { send, until, .. } = &of(name).ask else { panic!("{name}") };
        (send.clone(), until.clone())
    };
    assert_eq!(sent("words"), (b"mode\r\n".to_vec(), Until::Matched));
    assert_eq!(sent("bytes"), (vec![0, 0, 0, 4], Until::Bytes(8)));
    assert!(matches!(&of("redis").ask, Ask::Resp { pairs: true, .. }));
    assert!(matches!(&of("line").ask, Ask::Log { process, stderr: true } if process == "agent"));
}

#[test]
fn the_workload_chooses_version_profile_and_values() {
    let system = everything(
        "version: 1.5, profile: fast, tune: { heartbeat: 20 }, programs: { server: /opt/server }, client: { read: any }",
    );
    assert_eq!(system.version(), Some("1.5"));
    assert_eq!(system.tuned()["heartbeat"], Tuned::Number(20));
    assert_eq!(system.tuned()["mode"], Tuned::Text("fast".to_owned()));
    let timing = system.timing().unwrap();
    assert_eq!((timing.heartbeat, timing.pre_vote), (Duration::from_millis(20), false));
    assert_eq!(timing.election_timeout.max, Duration::from_millis(200));
    assert_eq!(system.programs["server"].to_str(), Some("/opt/server"));
    assert_eq!(everything("").version(), Some("2.0"));
}

#[test]
fn a_choice_that_there_is_not_is_refused_with_what_there_is() {
    let check = |chosen: &str, message: &str, near: &str| {
        let errors = load("tests/definitions/everything.yaml", chosen).unwrap_err().to_string();
        assert!(errors.contains(message) && errors.contains(near), "{errors}");
    };
    check("version: '1.6'", "no version of `everything` `1.6`", "1.5");
    check("profile: fats", "no profile `fats`", "did you mean `fast`?");
    check("tune: { hartbeat: 5 }", "no tuned value `hartbeat`", "did you mean `heartbeat`?");
    check("tune: { heartbeat: 5ms }", "`heartbeat` must be a whole number", "as in the profile `default`");
    check("programs: { sever: /x }", "no program `sever`", "did you mean `server`?");
    check("programs: { server: '' }", "no program can be given this", "it is empty");
    check("client: [read]", "must be a mapping", "this is a list");
    check("raft: {}", "two systems, `raft` and `use`", "one too many");
}

#[test]
fn a_saved_choice_is_read_back_exactly() {
    for chosen in
        ["", "version: 1.5, profile: fast, tune: { mode: 'a: b', heartbeat: 3, pre_vote: false }, client: { a: '#' }"]
    {
        let workload = load("tests/definitions/everything.yaml", chosen).unwrap_or_else(|errors| panic!("{errors}"));
        let source = Source { name: "plan.yaml".to_owned(), text: resolved_yaml(&workload) };
        let again = load_source(source, &[], &|_| Err(io::ErrorKind::NotFound.into()));
        assert_eq!(again.unwrap_or_else(|errors| panic!("{errors}")).workload, workload);
    }
}

#[test]
fn operations_are_read_as_they_are_written_and_a_joining_node_is_told_whom_it_joins() {
    let text = "version: 1\nsystem: mydb\nports: { client: 1 }\n\
        processes: { mydb: { run: [mydb, \"{{ members | each('{id}') }}\", \"{{ 'old' if joining else 'new' }}\"] } }\n\
        observers: { self: { http: { port: client, path: / }, role: answer.role } }\n\
        operations:\n\
        \x20 transfer: { to: required, http: { port: client, path: '/{{ to.identity | hex }}' }, done: status == 200 }\n\
        \x20 remove-member: { at: other, exec: [x, '{{ target.ip }}'], done: code == 0, refused: code == 2 }\n\
        \x20 add-member: { at: target, exec: [x, '{{ target.id }}', '{{ id }}'], pattern: '(?<w>ok)', done: m.w == 'ok' }\n";
    let workload = "name: case\nsystem: { use: x.yaml }\nnodes: 3\nchecks: [reelection: { within: 9s }]\n\
        faults: { name: f, steps: [{ transfer: leader }, { remove-member: follower, for: 1s }] }\n";
    let source = Source { name: "case.yaml".to_owned(), text: workload.to_owned() };
    let loaded = load_source(source, &[], &|_| Ok(text.to_owned())).unwrap_or_else(|errors| panic!("{errors}"));
    let System::Defined(defined) = &loaded.workload.system else { panic!("the reference node") };
    let operations = &defined.definition.operations;
    let transfer = operations.transfer.as_ref().unwrap();
    assert_eq!((transfer.to, transfer.asked.at), (ToWhom::Required, AskedAt::Leader));
    let membership = operations.membership.as_ref().unwrap();
    assert_eq!((membership.remove.at, membership.add.at), (AskedAt::Other, AskedAt::Target));
    assert!(membership.remove.refused.is_some() && membership.add.pattern.is_some());
    // Who must be told to whom, and isn't by the plan, is told a follower.
    let saved = resolved_yaml(&loaded.workload);
    assert!(saved.contains("transfer: { node: leader, to: follower }"), "{saved}");
    let run = &defined.definition.nodes.processes[0].run;
    let scope = Scope { nodes: (1..=3).map(place).collect(), ..Scope::default() };
    let told = |context| run[1..].iter().map(|word| word.render(&context).unwrap()).collect::<Vec<_>>();
    assert_eq!(told(scope.at(Some(2))), ["n1,n2,n3", "new"]);
    assert_eq!(told(scope.joining(2, &[0, 2])), ["n1,n3", "old"]);
}

fn place(number: usize) -> chaos_plan::definition::PlaceOfNode {
    chaos_plan::definition::PlaceOfNode {
        id: format!("n{number}"),
        number,
        ip: format!("10.1.0.{number}"),
        dir: String::new(),
        data: String::new(),
        run: String::new(),
    }
}

#[test]
fn templates_render_against_a_real_cluster() {
    let definition = definition();
    let text = &definition.nodes.files[1].text;
    let scope = Scope {
        nodes: vec![place(1), place(2)],
        service: vec![place(3)],
        port: definition.ports.clone(),
        tune: definition.tune["fast"].clone(),
        ..Scope::default()
    };
    assert_eq!(text.render(&scope.at(Some(0))).unwrap(), "# n1\npeer 10.1.0.2:4001\nstore 10.1.0.3\n");
}
