//! What a cluster can be told while it runs.

use super::observers::{ANSWER, Surroundings};
use super::sight::Site;
use crate::definition::{AskedAt, AskedOperation, MembershipOperations, Operations, ToWhom, TransferOperation};
use crate::error::Mistake;
use crate::read::{Field, Fields, Reader};
use crate::words;

impl Reader {
    pub(super) fn operations(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Operations {
        let Some(fields) = self.open(field, &[&words::CLUSTER_OPERATIONS]) else { return Operations::default() };
        let transfer = fields.get("transfer").and_then(|field| self.transfer_operation(field, around));
        let mut of_member = |name| {
            let field = fields.get(name)?;
            let fields = self.open(field, &[&words::OPERATION, &words::ENGINES])?;
            self.operation(field, &fields, Site::Change, around)
        };
        let (remove, add) = (of_member("remove-member"), of_member("add-member"));
        for (one, other) in [("remove-member", "add-member"), ("add-member", "remove-member")] {
            if let (Some(field), None) = (fields.get(one), fields.get(other)) {
                let mistake = Mistake::at(field.key, format!("`{one}` without `{other}`"));
                self.note(mistake.label("who is removed for a time is added again"));
            }
        }
        let membership = remove.zip(add).map(|(remove, add)| MembershipOperations { remove, add });
        Operations { transfer, membership }
    }

    fn transfer_operation(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<TransferOperation> {
        let fields = self.open(field, &[&words::OPERATION, &words::TRANSFER_OPERATION, &words::ENGINES])?;
        let to = fields.get("to").and_then(|field| self.one_of(field, "choice", &["required", "optional", "never"]));
        let to = match to {
            Some("required") => ToWhom::Required,
            Some("never") => ToWhom::Never,
            Some(_) | None => ToWhom::Optional,
        };
        let site = match to {
            ToWhom::Required => Site::TransferTo,
            ToWhom::Optional => Site::Transfer,
            ToWhom::Never => Site::Change,
        };
        Some(TransferOperation { to, asked: self.operation(field, &fields, site, around)? })
    }

    fn operation(
        &mut self,
        field: Field<'_>,
        fields: &Fields<'_>,
        site: Site,
        around: &Surroundings<'_>,
    ) -> Option<AskedOperation> {
        let owner = format!("the operation `{}`", field.name);
        let at = fields.get("at").and_then(|field| self.one_of(field, "node", &["leader", "target", "other"]));
        let asked = fields.get("pattern");
        let pattern = asked.and_then(|field| self.pattern(field));
        let around = Surroundings { site, processes: around.processes.clone(), ..*around };
        let ask = self.ask(fields, &owner, asked.is_some(), &around);
        if let Some(field) = fields.get("log").or(fields.get("address")) {
            let mistake = Mistake::at(field.key, format!("`{}` of {owner}", field.name));
            self.note(mistake.label("it only looks: nobody is asked for anything"));
        }
        let done = self.required(fields, &owner, "done", "say when it is done: `done: status == 200`");
        if asked.is_some() && pattern.is_none() {
            return None;
        }
        let mut expression = |field| self.expression(field, around.sight, site, &ANSWER, pattern.as_ref());
        let done = done.and_then(&mut expression);
        let refused = fields.get("refused").map(expression);
        let at = match at {
            Some("target") => AskedAt::Target,
            Some("other") => AskedAt::Other,
            Some(_) | None => AskedAt::Leader,
        };
        Some(AskedOperation { at, ask: ask?, pattern, done: done?, refused: refused.flatten() })
    }
}
