//! What templates and expressions may speak of, and a trial of each before anything starts.
//!
//! A template is compiled and rendered for every node of a cluster of three in every tuning profile, so that a name that is
//! written wrong has its line. An expression is about an answer that nobody has yet: its names are checked, and that its filters
//! exist; what it makes of an answer only a run can tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Expression, Pattern, PlaceOfNode, Scope, Template, TemplateValue, Tuned, beside, value_of};
use crate::error::{Mistake, nearest};
use crate::read::{Field, Reader};
use crate::source::Place;

/// How much the trial of all templates of a definition may take, in steps and bytes: a second of work.
const RENDERING_MAX: u64 = 16 << 20;

/// How many nodes the trial cluster has.
const NODES: usize = 3;

/// Words of templates that are about a node.
const OF_A_NODE: [&str; 6] = ["id", "number", "ip", "dir", "data", "run"];

/// Words of all templates.
const OF_ALL: [&str; 13] = [
    "nodes", "others", "first", "service", "tune", "port", "program", "install", "version", "seed", "resource",
    "members", "joining",
];

/// Words of what an operation over HTTP sends.
const OF_AN_OPERATION: [&str; 3] = ["key", "value", "expect"];

/// Words of what the cluster is told.
const OF_A_CHANGE: [&str; 2] = ["target", "to"];

/// Functions of the template language.
const FUNCTIONS: [&str; 5] = ["at", "range", "dict", "namespace", "debug"];

/// What a template is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// One of the nodes under test.
    Node,
    /// A service node.
    Service,
    /// No node: the cluster as a whole.
    Cluster,
    /// A client's operation at a node under test.
    Operation,
    /// Something that the cluster is told, without a destination.
    Change,
    /// The same with one.
    TransferTo,
    /// The same with one or without.
    Transfer,
}

/// A cluster that exists only to try templates on.
pub(super) struct Sight {
    scope: Scope,
    /// What templates see, by what they are about: for each node in each profile, which that is in words.
    node: Vec<(String, TemplateValue)>,
    service: Vec<(String, TemplateValue)>,
    cluster: Vec<(String, TemplateValue)>,
    operation: Vec<(String, TemplateValue)>,
    /// First with a destination, then, as many, without.
    change: Vec<(String, TemplateValue)>,
}

impl Sight {
    /// The cluster in each profile; `changing`: and its nodes as joining ones, if members come and go.
    pub(super) fn new(
        scope: &Scope,
        profiles: &BTreeMap<String, BTreeMap<String, Tuned>>,
        service: usize,
        changing: bool,
    ) -> Self {
        let nodes: Vec<PlaceOfNode> = (1..=NODES).map(place).collect();
        let places: Vec<PlaceOfNode> = (NODES + 1..=NODES + service).map(place).collect();
        let tune = profiles.values().next().cloned().unwrap_or_default();
        let scope = Scope { nodes, service: places, tune, ..scope.clone() };
        let none = BTreeMap::from([("default".to_owned(), BTreeMap::new())]);
        let profiles = if profiles.is_empty() { &none } else { profiles };
        let (node, service, cluster, operation) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut sight = Self { scope, node, service, cluster, operation, change: Vec::new() };
        let mut alone = Vec::new();
        for (profile, tune) in profiles {
            let scope = Scope { tune: tune.clone(), ..sight.scope.clone() };
            sight.cluster.push((format!("in the profile `{profile}`"), scope.at(None)));
            for own in 0..NODES + sight.scope.service.len() {
                let whose = format!("at n{} in the profile `{profile}`", own + 1);
                let value = scope.at(Some(own));
                if own >= NODES {
                    sight.service.push((whose, value));
                    continue;
                }
                let operation = OF_AN_OPERATION.map(|word| (word, TemplateValue::from(1))).to_vec();
                sight.operation.push((whose.clone(), beside(&value, operation)));
                if changing {
                    let member = |index: usize| value_of(&scope.nodes[index]);
                    let called = |index| beside(&member(index), vec![("identity", TemplateValue::from("1"))]);
                    let target = ("target", called(own));
                    let to = ("to", called((own + 1) % NODES));
                    sight.change.push((whose.clone(), beside(&value, vec![target.clone(), to])));
                    alone.push((whose.clone(), beside(&value, vec![target, ("to", TemplateValue::from(()))])));
                    sight.node.push((format!("{whose}, joining,"), scope.joining(own, &[0, own])));
                }
                sight.node.push((whose, value));
            }
        }
        sight.change.append(&mut alone);
        sight
    }

    /// What the template sees in each profile and at each node.
    pub(super) fn values(&self, site: Site) -> &[(String, TemplateValue)] {
        match site {
            Site::Node => &self.node,
            Site::Service => &self.service,
            Site::Cluster => &self.cluster,
            Site::Operation => &self.operation,
            Site::TransferTo => &self.change[..self.change.len() / 2],
            Site::Change => &self.change[self.change.len() / 2..],
            Site::Transfer => &self.change,
        }
    }

    fn words(site: Site, answer: &[&'static str]) -> Vec<&'static str> {
        let mut words: Vec<&'static str> = answer.to_vec();
        words.extend(OF_ALL);
        match site {
            Site::Node | Site::Service => words.extend(OF_A_NODE),
            Site::Operation => words.extend(OF_A_NODE.into_iter().chain(OF_AN_OPERATION)),
            Site::Change | Site::TransferTo | Site::Transfer => {
                words.extend(OF_A_NODE.into_iter().chain(OF_A_CHANGE));
            }
            Site::Cluster => {}
        }
        words
    }
}

fn place(number: usize) -> PlaceOfNode {
    PlaceOfNode {
        id: format!("n{number}"),
        number,
        ip: format!("10.0.0.{number}"),
        dir: format!("/nodes/n{number}"),
        data: format!("/nodes/n{number}/data"),
        run: format!("/run/n{number}"),
    }
}

impl Reader {
    /// A template.
    pub(super) fn template(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Option<Template> {
        let text = self.text(field, "a text")?;
        self.template_of(text, field.node.place, sight, site)
    }

    /// A template that is a text at a place: a key, say.
    pub(super) fn template_of(&mut self, text: &str, place: Place, sight: &Sight, site: Site) -> Option<Template> {
        self.tried(text, place, sight, site).map(|(template, _)| template)
    }

    /// A template and what it renders to, for each of [`Sight::values`]; nothing once the definition's templates have taken what
    /// all of them together may take, which is one mistake.
    fn tried(&mut self, text: &str, place: Place, sight: &Sight, site: Site) -> Option<(Template, Vec<String>)> {
        let template = match Template::new(text) {
            Ok(template) => template,
            Err(error) => {
                self.note(Mistake::at(place, "this is no template").label(error.what));
                return None;
            }
        };
        if text.contains('\0') {
            self.note(Mistake::at(place, "a text with a NUL").label("no program or file can be given this"));
            return None;
        }
        self.names_are_known(&template.free_names(), place, sight, &Sight::words(site, &[]), None)?;
        let mut texts = Vec::new();
        for (whose, value) in sight.values(site) {
            if self.rendering_took > RENDERING_MAX {
                return Some((template, Vec::new()));
            }
            match template.render_counted(value) {
                Ok((text, took)) => {
                    texts.push(text);
                    self.rendering_took += took;
                }
                Err(error) => {
                    let mistake = Mistake::at(place, format!("this can't be rendered {whose}")).label(error.what);
                    self.note(mistake.help("it is tried for a cluster of three nodes, in each tuning profile"));
                    return None;
                }
            }
            if self.rendering_took > RENDERING_MAX {
                let mistake = Mistake::at(place, "the definition's templates render to too much");
                self.note(mistake.label(format!("here they have taken {RENDERING_MAX} steps and bytes")).help(
                    "all templates together, tried for a cluster of three nodes, in each tuning profile, may take that much",
                ));
            }
        }
        Some((template, texts))
    }

    /// A template that renders to a path inside the node's own directories.
    pub(super) fn path_of(&mut self, text: &str, place: Place, sight: &Sight, site: Site) -> Option<Template> {
        let (template, paths) = self.tried(text, place, sight, site)?;
        for path in paths {
            let inside = !path.starts_with('/') || path.starts_with("/nodes/n") || path.starts_with("/run/n");
            if path.is_empty() || !inside || path.split('/').any(|step| step == "..") {
                let mistake = Mistake::at(place, format!("`{path}` is no path in the node's directory"))
                    .help("relative to it, for example `my.cfg`, or below `{{ dir }}`, `{{ data }}` or `{{ run }}`");
                self.note(mistake);
                return None;
            }
        }
        Some(template)
    }

    /// What the template renders to, in each profile and at each node, as `parse` reads it.
    pub(super) fn renders_to<T>(
        &mut self,
        field: Field<'_>,
        sight: &Sight,
        site: Site,
        wanted: &str,
        parse: fn(&str) -> Result<T, &'static str>,
    ) -> Option<Template> {
        let text = self.text(field, "a text")?;
        let (template, texts) = self.tried(text, field.node.place, sight, site)?;
        for ((whose, _), rendered) in sight.values(site).iter().zip(texts) {
            if let Err(why) = parse(rendered.trim()) {
                let mistake = Mistake::at(field.node.place, format!("`{}` must be {wanted}", field.name))
                    .label(why)
                    .help(format!("{whose} it is `{rendered}`"));
                self.note(mistake);
                return None;
            }
        }
        Some(template)
    }

    /// An expression about an answer: `answer` are the words that the answer brings, `pattern` what its groups are taken from.
    pub(super) fn expression(
        &mut self,
        field: Field<'_>,
        sight: &Sight,
        site: Site,
        answer: &[&'static str],
        pattern: Option<&Pattern>,
    ) -> Option<Expression> {
        let text = self.text(field, "an expression, for example `answer.leader`")?;
        let place = field.node.place;
        let expression = match Expression::new(text) {
            Ok(expression) => expression,
            Err(error) => {
                let mistake = Mistake::at(place, format!("`{}` is no expression", field.name)).label(error.what);
                self.note(mistake.help("an expression stands without braces, for example `answer.leader`"));
                return None;
            }
        };
        let words = Sight::words(site, answer);
        self.names_are_known(&expression.free_names(), place, sight, &words, pattern)?;
        // Nobody knows the answer; but a filter that isn't there is one in any case.
        if let Some((_, value)) = sight.values(site).first()
            && let Err(error) = expression.value(value)
            && error.what.starts_with("unknown ")
        {
            self.note(Mistake::at(place, format!("`{}` can't be evaluated", field.name)).label(error.what));
            return None;
        }
        Some(expression)
    }

    /// A regular expression.
    pub(super) fn pattern(&mut self, field: Field<'_>) -> Option<Pattern> {
        let text = self.text(field, "a regular expression")?;
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                // The library draws the expression and carets below it, over several lines.
                let why = error.what.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                self.note(
                    Mistake::at(field.node.place, format!("`{}` is no regular expression", field.name)).label(why),
                );
                None
            }
        }
    }

    /// Notes every name that means nothing; `None` if there is one.
    fn names_are_known(
        &mut self,
        names: &BTreeSet<String>,
        place: Place,
        sight: &Sight,
        words: &[&'static str],
        pattern: Option<&Pattern>,
    ) -> Option<()> {
        let before = self.mistakes.len();
        for name in names {
            let mut steps = name.split('.');
            let (head, member) = (steps.next().unwrap_or_default(), steps.next());
            if FUNCTIONS.contains(&head) {
                continue;
            }
            if head == "m" {
                self.group_is_known(place, member, pattern);
                continue;
            }
            if !words.contains(&head) {
                // The rest of a name with a `-` in it that was written with a dot, and has been told of.
                let rest = format!("-{head}");
                let hyphened = |known: &String| known.ends_with(&rest);
                if self.mistakes.len() > before
                    && (sight.scope.tune.keys().any(hyphened) || sight.scope.port.keys().any(hyphened))
                {
                    continue;
                }
                let mistake = Mistake::at(self.word_at(place, head), format!("unknown name `{head}`"));
                self.note(match nearest(head, words.iter().copied()) {
                    Some(near) => mistake.label(format!("did you mean `{near}`?")),
                    None => mistake.label("nothing is called so here").help(format!("known: {}", words.join(", "))),
                });
                continue;
            }
            let scope = &sight.scope;
            let members: Vec<&String> = match head {
                "tune" => scope.tune.keys().collect(),
                "port" => scope.port.keys().collect(),
                "program" => scope.program.keys().collect(),
                _ => continue,
            };
            let Some(member) = member else { continue };
            if !members.iter().any(|known| known.as_str() == member) {
                let mistake = Mistake::at(self.word_at(place, name), format!("`{head}` has no `{member}`"));
                self.note(match nearest(member, members.iter().map(|known| known.as_str())) {
                    Some(near) if near.contains('-') => mistake.label(format!("did you mean `{head}['{near}']`?")),
                    Some(near) => mistake.label(format!("did you mean `{head}.{near}`?")),
                    None => mistake.help(match head {
                        "tune" => "every profile under `tune` has it, or none",
                        "port" => "name the port under `ports`",
                        _ => "name the program under `programs`",
                    }),
                });
            }
        }
        (before == self.mistakes.len()).then_some(())
    }

    fn group_is_known(&mut self, place: Place, group: Option<&str>, pattern: Option<&Pattern>) {
        let Some(pattern) = pattern else {
            let mistake = Mistake::at(self.word_at(place, "m"), "`m` without a pattern")
                .label("these are the groups of `pattern`")
                .help("add for example `pattern: 'Mode: (?<mode>\\w+)'`");
            return self.note(mistake);
        };
        let (names, _) = pattern.group_names();
        let Some(group) = group.filter(|group| !names.contains(group) && group.parse::<usize>().is_err()) else {
            return;
        };
        let mistake = Mistake::at(self.word_at(place, group), format!("the pattern has no group `{group}`"));
        let mistake = match nearest(group, names.iter().copied()) {
            Some(near) => mistake.label(format!("did you mean `m.{near}`?")),
            None => mistake.help(format!("a group has its name in the pattern: `(?<{group}>…)`")),
        };
        self.note(mistake);
    }

    /// Where a word stands in a scalar, which may have many lines; the scalar itself if it is nowhere (behind an escape).
    fn word_at(&self, place: Place, word: &str) -> Place {
        let text = &self.sources.get(place.source_index).text;
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut from = self.sources.range(place).start;
        while let Some(at) = text[from..].find(word).map(|at| from + at) {
            let end = at + word.len();
            let alone = !text[..at].ends_with(is_part) && !text[end..].starts_with(is_part);
            if alone {
                return Place { start: at, end, ..place };
            }
            from = end;
        }
        place
    }
}
