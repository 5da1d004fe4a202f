//! Templates and expressions of definitions: what they see, what they refuse.

use std::collections::BTreeMap;

use chaos_plan::definition::{Expression, Pattern, PlaceOfNode, Scope, Template, Tuned, value_of};

fn scope() -> Scope {
    let node = |number: usize| PlaceOfNode {
        id: format!("n{number}"),
        number,
        ip: format!("10.0.0.{number}"),
        dir: format!("/run/n{number}"),
        data: format!("/run/n{number}/data"),
        run: format!("/run/chaos/n{number}"),
    };
    Scope {
        nodes: (1..=3).map(node).collect(),
        tune: BTreeMap::from([("heartbeat".to_owned(), Tuned::Number(100))]),
        port: BTreeMap::from([("peer".to_owned(), 2380)]),
        ..Scope::default()
    }
}

#[test]
fn a_template_sees_its_own_node_and_all_others() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Template::new(text).unwrap().render(&scope().at(Some(1))).unwrap(), expected, "{text}");
    };
    check("{{ id }} {{ number }} {{ ip }} {{ data }}", "n2 2 10.0.0.2 /run/n2/data");
    check(
        "{{ nodes | each('{id}=http://{ip}:2380') }}",
        "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380",
    );
    check("{{ others | each('{id}', ' ') }}", "n1 n3");
    check("{{ first.ip }}:{{ port.peer }} {{ 2 * tune.heartbeat }}ms", "10.0.0.1:2380 200ms");
    check("{{ number == 2 }} {{ number == 3 }}", "true false");
    check("{% if number != 1 %}\nreplicaof {{ first.ip }}\n{% endif %}\nend\n", "replicaof 10.0.0.1\nend\n");
}

#[test]
fn what_is_not_defined_is_an_error_and_never_an_empty_text() {
    for text in ["{{ adress }}", "{{ tune.heart }}", "{{ nodes | each('{port}') }}", "{{ nodes | each('{id') }}"] {
        let error = Template::new(text).unwrap().render(&scope().at(Some(0))).unwrap_err();
        assert_eq!(error.text, text);
    }
    assert!(Template::new("{{ id").is_err());
    assert!(Expression::new("answer.").is_err());
    assert!(Pattern::new("(").is_err());
    assert!(Template::new("{{ ip }}").unwrap().render(&scope().at(None)).is_err(), "no node, no address");
}

#[test]
fn an_expression_reads_an_answer() {
    let answer =
        serde_json::json!({ "header": { "member_id": "17", "raft/term": 4 }, "leader": "17", "list": [{ "x": 1 }] });
    let context = value_of(BTreeMap::from([("answer", answer)]));
    let check = |text: &str, expected: &str| {
        assert_eq!(Expression::new(text).unwrap().value(&context).unwrap().to_string(), expected, "{text}");
    };
    check("'leader' if answer.leader == answer.header.member_id else 'follower'", "leader");
    check("at(answer, '/header/raft~1term') + 1", "5");
    check("at(answer, '/list/0/x')", "1");
    check("'bjE=' | b64decode", "n1");
    check("('0x500000007' | hex) // 4294967296", "5");
    assert!(!Expression::new("answer.nothing is defined").unwrap().value(&context).unwrap().is_true());
}

#[test]
fn a_pattern_gives_named_and_numbered_groups() {
    let pattern = Pattern::new(r"^Mode: (?<mode>leader|follower)$").unwrap();
    let groups = pattern.groups("Zxid: 0x5\nMode: follower\nNode count: 5\n").unwrap();
    assert_eq!((groups["mode"].as_str(), groups["1"].as_str()), ("follower", "follower"));
    assert_eq!(pattern.groups("Mode: observer\n"), None);
}
