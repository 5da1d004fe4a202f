//! What a running cluster of a defined system is told: the definition's operations, and the start of a member that joins.

use std::path::PathBuf;

use chaos_history::NodeId;
use chaos_plan::definition::{
    AskedAt, AskedOperation, EvaluateError, Operations, Part, Scope, TemplateValue, beside, value_of,
};

use super::{DefinedDriver, DefinedError, DefinedSetup, Programs, render};
use crate::driver::{AskedOf, Change, ChangeOf, Launch, ProbeError, Unchanged};
use crate::probe::Reply;

/// What is needed for it.
pub(super) struct Changing {
    operations: Operations,
    /// What a node runs, and what its templates see.
    part: Part,
    /// What each node sees of the cluster; nodes of one tuning see the same.
    scopes: Vec<Scope>,
    directories: Vec<PathBuf>,
}

impl Changing {
    /// What a definition says of it, with every start tried.
    pub(super) fn of(setup: &DefinedSetup, scopes: Vec<Scope>, programs: &[Programs]) -> Result<Self, DefinedError> {
        let definition = &setup.system.definition;
        let changing = Self {
            operations: definition.operations.clone(),
            part: definition.nodes.clone(),
            scopes,
            directories: setup.directories.clone(),
        };
        let all: Vec<NodeId> = NodeId::all(setup.nodes).collect();
        for &node in all.iter().filter(|_| definition.operations.membership.is_some()) {
            changing.joining(node, &all, &programs[node.index()]).map_err(|error| {
                let (system, why) = (definition.name.clone(), error.to_string());
                DefinedError::Unrendered { system, node, why }
            })?;
        }
        Ok(changing)
    }

    /// How a node is started to join a cluster of these members.
    pub(super) fn joining(
        &self,
        node: NodeId,
        members: &[NodeId],
        programs: &Programs,
    ) -> Result<Launch, EvaluateError> {
        let members: Vec<usize> = members.iter().map(|member| member.index()).collect();
        let context = self.scopes[node.index()].joining(node.index(), &members);
        let directory = &self.directories[node.index()];
        let is_first = node.index() == 0;
        render::Rendering { part: &self.part, context: &context, programs, directory, is_first }.launch()
    }
}

impl DefinedDriver {
    fn operation(&self, what: ChangeOf) -> Option<&AskedOperation> {
        let Operations { transfer, membership } = &self.changing.operations;
        match what {
            ChangeOf::Transfer { .. } => transfer.as_ref().map(|transfer| &transfer.asked),
            ChangeOf::Remove => membership.as_ref().map(|membership| &membership.remove),
            ChangeOf::Add => membership.as_ref().map(|membership| &membership.add),
        }
    }

    /// A node with what it calls itself.
    fn called(&self, node: NodeId) -> TemplateValue {
        let identity = self.identities.of(node).unwrap_or_else(|| node.to_string());
        beside(
            &value_of(&self.changing.scopes[node.index()].nodes[node.index()]),
            vec![("identity", TemplateValue::from(identity))],
        )
    }

    /// Tells the cluster something, once.
    pub(super) async fn tell(&self, change: Change) -> Result<(), Unchanged> {
        let Some(operation) = self.operation(change.what) else {
            return Err(Unchanged::Refused("the system's definition has no such operation".to_owned()));
        };
        let node = change.asked(match operation.at {
            AskedAt::Leader => AskedOf::Leader,
            AskedAt::Target => AskedOf::Target,
            AskedAt::Other => AskedOf::Other,
        });
        let to = match change.what {
            ChangeOf::Transfer { to } => to.map(|to| self.called(to)),
            ChangeOf::Remove | ChangeOf::Add => None,
        };
        let words = vec![("target", self.called(change.target)), ("to", to.unwrap_or_else(|| TemplateValue::from(())))];
        let scope = beside(&self.means.scopes[node.index()], words);
        let unknown = |error: ProbeError| Unchanged::Unknown(format!("{node}: {error}"));
        let AskedOperation { ask, pattern, done, refused, .. } = operation;
        let reply = self.means.ask_of(node, &scope, ask, pattern.as_ref(), None).await.map_err(unknown)?;
        let said = || format!("{node} answered {}", shown(&reply));
        let Some(context) = reply.context(&scope, pattern.as_ref()) else {
            return Err(Unchanged::Unknown(format!("{}, which `pattern` does not match", said())));
        };
        // What an expression can't make sense of is neither.
        let holds = |expression: &chaos_plan::definition::Expression| {
            expression.value(&context).is_ok_and(|value| value.is_true())
        };
        if holds(done) {
            return Ok(());
        }
        Err(if refused.as_ref().is_some_and(holds) { Unchanged::Refused(said()) } else { Unchanged::Unknown(said()) })
    }
}

/// The beginning of an answer, for people.
fn shown(reply: &Reply) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = reply.text.trim().chars().take(200).map(plain).collect();
    reply.status.map_or_else(|| format!("`{text}`"), |status| format!("{status}: `{text}`"))
}
