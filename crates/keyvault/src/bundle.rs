//! Secrets as Key Vault writes them: bundles, and items of lists.

use store::rows::VersionRow;
use vault::{SecretBody, SecretBodyView};

use crate::directory::Retention;
use crate::json::JsonWriter;
use crate::version::ApiVersion;

/// What every identifier in an answer is made with.
#[derive(Clone, Copy)]
pub(crate) struct Wording<'a> {
    /// The Host as the client wrote it: SDKs take the vault's address out of identifiers.
    pub(crate) host: &'a str,
    pub(crate) api: ApiVersion,
    pub(crate) retention: Retention,
}

/// When a secret was deleted and from when on it is purged, in Unix seconds.
#[derive(Clone, Copy)]
pub(crate) struct Deletion {
    pub(crate) deleted: i64,
    pub(crate) purged_at: i64,
}

/// The members that stand in a version's sealed body.
#[derive(Clone, Copy)]
pub(crate) struct Details<'a, T> {
    pub(crate) content_type: Option<&'a str>,
    /// In Unix seconds.
    pub(crate) updated: i64,
    pub(crate) tags: T,
}

/// Room for everything of a bundle but value and tags.
const BUNDLE_BYTES: usize = 512;

/// The details of an opened version.
pub(crate) fn details_of<'a>(view: &SecretBodyView<'a>) -> Details<'a, vault::Tags<'a>> {
    Details { content_type: view.content_type, updated: view.updated, tags: view.tags }
}

/// The details of a version that was just written.
pub(crate) fn details_of_body(body: &SecretBody) -> Details<'_, impl Iterator<Item = (&str, &str)>> {
    Details {
        content_type: body.content_type.as_deref(),
        updated: body.updated,
        tags: body.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())),
    }
}

/// A `SecretBundle`: with its value where a reader asked for it or a writer brought it, without it after a change of
/// attributes.
pub(crate) fn bundle<'t>(
    wording: Wording<'_>,
    name: &str,
    row: &VersionRow,
    value: Option<&[u8]>,
    details: Details<'_, impl Iterator<Item = (&'t str, &'t str)>>,
) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(BUNDLE_BYTES + value.map_or(0, <[u8]>::len));
    json.raw("{");
    if let Some(value) = value {
        json.raw("\"value\":");
        match core::str::from_utf8(value) {
            Ok(text) => json.string(text),
            // Only a value that came in through no API of ours; JSON has no other way to show it.
            Err(_) => json.string(&String::from_utf8_lossy(value)),
        }
        json.raw(",");
    }
    members(&mut json, wording, name, row, true, details);
    json.raw("}");
    json.finish()
}

/// A `DeletedSecretBundle`, which has no value.
pub(crate) fn deleted_bundle<'t>(
    wording: Wording<'_>,
    name: &str,
    row: &VersionRow,
    deletion: Deletion,
    details: Details<'_, impl Iterator<Item = (&'t str, &'t str)>>,
) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(BUNDLE_BYTES);
    deleted_item(&mut json, wording, name, row, true, deletion, details);
    json.finish()
}

/// Appends an item of a list: `DeletedSecretItem`. Its id is that of the secret as it was.
pub(crate) fn deleted_item<'t>(
    json: &mut JsonWriter,
    wording: Wording<'_>,
    name: &str,
    row: &VersionRow,
    with_version: bool,
    deletion: Deletion,
    details: Details<'_, impl Iterator<Item = (&'t str, &'t str)>>,
) {
    json.raw("{\"recoveryId\":\"https://");
    json.raw(wording.host);
    json.raw("/deletedsecrets/");
    json.raw(name);
    json.raw("\",\"deletedDate\":");
    json.number(deletion.deleted);
    json.raw(",\"scheduledPurgeDate\":");
    json.number(deletion.purged_at);
    json.raw(",");
    members(json, wording, name, row, with_version, details);
    json.raw("}");
}

/// Appends an item of a list: `SecretItem`. The id carries the version in lists of versions alone.
pub(crate) fn item<'t>(
    json: &mut JsonWriter,
    wording: Wording<'_>,
    name: &str,
    row: &VersionRow,
    with_version: bool,
    details: Details<'_, impl Iterator<Item = (&'t str, &'t str)>>,
) {
    json.raw("{");
    members(json, wording, name, row, with_version, details);
    json.raw("}");
}

fn members<'t>(
    json: &mut JsonWriter,
    wording: Wording<'_>,
    name: &str,
    row: &VersionRow,
    with_version: bool,
    details: Details<'_, impl Iterator<Item = (&'t str, &'t str)>>,
) {
    if let Some(content_type) = details.content_type {
        json.raw("\"contentType\":");
        json.string(content_type);
        json.raw(",");
    }
    // Host and name are checked and need no escape.
    json.raw("\"id\":\"https://");
    json.raw(wording.host);
    json.raw("/secrets/");
    json.raw(name);
    if with_version {
        json.raw("/");
        json.hex(row.version.as_bytes());
    }
    json.raw("\",\"attributes\":{\"enabled\":");
    json.raw(if row.enabled { "true" } else { "false" });
    for (member, time) in [(",\"nbf\":", row.not_before), (",\"exp\":", row.expires)] {
        if let Some(time) = time {
            json.raw(member);
            json.number(time);
        }
    }
    json.raw(",\"created\":");
    json.number(row.created);
    json.raw(",\"updated\":");
    json.number(details.updated);
    json.raw(",\"recoveryLevel\":\"");
    json.raw(wording.retention.recovery_level());
    json.raw("\"");
    if wording.api.tells_recoverable_days() {
        json.raw(",\"recoverableDays\":");
        json.number(i64::from(wording.retention.days));
    }
    json.raw("}");
    let mut separator = ",\"tags\":{";
    for (name, value) in details.tags {
        json.raw(separator);
        json.string(name);
        json.raw(":");
        json.string(value);
        separator = ",";
    }
    if separator == "," {
        json.raw("}");
    }
}
