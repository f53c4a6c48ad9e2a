//! How long an import takes to read a flow as large as the platforms allow, and to write its configuration.

use std::time::Instant;

use ::flow::Options as Wanted;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::table::{self, median, milliseconds};
use crate::{Failure, machine};

/// How many actions a flow may have.
const ACTIONS: usize = 500;

/// What it must take less than, in milliseconds.
const MOST: f64 = 100.0;

#[derive(Args)]
pub(crate) struct Options {
    /// Where other measurements make their stores; nothing is made here
    #[arg(long, hide = true)]
    folder: Option<std::path::PathBuf>,
    /// How often each flow is read
    #[arg(long, default_value_t = 21)]
    turns: usize,
}

/// Measures, and prints.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    println!("machine: {}", machine::description());
    println!("a flow of {ACTIONS} actions, from the bytes of its file to the configuration and the report\n");
    let mut rows = vec![["flow", "JSON", "median", "of the 100 ms allowed"].map(str::to_owned).to_vec()];
    for (what, flow) in
        [("125 renewals, one after the other", renewals()), ("values handed through 499 actions", chain())]
    {
        let text = flow.to_string();
        let taken = (0..options.turns.max(1)).map(|_| once(text.as_bytes())).collect::<Result<Vec<f64>, Failure>>()?;
        let taken = median(taken);
        rows.push(vec![
            what.to_owned(),
            format!("{:.0} kB", text.len() as f64 / 1e3),
            milliseconds(taken),
            format!("{:.0} %", taken / MOST * 100.0),
        ]);
    }
    table::print(&rows);
    Ok(())
}

/// Reads and imports the flow once; the milliseconds that it took.
fn once(bytes: &[u8]) -> Result<f64, Failure> {
    let options = Wanted { home_vault: "home".to_owned(), ..Wanted::default() };
    let start = Instant::now();
    let flows = ::flow::read("flow.json", bytes)?;
    let import = ::flow::import(&flows, &options);
    let taken = start.elapsed();
    if import.report.spending.iter().map(|spending| spending.actions_per_run).sum::<usize>() != ACTIONS {
        return Err("the flow has another number of actions".into());
    }
    Ok(taken.as_secs_f64() * 1e3)
}

fn flow_of(actions: Map<String, Value>) -> Value {
    json!({
        "triggers": { "Every": { "type": "Recurrence", "recurrence": { "frequency": "Hour", "interval": 1 } } },
        "actions": actions,
    })
}

fn action(kind: &str, inputs: Value, after: &Option<String>) -> Value {
    let after = after.as_ref().map_or_else(|| json!({}), |after| json!({ after: ["Succeeded"] }));
    json!({ "type": kind, "inputs": inputs, "runAfter": after })
}

/// The recipe's four steps, for as many APIs as fit.
fn renewals() -> Value {
    let mut actions = Map::new();
    let mut last = None;
    let mut add = |name: String, inputs: Value| {
        actions.insert(name.clone(), action("Http", inputs, &last));
        last = Some(name);
    };
    let sign_in = json!({ "type": "ManagedServiceIdentity", "audience": "https://vault.azure.net" });
    let secret = |name: String| format!("https://contoso.vault.azure.net/secrets/{name}?api-version=7.4");
    for number in 0..ACTIONS / 4 {
        for part in ["id", "key"] {
            let inputs =
                json!({ "method": "GET", "uri": secret(format!("{part}-{number}")), "authentication": sign_in });
            add(format!("Get_{part}_{number}"), inputs);
        }
        let form = format!(
            "grant_type=client_credentials&client_id=@{{body('Get_id_{number}')?['value']}}&client_secret=\
             @{{body('Get_key_{number}')?['value']}}&scope=read"
        );
        let inputs =
            json!({ "method": "POST", "uri": format!("https://api-{number}.example.com/token"), "body": form });
        add(format!("Ask_{number}"), inputs);
        let end = format!(
            "@{{add(div(sub(ticks(utcNow()), ticks('1970-01-01')), 10000000), body('Ask_{number}')?['expires_in'])}}"
        );
        let body =
            json!({ "value": format!("@{{body('Ask_{number}')?['access_token']}}"), "attributes": { "exp": end } });
        let inputs = json!({ "method": "PUT", "uri": secret(format!("token-{number}")), "authentication": sign_in, "body": body });
        add(format!("Put_{number}"), inputs);
    }
    flow_of(actions)
}

/// Each action adds to what the one before it has made: the most that a flow can make of following its values.
fn chain() -> Value {
    let mut actions = Map::new();
    let mut last: Option<String> = None;
    for number in 0..ACTIONS {
        let name = format!("Compose_{number}");
        let inputs = last.as_ref().map_or_else(
            || "@{utcNow()}".to_owned(),
            |last| format!("@concat(outputs('{last}'), guid(), 'and so on')"),
        );
        actions.insert(name.clone(), action("Compose", json!(inputs), &last));
        last = Some(name);
    }
    flow_of(actions)
}
