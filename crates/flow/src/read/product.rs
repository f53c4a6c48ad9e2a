//! What a file is that holds no flow, as far as its shape tells.

use serde_json::{Map, Value};

/// What an archive of these files is.
pub(super) fn of_archive(names: &[String]) -> Option<&'static str> {
    let any =
        |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(&name.replace('\\', "/").to_ascii_lowercase()));
    Some(if any(&|name| name == "word/document.xml" || name == "xl/workbook.xml" || name == "ppt/presentation.xml") {
        "an Office document"
    } else if any(&|name| name.starts_with("microsoft.powerapps/") || name.ends_with(".msapp")) {
        "an exported canvas app"
    } else if any(&|name| name == "solution.xml" || name == "customizations.xml") {
        "a Dataverse solution without cloud flows: add the flow to the solution, and export it again"
    } else if any(&|name| name == "datamodel" || name == "report/layout") {
        "a Power BI report"
    } else if any(&|name| name == "meta-inf/manifest.mf") {
        "a Java archive"
    } else if any(&|name| name == "project.json" || name.ends_with(".xaml")) {
        "a project of UiPath or of Power Automate for desktop"
    } else if any(&|name| name == "host.json") {
        "a function app's project without workflows"
    } else {
        return None;
    })
}

/// What a text is that is no JSON.
pub(super) fn of_text(text: &str) -> Option<&'static str> {
    let start = text.get(..200).unwrap_or(text).to_ascii_lowercase();
    Some(if start.starts_with("<!doctype html") || start.starts_with("<html") {
        "a web page, as a portal shows it to those who aren't signed in"
    } else if start.starts_with('<') {
        "XML"
    } else if text.contains("'Microsoft.Logic/workflows@") {
        "a Bicep file: turn it into an ARM template first, with `az bicep build --file FILE`"
    } else {
        return None;
    })
}

/// What a JSON object is.
pub(super) fn of_object(object: &Map<String, Value>) -> Option<&'static str> {
    let has = |key: &str| object.contains_key(key);
    let schema = object.get("$schema").and_then(Value::as_str).unwrap_or_default();
    Some(if has("nodes") && has("connections") {
        "a workflow of n8n"
    } else if has("flow") && has("metadata") {
        "a blueprint of Make"
    } else if has("StartAt") && has("States") {
        "a state machine of AWS Step Functions"
    } else if has("swagger") || has("openapi") {
        "an OpenAPI description"
    } else if has("name") && has("activities") || has("properties") && has_activities(object) {
        "a pipeline of Azure Data Factory"
    } else if schema.contains("deploymentTemplate.json") {
        "an ARM template without a Logic App (`Microsoft.Logic/workflows`)"
    } else if has("info") && has("item") {
        "a collection of Postman"
    } else if has("lastNode") || has("zap") || has("zaps") {
        "an export of Zapier"
    } else {
        return None;
    })
}

fn has_activities(object: &Map<String, Value>) -> bool {
    object.get("properties").and_then(|properties| properties.get("activities")).is_some()
}
