//! A look at one answer with everything in it, for people who write a definition: what came back word for word, and what the
//! definition's expressions made of it.
//!
//! The same questions and the same expressions as in a run, asked once (also where an observer wants to be confirmed), and decides
//! nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chaos_history::{Belief, NodeId};
use chaos_plan::definition::{Observer, Ready, TemplateValue};

use super::{Asked, DefinedDriver, belief, with_status};
use crate::driver::ProbeError;

/// One observer's answer at one node, and how it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// What came back, as a text; `None` if nothing did.
    pub raw: Option<String>,
    /// The HTTP status, or the exit code of a command.
    pub status: Option<i64>,
    /// What the node calls itself, if the observer asks for that.
    pub identity: Option<String>,
    /// Whom the node named as its leader, in its own words; also if nobody is known by that name.
    pub named: Option<String>,
    /// What it means.
    pub belief: Result<Belief, Misunderstood>,
}

/// Why an answer is no view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    /// The observer's key that decides it: `pattern`, `role`, …; `None` if the question got no answer at all.
    pub key: Option<&'static str>,
    /// What is wrong.
    pub error: ProbeError,
}

impl DefinedDriver {
    /// Asks a node by one of the observers, by its place among them. The caller limits the time.
    ///
    /// # Panics
    /// If there is no such observer.
    pub async fn examine(&self, observer: usize, node: NodeId) -> Examined {
        let Asked { observer, tail, shown } = &self.observers[observer];
        let pattern = observer.pattern.as_ref();
        let mut examined = Examined {
            raw: None,
            status: None,
            identity: None,
            named: None,
            belief: Err(Misunderstood { key: None, error: ProbeError::Silent(String::new()) }),
        };
        let reply = match self.means.ask(node, &observer.ask, pattern, tail.as_ref()).await {
            Ok(reply) => reply,
            Err(error) => return Examined { belief: Err(Misunderstood { key: None, error }), ..examined },
        };
        examined.raw = Some(reply.text.clone());
        examined.status = reply.status;
        let context = match self.means.context(node, &reply, pattern) {
            Ok(context) => context,
            Err(error) => {
                let error = with_status(observer, &reply, error);
                return Examined { belief: Err(Misunderstood { key: Some("pattern"), error }), ..examined };
            }
        };
        examined.identity = belief::named(observer.identity.as_ref(), &context).ok().flatten();
        examined.named = belief::named(observer.leader.as_ref(), &context).ok().flatten();
        examined.belief = belief::belief(observer, node, self.members, &context, &self.identities, shown)
            .map_err(|error| with_status(observer, &reply, error))
            .map_err(|error| Misunderstood { key: first_trouble(observer, &context), error });
        examined
    }

    /// Where the programs are that the first node is started with, by their names in the definition.
    #[must_use]
    pub fn programs(&self) -> &BTreeMap<String, PathBuf> {
        &self.means.programs[0].paths
    }

    /// The conditions of readiness in words, in the definition's order.
    #[must_use]
    pub fn conditions(&self) -> Vec<String> {
        let words = self.ready.iter().map(|condition| match condition {
            Ready::Observed { observer, that } => format!("observer {observer}: {}", that.text()),
            Ready::Exec { run } => {
                format!("exec: {}", run.iter().map(|word| word.text()).collect::<Vec<_>>().join(" "))
            }
            Ready::Write => "write".to_owned(),
        });
        words.collect()
    }

    /// Whether one of the conditions holds, by its place among them; otherwise what is missing. The caller limits the time.
    ///
    /// # Errors
    /// What is missing, and at which node.
    ///
    /// # Panics
    /// If there is no such condition.
    pub async fn meets(&self, condition: usize) -> Result<(), String> {
        self.is_ready(&self.ready[condition]).await
    }
}

/// The first key of the observer that comes to nothing with this answer.
fn first_trouble(observer: &Observer, context: &TemplateValue) -> Option<&'static str> {
    let name = |expression| belief::named(expression, context).is_err();
    let term = observer.term.as_ref().is_some_and(|term| belief::number(term, context).is_err());
    let troubles = [
        ("identity", name(observer.identity.as_ref())),
        ("role", belief::role(&observer.role, context).is_err()),
        ("term", term),
        ("leader", name(observer.leader.as_ref())),
        ("voted-for", name(observer.voted_for.as_ref())),
        (
            "lease-remaining",
            observer.lease_remaining.as_ref().is_some_and(|lease| belief::nanoseconds(lease, context).is_err()),
        ),
    ];
    troubles.into_iter().find(|(_, wrong)| *wrong).map(|(key, _)| key)
}
