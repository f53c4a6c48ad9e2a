//! Zip archives: exported packages, solutions, and projects of Logic Apps. Nothing is unpacked to disk.

use core::cell::Cell;
use std::io::{Cursor, Read as _};

use serde_json::Value;
use zip::ZipArchive;

use super::container::{self, Connections};
use super::{LARGEST_JSON, ReadReason, json, product};
use crate::flow::Flow;

/// The most entries that an export has.
const MOST_ENTRIES: usize = 10_000;

/// Whether these are the first bytes of a zip archive, of an empty one too.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Flow>, ReadReason> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| ReadReason::DamagedArchive)?;
    if archive.len() > MOST_ENTRIES {
        return Err(ReadReason::Bomb);
    }
    // Of two entries with one name, the archive knows the last one alone.
    if entries(bytes).is_some_and(|entries| entries != archive.len()) {
        return Err(ReadReason::SameEntry);
    }
    let names = archive.file_names().map(|name| name.map(|name| name.into_owned()));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(|_| ReadReason::DamagedArchive)?;
    if let Some(outside) = names.iter().find(|name| leads_outside(name)) {
        return Err(ReadReason::PathOutside(outside.chars().filter(|letter| !letter.is_control()).take(100).collect()));
    }
    // One that says less than it has is cut off there.
    let mut left = LARGEST_JSON as u64;
    let values = Cell::new(json::MOST_VALUES);
    let (mut files, mut flows, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|_| ReadReason::DamagedArchive)?;
        let name = entry.name().map_err(|_| ReadReason::DamagedArchive)?.replace('\\', "/");
        if !may_be_flow(&name) && !is_connections(&name) {
            continue;
        }
        let mut text = Vec::new();
        (&mut entry).take(left + 1).read_to_end(&mut text).map_err(|_| ReadReason::DamagedArchive)?;
        left = left.checked_sub(text.len() as u64).ok_or(ReadReason::Bomb)?;
        let must_be_flow = is_flow(&name);
        match json::parse(&text, &values) {
            Ok(value) => files.push((name, must_be_flow, value)),
            Err(ReadReason::TooMuch) => return Err(ReadReason::Bomb),
            Err(reason) if must_be_flow => unreadable.push((name, reason)),
            Err(_) => {}
        }
    }
    // In a fixed order, whatever that of the archive.
    files.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let beside = connections_beside(&files);
    for (name, must_be_flow, value) in files {
        match container::read(value) {
            Ok(found) => flows.extend(found.into_iter().map(|flow| named(flow, &name, &beside))),
            Err(ReadReason::NoFlow | ReadReason::OtherProduct(_)) if !must_be_flow => {}
            Err(reason) => unreadable.push((name, reason)),
        }
    }
    // One that can't be read doesn't keep the others from being taken over; but it is told.
    if flows.is_empty() && !unreadable.is_empty() {
        let (entry, reason) = unreadable.swap_remove(0);
        return Err(ReadReason::InArchive { entry, reason: Box::new(reason) });
    }
    flows.extend(unreadable.into_iter().map(|(entry, reason)| Flow::unreadable(entry, reason)));
    if flows.is_empty() {
        return Err(product::of_archive(&names).map_or(ReadReason::NoFlow, ReadReason::OtherProduct));
    }
    Ok(flows)
}

/// How many entries the archive says that it has, at its end.
fn entries(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"PK\x05\x06";
    let at = bytes.windows(END.len()).rposition(|window| window == END)?;
    let count = bytes.get(at + 10..)?.first_chunk()?;
    Some(usize::from(u16::from_le_bytes(*count))).filter(|count| *count < usize::from(u16::MAX))
}

/// Whether the file's place is one in which flows are found: as [`is_flow`] has it, or of what somebody has put into an
/// archive by hand.
fn may_be_flow(name: &str) -> bool {
    let is_json = name.to_ascii_lowercase().ends_with(".json");
    is_json && (is_flow(name) || name.matches('/').count() <= 1)
}

fn is_connections(name: &str) -> bool {
    name == "connections.json" || name.ends_with("/connections.json")
}

/// Whether the file's place says that it is a flow: in a package, in a solution, in a project of Logic Apps Standard.
fn is_flow(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let in_package = lower.contains("microsoft.flow/flows/") && lower.ends_with("/definition.json");
    in_package || lower.starts_with("workflows/") || lower == "workflow.json" || lower.ends_with("/workflow.json")
}

/// What `connections.json` of a Logic Apps project says.
fn connections_beside(files: &[(String, bool, Value)]) -> Connections {
    let found = files.iter().find(|(name, ..)| is_connections(name));
    found.map(|(_, _, value)| Connections::of_project(value)).unwrap_or_default()
}

/// The flow with the name that its file has, where it has none of its own.
fn named(mut flow: Flow, entry: &str, beside: &Connections) -> Flow {
    flow.connections.add(beside);
    if flow.name.is_empty() {
        let mut parts = entry.rsplit('/');
        let file = parts.next().unwrap_or(entry);
        let folder = parts.next();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        flow.name = match folder {
            Some(folder) if stem == "workflow" || stem == "definition" => folder.to_owned(),
            _ => without_guid(stem).to_owned(),
        };
    }
    flow
}

/// `RenewToken-0A1B…` is what a solution calls the file of the flow `RenewToken`.
fn without_guid(stem: &str) -> &str {
    const GUID: usize = 36;
    let Some(at) = stem.len().checked_sub(GUID + 1).filter(|at| stem.is_char_boundary(*at)) else { return stem };
    let (name, guid) = stem.split_at(at);
    let is_guid = guid.starts_with('-') && guid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_guid && !name.is_empty() { name } else { stem }
}

fn leads_outside(name: &str) -> bool {
    let parts = || name.split(['/', '\\']);
    name.starts_with(['/', '\\']) || parts().any(|part| part == "..") || name.contains('\0') || {
        let first = parts().next().unwrap_or_default();
        first.len() == 2 && first.ends_with(':')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_outside_are_told_from_those_that_dont() {
        for outside in ["../x.json", "/etc/x", "a/../../x", "C:/x", "..\\x", "\\\\host\\x"] {
            assert!(leads_outside(outside), "{outside}");
        }
        for inside in ["Workflows/a..b.json", "a/b/c.json", "...json"] {
            assert!(!leads_outside(inside), "{inside}");
        }
    }

    #[test]
    fn a_flow_of_a_solution_is_called_as_people_call_it() {
        assert_eq!(without_guid("RenewToken-6E4B5C2A-1111-2222-3333-444455556666"), "RenewToken");
        assert_eq!(without_guid("Renew-Token"), "Renew-Token");
    }
}
