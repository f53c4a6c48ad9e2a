//! The stores that are databases, one module and one feature each.
//!
//! They keep rows and decide nothing. What a row means stands in [`store`]; a row's body is sealed before it comes
//! here, and no key ever does. Read [`sqlite::SqliteStore`] first.

#[cfg(feature = "sqlite")]
pub mod sqlite;
