//! Lists, a page at a time.

use store::rows::VersionRow;
use store::{Deleted, RecordError, Store};
use vault::{SecretName, VaultName, VersionId, may_list};

use super::Checked;
use super::page::Pages;
use crate::bundle::{self, Deletion};
use crate::error::Refusal;
use crate::json::JsonWriter;
use crate::service::KeyVault;

/// How many secrets one request looks at: a caller who may see few of many gets pages that are not full, or empty.
const MAX_SCANNED: usize = 1000;
/// How many are read from the store at once.
const BATCH: usize = 64;
/// Room for an item.
const ITEM_BYTES: usize = 320;

/// Which secrets are listed.
#[derive(Clone, Copy)]
enum Collection {
    Secrets,
    Deleted,
}

impl Collection {
    fn path(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Deleted => "deletedsecrets",
        }
    }
}

/// One of them.
enum Listed {
    Secret(VersionRow),
    Deleted(Deleted),
}

/// A page of a list that has nothing in it.
fn empty_page() -> Vec<u8> {
    Page::new(0).finish(None)
}

impl<S: Store> KeyVault<S> {
    /// The secrets that one of the caller's patterns covers, with their current versions' attributes.
    pub(super) async fn list(&self, checked: &Checked<'_>) -> Result<Vec<u8>, Refusal> {
        self.list_names(checked, Collection::Secrets).await
    }

    /// The deleted secrets that one of the caller's patterns covers.
    pub(super) async fn list_deleted(&self, checked: &Checked<'_>) -> Result<Vec<u8>, Refusal> {
        self.list_names(checked, Collection::Deleted).await
    }

    async fn list_names(&self, checked: &Checked<'_>, collection: Collection) -> Result<Vec<u8>, Refusal> {
        let (call, wanted) = (checked.call, checked.query.max_results()?);
        let (vault, app) = (&call.vault.name, &call.caller.app.object_id);
        let path = collection.path();
        let pages = Pages::new(&call.directory.pepper, &[path, vault.as_str(), app.as_str()]);
        let mut after = checked.query.skip_token().map(|token| name_of(&pages.place(token)?)).transpose()?;
        let mut page = Page::new(wanted);
        for _ in 0..MAX_SCANNED / BATCH {
            let batch = self.batch(collection, vault, after.as_ref()).await?;
            let last = batch.len() < BATCH;
            for (name, listed) in batch {
                if may_list(&call.caller.policies, app, vault, &name) {
                    if page.items == wanted {
                        return Ok(page.finish(
                            after.map(|after| self.next_link(checked, &pages, path, after.folded().as_bytes())),
                        ));
                    }
                    // What doesn't open stays out, and keeps nothing else out; the records have told whoever listens.
                    if let Some(listed) = &listed {
                        self.left_out_if_damaged(self.add(&mut page, checked, &name, listed))?;
                    }
                }
                after = Some(name);
            }
            if last {
                return Ok(page.finish(None));
            }
        }
        Ok(page.finish(after.map(|after| self.next_link(checked, &pages, path, after.folded().as_bytes()))))
    }

    async fn batch(
        &self,
        collection: Collection,
        vault: &VaultName,
        after: Option<&SecretName>,
    ) -> Result<Vec<(SecretName, Option<Listed>)>, RecordError> {
        Ok(match collection {
            Collection::Secrets => {
                let rows = self.records.secrets(vault, after, BATCH).await?.into_iter();
                rows.map(|(name, row)| (name, row.ok().map(Listed::Secret))).collect()
            }
            Collection::Deleted => {
                let rows = self.records.deleted_secrets(vault, after, BATCH).await?.into_iter();
                rows.map(|(name, deleted)| (name, deleted.map(Listed::Deleted))).collect()
            }
        })
    }

    fn add(
        &self,
        page: &mut Page,
        checked: &Checked<'_>,
        name: &SecretName,
        listed: &Listed,
    ) -> Result<(), RecordError> {
        let wording = checked.wording();
        match listed {
            Listed::Secret(row) => self.with_view(row, |view| {
                page.add(|json| bundle::item(json, wording, name.as_written(), row, false, bundle::details_of(view)));
            }),
            Listed::Deleted(Deleted { name, version, deleted, purged_at, .. }) => self.with_view(version, |view| {
                let deletion = Deletion { deleted: *deleted, purged_at: *purged_at };
                let (name, details) = (name.as_written(), bundle::details_of(view));
                page.add(|json| bundle::deleted_item(json, wording, name, version, false, deletion, details));
            }),
        }
    }

    /// The versions of a secret, in the order of their ids. Of an unknown secret there are none, which is no error.
    pub(super) async fn list_versions(&self, checked: &Checked<'_>, name: &SecretName) -> Result<Vec<u8>, Refusal> {
        let (call, wanted) = (checked.call, checked.query.max_results()?);
        let (vault, app) = (&call.vault.name, &call.caller.app.object_id);
        let pages = Pages::new(&call.directory.pepper, &["versions", vault.as_str(), app.as_str(), name.folded()]);
        let after = checked.query.skip_token().map(|token| version_of(&pages.place(token)?)).transpose()?;
        let as_written = match self.records.current(vault, name).await {
            Ok(current) => current.name.clone(),
            Err(RecordError::NotFound) => return Ok(empty_page()),
            Err(error) => return Err(error.into()),
        };
        let mut rows =
            self.records.store().versions(vault, name, after, wanted + 1).await.map_err(RecordError::from)?;
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let mut page = Page::new(rows.len());
        for row in &rows {
            let listed = self.with_view(row, |view| {
                page.add(|json| {
                    bundle::item(json, checked.wording(), as_written.as_written(), row, true, bundle::details_of(view));
                });
            });
            self.left_out_if_damaged(listed)?;
        }
        let collection = format!("secrets/{as_written}/versions");
        let last = rows.last().filter(|_| more);
        Ok(page.finish(last.map(|row| self.next_link(checked, &pages, &collection, row.version.as_bytes()))))
    }

    /// A row that doesn't open is told of, and the list goes on without it.
    fn left_out_if_damaged(&self, listed: Result<(), RecordError>) -> Result<(), RecordError> {
        match listed {
            Err(error @ RecordError::Sealed(_)) => {
                self.records.damaged(&error);
                Ok(())
            }
            listed => listed,
        }
    }

    fn next_link(&self, checked: &Checked<'_>, pages: &Pages, collection: &str, place: &[u8]) -> String {
        format!(
            "https://{}/{collection}?api-version={}&$skiptoken={}&maxresults={}",
            checked.call.host,
            checked.api.as_str(),
            pages.token(place, self.records.entropy()),
            checked.query.max_results().unwrap_or(crate::query::MAX_PAGE),
        )
    }
}

/// A `SecretListResult` that is being written.
struct Page {
    json: JsonWriter,
    items: usize,
}

impl Page {
    fn new(expected: usize) -> Self {
        let mut json = JsonWriter::with_capacity(64 + expected * ITEM_BYTES);
        json.raw("{\"value\":[");
        Self { json, items: 0 }
    }

    fn add(&mut self, item: impl FnOnce(&mut JsonWriter)) {
        if self.items > 0 {
            self.json.raw(",");
        }
        self.items += 1;
        item(&mut self.json);
    }

    /// On the last page `nextLink` is null, as Azure writes it.
    fn finish(mut self, next_link: Option<String>) -> Vec<u8> {
        self.json.raw("],\"nextLink\":");
        match next_link {
            Some(link) => self.json.string(&link),
            None => self.json.raw("null"),
        }
        self.json.raw("}");
        self.json.finish()
    }
}

fn name_of(place: &[u8]) -> Result<SecretName, Refusal> {
    let text = core::str::from_utf8(place).map_err(|_| Refusal::SkipToken)?;
    SecretName::parse(text).map_err(|_| Refusal::SkipToken)
}

fn version_of(place: &[u8]) -> Result<VersionId, Refusal> {
    place.try_into().map(VersionId).map_err(|_| Refusal::SkipToken)
}
