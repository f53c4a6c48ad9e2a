//! Plan and apply: what a configuration file would change, and changing it.

use std::path::Path;

use super::wire::{ChangeView, FieldChange, FileDefinitions, PlanView};
use super::{Admin, Answered, Call, Failed, json};
use crate::clock;
use crate::config::{self, Action, Config, Plan};
use crate::definitions;

impl Admin {
    pub(super) async fn plan(&self, call: &Call<'_>) -> Answered {
        let config = read(call)?;
        json(&view(&definitions::plan(self.engine.records(), &config, clock::now()).await?))
    }

    pub(super) async fn apply(&self, call: &Call<'_>) -> Answered {
        let config = read(call)?;
        let applying = async { Ok(self.engine.apply(&config).await?) };
        let applied = self.audited("DefinitionsApply", "", &config.file, applying).await?;
        json(&view(&applied.plan))
    }
}

fn read(call: &Call<'_>) -> Result<Config, Failed> {
    let sent: FileDefinitions = call.json()?;
    config::parse(&sent.text, &sent.file, Path::new(&sent.folder))
        .map_err(|errors| Failed::bad_request(errors.render(false)).help("`vestal check` shows the same"))
}

fn view(plan: &Plan) -> PlanView {
    let changes = plan.changes.iter().map(|change| {
        let (action, fields) = match &change.action {
            Action::Add(fields) => ("add", fields.as_slice()),
            Action::Change(fields) => ("change", fields.as_slice()),
            Action::Remove => ("remove", &[][..]),
        };
        let text = |value: &Option<serde_json::Value>| {
            value.as_ref().map(|value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        ChangeView {
            action: action.to_owned(),
            kind: change.kind.clone(),
            name: change.name.clone(),
            fields: fields
                .iter()
                .map(|field| FieldChange { field: field.field.clone(), from: text(&field.from), to: text(&field.to) })
                .collect(),
        }
    });
    PlanView { changes: changes.collect() }
}
