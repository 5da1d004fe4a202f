//! From templates to command lines and files: everything that a node is started with, for every node, before any is started.

use std::ffi::OsString;
use std::path::Path;

use chaos_history::NodeId;
use chaos_plan::definition::{
    DefinedSystem, EvaluateError, Part, PlaceOfNode, Scope, SetupCommand, SetupOn, Template, TemplateValue,
};

use super::{DefinedSetup, Programs};
use crate::driver::{CommandLine, Launch, LaunchFile, LaunchProcess, Preparation};

/// What the templates of all nodes see that run this variant of the system.
pub(super) fn scope(setup: &DefinedSetup, system: &DefinedSystem, programs: &Programs) -> Scope {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let place = |(index, (ip, directory)): (usize, (&std::net::Ipv4Addr, &std::path::PathBuf))| {
        let id = NodeId::from_index(index).to_string();
        PlaceOfNode {
            number: index + 1,
            ip: ip.to_string(),
            dir: text(directory),
            data: text(&directory.join("data")),
            run: text(&setup.run.join(&id)),
            id,
        }
    };
    let mut nodes: Vec<PlaceOfNode> = setup.addresses.iter().zip(&setup.directories).enumerate().map(place).collect();
    let service = nodes.split_off(setup.nodes);
    Scope {
        nodes,
        service,
        tune: system.tuned(),
        port: system.definition.ports.clone(),
        program: programs.paths.iter().map(|(name, path)| (name.clone(), text(path))).collect(),
        install: programs.prefix.as_deref().map(text).unwrap_or_default(),
        version: system.version().unwrap_or_default().to_owned(),
        seed: setup.seed.0,
        resource: setup.resource.to_string(),
    }
}

/// What the templates about one node see: the others under the addresses that this node is told.
pub(super) fn seen_by(scope: &Scope, setup: &DefinedSetup, viewer: usize) -> Scope {
    let mut scope = scope.clone();
    let Some(views) = &setup.views else { return scope };
    for (node, ip) in scope.nodes.iter_mut().chain(&mut scope.service).zip(&views[viewer]) {
        node.ip = ip.to_string();
    }
    scope
}

/// One node with the words of its part.
pub(super) struct Rendering<'a> {
    pub(super) part: &'a Part,
    pub(super) context: &'a TemplateValue,
    pub(super) programs: &'a Programs,
    pub(super) directory: &'a Path,
    /// Whether it is the first node of its part.
    pub(super) is_first: bool,
}

impl Rendering<'_> {
    /// How the node is started.
    pub(super) fn launch(&self) -> Result<Launch, EvaluateError> {
        let files = self.part.files.iter().map(|file| {
            let path = self.directory.join(file.path.render(self.context)?);
            Ok(LaunchFile { path, text: file.text.render(self.context)?, mode: file.mode })
        });
        let remove = self.part.clean_on_restart.iter().map(|path| Ok(self.directory.join(path.render(self.context)?)));
        let processes = self.part.processes.iter().map(|process| {
            let mut command = self.command(&process.run)?;
            for (name, value) in &process.environment {
                command.environment.push((name.into(), value.render(self.context)?.into()));
            }
            command.nonroot = process.nonroot;
            Ok(LaunchProcess { name: process.name.clone(), command })
        });
        Ok(Launch {
            files: files.collect::<Result<_, _>>()?,
            setup: self.preparations(&self.part.setup)?,
            remove: remove.collect::<Result<_, _>>()?,
            processes: processes.collect::<Result<_, _>>()?,
        })
    }

    /// The commands of a list that are meant for this node.
    pub(super) fn preparations(&self, commands: &[SetupCommand]) -> Result<Vec<Preparation>, EvaluateError> {
        let meant = commands.iter().filter(|command| match command.on {
            SetupOn::First => self.is_first,
            SetupOn::Others => !self.is_first,
            SetupOn::All => true,
        });
        let rendered = meant.map(|setup| {
            let command = CommandLine { nonroot: setup.nonroot, ..self.command(&setup.run)? };
            Ok(Preparation { command, retry_for: setup.retry_for })
        });
        rendered.collect()
    }

    fn command(&self, words: &[Template]) -> Result<CommandLine, EvaluateError> {
        let words = words.iter().map(|word| word.render(self.context)).collect::<Result<Vec<_>, _>>()?;
        let mut command = self.programs.command(&words, self.directory);
        command.directory = Some(self.directory.to_owned());
        if let Some(prefix) = &self.programs.prefix {
            // Programs that start others of the same installation by name (an agent its database) find them.
            let mut path = OsString::from(prefix.join("bin"));
            if let Some(outer) = std::env::var_os("PATH") {
                path.push(":");
                path.push(outer);
            }
            command.environment.push(("PATH".into(), path));
        }
        Ok(command)
    }
}

/// The options of the client: the definition's, with what the workload changes of them.
pub(super) fn client_options(
    system: &DefinedSystem,
    context: &TemplateValue,
) -> Result<std::collections::BTreeMap<String, String>, EvaluateError> {
    let mut options = std::collections::BTreeMap::new();
    for (name, template) in system.definition.client.iter().flat_map(|client| &client.options) {
        options.insert(name.clone(), template.render(context)?);
    }
    options.extend(system.client.clone());
    Ok(options)
}
