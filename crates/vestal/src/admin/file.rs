//! Plan and apply: what a configuration file would change, and changing it.

use std::path::Path;

use store::RecordError;

use super::wire::{ChangeView, FieldChange, FileDefinitions, PlanView};
use super::{Admin, Answered, Call, Failed, json};
use crate::clock;
use crate::config::{self, Action, Config, Credential, Plan};
use crate::definitions;

impl Admin {
    pub(super) async fn plan(&self, call: &Call<'_>) -> Answered {
        let config = read(call)?;
        let plan = definitions::plan(self.engine.records(), &config, clock::now()).await?;
        json(&view(&plan, self.missing_secrets(&config).await))
    }

    pub(super) async fn apply(&self, call: &Call<'_>) -> Answered {
        let config = read(call)?;
        let applying = async { Ok(self.engine.apply(&config).await?) };
        let applied = self.audited("DefinitionsApply", "", &config.file, applying).await?;
        json(&view(&applied.plan, self.missing_secrets(&config).await))
    }

    /// The secrets that the file's tokens and targets need and that are not there, as `vault/name`.
    async fn missing_secrets(&self, config: &Config) -> Vec<String> {
        let mut missing = Vec::new();
        for Credential { vault, secret: name, .. } in config.definitions.credentials() {
            let secret = format!("{vault}/{name}");
            if !missing.contains(&secret)
                && matches!(self.engine.records().current(vault, name).await, Err(RecordError::NotFound))
            {
                missing.push(secret);
            }
        }
        missing
    }
}

fn read(call: &Call<'_>) -> Result<Config, Failed> {
    let sent: FileDefinitions = call.json()?;
    config::parse(&sent.text, &sent.file, Path::new(&sent.folder))
        .map_err(|errors| Failed::bad_request(errors.render(false)).help("`vestal check` shows the same"))
}

fn view(plan: &Plan, missing_secrets: Vec<String>) -> PlanView {
    let changes = plan.changes.iter().map(|change| {
        let (action, fields) = match &change.action {
            Action::Add(fields) => ("add", fields.as_slice()),
            Action::Change(fields) => ("change", fields.as_slice()),
            Action::Remove => ("remove", &[][..]),
        };
        let shown = |field: &config::FieldChange, value: &Option<serde_json::Value>| {
            value.as_ref().map(|value| config::shown(&change.kind, &field.field, value))
        };
        ChangeView {
            action: action.to_owned(),
            kind: change.kind.clone(),
            name: change.name.clone(),
            fields: fields
                .iter()
                .map(|field| FieldChange {
                    field: field.field.clone(),
                    from: shown(field, &field.from),
                    to: shown(field, &field.to),
                })
                .collect(),
        }
    });
    PlanView { changes: changes.collect(), missing_secrets }
}
