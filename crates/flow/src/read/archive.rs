//! Zips: Power Automate's package, a solution, a Logic App (Standard) project.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{ARCHIVE_BYTES, ARCHIVE_ENTRIES, DEFINITION_BYTES, ReadReason, container, foreign, text};
use crate::flow::Flow;
use crate::words::plain;

/// Whether the bytes begin as a zip does, an empty one too.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The flows of a zip's definitions, in the order of their paths. Everything else in it is left packed.
pub(super) fn flows(file_name: &str, bytes: &[u8]) -> Result<Vec<Flow>, ReadReason> {
    // The directory's own count is looked at before anything is allocated for it.
    if entries_stated(bytes).is_some_and(|entries| entries > ARCHIVE_ENTRIES) {
        return Err(ReadReason::ArchiveEntries);
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| ReadReason::ArchiveBroken)?;
    if archive.len() > ARCHIVE_ENTRIES {
        return Err(ReadReason::ArchiveEntries);
    }
    let mut paths = Vec::with_capacity(archive.len());
    let mut stated = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| ReadReason::ArchiveBroken)?;
        let path = entry.name().replace('\\', "/");
        if leads_outside(&path) {
            return Err(ReadReason::ArchivePath { entry: plain(&path) });
        }
        stated = stated.saturating_add(entry.size());
        paths.push((path, index));
    }
    if stated > ARCHIVE_BYTES {
        return Err(ReadReason::ArchiveTooLarge);
    }
    paths.sort();

    let mut found = Vec::new();
    let mut left = ARCHIVE_BYTES;
    for (path, index) in &paths {
        let Some(kind) = definition(path) else { continue };
        let bytes = unpacked(&mut archive, *index)?;
        left = left.checked_sub(bytes.len() as u64).ok_or(ReadReason::ArchiveTooLarge)?;
        let text = text::decoded(&bytes)?;
        found.extend(container::flows_inside(file_name, path, kind, &text)?);
    }
    if found.is_empty() {
        let names: Vec<&str> = paths.iter().map(|(path, _)| path.as_str()).collect();
        return Err(foreign::archive(&names));
    }
    Ok(found)
}

/// The number of entries that the end of the directory states, if there is one.
fn entries_stated(bytes: &[u8]) -> Option<usize> {
    let tail = &bytes[bytes.len().saturating_sub(65_557)..];
    let end = tail.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    let count = tail.get(end + 10..end + 12)?;
    Some(usize::from(u16::from_le_bytes([count[0], count[1]])))
}

/// Whether a path would leave the folder that it is unpacked in. We unpack to memory alone, but a file that tries it
/// was not made by an export.
fn leads_outside(path: &str) -> bool {
    path.starts_with('/')
        || path.contains('\0')
        || path.as_bytes().get(1) == Some(&b':')
        || path.split('/').any(|part| part == "..")
}

/// Which container a path of a zip is a definition of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// `Microsoft.Flow/flows/GUID/definition.json`.
    Package,
    /// `Workflows/NAME-GUID.json`.
    Solution,
    /// `NAME/workflow.json`.
    Project,
}

fn definition(path: &str) -> Option<Entry> {
    let parts: Vec<String> = path.split('/').map(str::to_ascii_lowercase).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [.., "microsoft.flow", "flows", _, "definition.json"] => Some(Entry::Package),
        [.., "workflows", name] if name.ends_with(".json") => Some(Entry::Solution),
        [.., _, "workflow.json"] => Some(Entry::Project),
        _ => None,
    }
}

fn unpacked(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<Vec<u8>, ReadReason> {
    let entry = archive.by_index(index).map_err(|fault| match fault {
        ZipError::UnsupportedArchive(reason) if reason == ZipError::PASSWORD_REQUIRED => ReadReason::ArchiveLocked,
        _ => ReadReason::ArchiveBroken,
    })?;
    let mut bytes = Vec::new();
    entry.take(DEFINITION_BYTES + 1).read_to_end(&mut bytes).map_err(|_| ReadReason::ArchiveBroken)?;
    if bytes.len() as u64 > DEFINITION_BYTES { Err(ReadReason::ArchiveTooLarge) } else { Ok(bytes) }
}
