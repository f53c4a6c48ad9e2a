//! What was declared.

use super::{RecordError, Records, from_json, to_json};
use crate::port::{Store, Write};
use crate::rows::{DefinitionKind, DefinitionRow, Origin};
use vault::{RecordTag, Sealed};

/// A declaration, opened.
#[derive(Clone, Debug)]
pub struct Declared<T> {
    /// Its name, unique within its kind.
    pub name: String,
    /// Who may change it.
    pub origin: Origin,
    /// When it left the configuration file, in Unix seconds.
    pub removed: Option<i64>,
    /// What was declared.
    pub body: T,
    /// The record that it was read from.
    pub tag: RecordTag,
}

impl<S: Store> Records<S> {
    /// One definition.
    ///
    /// # Errors
    /// Why the store could not answer, or that the record doesn't open.
    pub async fn definition<T: serde::de::DeserializeOwned>(
        &self,
        kind: DefinitionKind,
        name: &str,
    ) -> Result<Option<Declared<T>>, RecordError> {
        self.store.definition(kind, name).await?.map(|row| self.declared(row)).transpose()
    }

    /// All definitions of a kind, by name, those that left the configuration file included.
    ///
    /// # Errors
    /// Why the store could not answer, or which record doesn't open.
    pub async fn definitions<T: serde::de::DeserializeOwned>(
        &self,
        kind: DefinitionKind,
    ) -> Result<Vec<Declared<T>>, RecordError> {
        self.store.definitions(kind).await?.into_iter().map(|row| self.declared(row)).collect()
    }

    /// The definitions of a kind that `wanted` picks by name and origin, by name. The others aren't opened.
    ///
    /// # Errors
    /// Why the store could not answer, or which of those that are wanted doesn't open.
    pub async fn definitions_where<T: serde::de::DeserializeOwned>(
        &self,
        kind: DefinitionKind,
        wanted: impl Fn(&str, Origin) -> bool,
    ) -> Result<Vec<Declared<T>>, RecordError> {
        let rows = self.store.definitions(kind).await?;
        rows.into_iter().filter(|row| wanted(&row.name, row.origin)).map(|row| self.declared(row)).collect()
    }

    /// The write that inserts the definition (`replaces` is `None`) or replaces the record that it was made from.
    pub fn define<T: serde::Serialize>(
        &self,
        kind: DefinitionKind,
        name: &str,
        origin: Origin,
        removed: Option<i64>,
        body: &T,
        replaces: Option<RecordTag>,
    ) -> Write {
        let mut row = DefinitionRow { kind, name: name.to_owned(), origin, removed, sealed: Sealed::pending() };
        row.sealed = self.seal(&row.place(), &to_json(body));
        Write::AmendDefinition { row, replaces }
    }

    fn declared<T: serde::de::DeserializeOwned>(&self, row: DefinitionRow) -> Result<Declared<T>, RecordError> {
        let what = || format!("{} {}", row.kind.word(), row.name);
        let body = from_json(&self.open(&row.place(), &row.sealed, what)?, what)?;
        let tag = row.sealed.tag();
        Ok(Declared { name: row.name, origin: row.origin, removed: row.removed, body, tag })
    }
}
