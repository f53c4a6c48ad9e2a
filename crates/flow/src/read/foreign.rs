//! What people hand in by mistake, by its own marks, so that the answer can name it.

use serde_json::Value;

use super::ReadReason;

const EXPORT: &str = "Export the flow in Power Automate (Export > Package) or copy the Logic App's code view.";
const OTHER: &str = "Only flows of Power Automate and Azure Logic Apps are read. Write the token's table by hand: \
                     docs/configuration.md has an example.";

/// What a text that doesn't begin like JSON is.
pub(super) fn text(text: &str) -> Option<ReadReason> {
    let start: String = text.trim_start().chars().take(4_000).collect();
    let what = |what, instead| Some(ReadReason::Foreign { what, instead });
    if start.starts_with('<') {
        let html = start.to_ascii_lowercase().contains("<html");
        return what(if html { "a web page" } else { "XML" }, EXPORT);
    }
    let line = |begins: &str| start.lines().any(|line| line.trim_start().starts_with(begins));
    if start.contains("Microsoft.Logic/workflows@") || line("targetScope") || (line("param ") && line("resource ")) {
        return what(
            "Bicep",
            "Build it first (az bicep build --file FILE), and import the ARM template that comes out.",
        );
    }
    if line("resource \"") || line("terraform {") || line("provider \"") {
        return what("Terraform", "Copy the Logic App's code view in the portal instead.");
    }
    if start.starts_with("%PDF") {
        return what("a PDF", EXPORT);
    }
    if line("apiVersion:") || line("on:") || line("---") {
        return what("YAML", EXPORT);
    }
    None
}

/// What a JSON document without a flow is.
pub(super) fn document(value: &Value) -> ReadReason {
    let has = |key: &str| value.get(key).is_some();
    let any = |key: &str, test: &dyn Fn(&Value) -> bool| {
        value.get(key).and_then(Value::as_array).is_some_and(|list| list.iter().any(test))
    };
    let foreign = |what| ReadReason::Foreign { what, instead: OTHER };
    if any("nodes", &|node| node.get("type").is_some()) && has("connections") {
        return foreign("an export of n8n");
    }
    if any("flow", &|module| module.get("module").is_some()) {
        return foreign("a blueprint of Make");
    }
    if has("zaps") || any("steps", &|step| step.get("selected_api").is_some()) {
        return foreign("an export of Zapier");
    }
    if has("StartAt") && has("States") {
        return foreign("a state machine of AWS Step Functions");
    }
    if value.as_array().is_some_and(|list| list.iter().any(|node| node.get("wires").is_some())) {
        return foreign("a flow of Node-RED");
    }
    let activities = |value: &Value| value.get("activities").is_some();
    if activities(value) || value.get("properties").is_some_and(activities) {
        return foreign("a pipeline of Azure Data Factory");
    }
    if has("openapi") || has("swagger") {
        return foreign("a description of an API (OpenAPI)");
    }
    if has("info") && has("item") {
        return foreign("a collection of Postman");
    }
    if has("nodeId") && (has("nodeData") || has("nodeOperationInfo")) {
        return ReadReason::CopyWithoutDefinition;
    }
    if value.get("$schema").and_then(Value::as_str).is_some_and(|schema| schema.contains("deploymentParameters")) {
        return ReadReason::Foreign {
            what: "the parameters of an ARM template",
            instead: "Import the template itself.",
        };
    }
    ReadReason::NoFlow
}

/// What a zip without a flow is, by the paths in it.
pub(super) fn archive(paths: &[&str]) -> ReadReason {
    let has = |start: &str| paths.iter().any(|path| path.to_ascii_lowercase().starts_with(start));
    let foreign = |what, instead| ReadReason::Foreign { what, instead };
    if has("header.json") && (has("controls/") || has("src/") || has("references/")) {
        return foreign("an app of Power Apps (.msapp)", EXPORT);
    }
    if has("microsoft.powerapps/") {
        return foreign("a package of an app of Power Apps", EXPORT);
    }
    if has("solution.xml") {
        return foreign("a solution without a cloud flow", "Add the flow to the solution, and export it again.");
    }
    if has("[content_types].xml") {
        return foreign("a document of Office", EXPORT);
    }
    if has("meta-inf/") {
        return foreign("a Java archive", EXPORT);
    }
    foreign("a zip without a flow", EXPORT)
}
