//! What was declared: added once, and replaced only from what was read.

use store::rows::{DefinitionKind, Origin};
use store::{CommitError, MemoryStore, RecordError, Write};

use crate::world::{START, records, run};

#[test]
fn a_definition_is_read_back_as_it_was_declared() {
    let records = records(MemoryStore::new());
    let write = records.define(DefinitionKind::App, "reader", Origin::File, Some(START), &["a", "b"], None);
    run(records.commit(vec![write])).unwrap();
    let declared =
        run(records.definition::<Vec<String>>(DefinitionKind::App, "reader")).unwrap().expect("it was declared");
    assert_eq!((declared.name.as_str(), declared.origin, declared.removed), ("reader", Origin::File, Some(START)));
    assert_eq!(declared.body, ["a", "b"]);
    assert!(run(records.definition::<Vec<String>>(DefinitionKind::Policy, "reader")).unwrap().is_none());
}

#[test]
fn a_definition_is_added_once_and_replaced_only_from_the_record_it_was_made_from() {
    let records = records(MemoryStore::new());
    let define =
        |body: u32, replaces| records.define(DefinitionKind::App, "reader", Origin::Admin, None, &body, replaces);
    let read = || run(records.definition::<u32>(DefinitionKind::App, "reader")).unwrap().unwrap();
    run(records.commit(vec![define(1, None)])).unwrap();
    assert_eq!(run(records.commit(vec![define(2, None)])), Err(CommitError::Conflict));
    let first = read();
    run(records.commit(vec![define(2, Some(first.tag))])).unwrap();
    assert_eq!(run(records.commit(vec![define(3, Some(first.tag))])), Err(CommitError::Conflict));
    assert_eq!(read().body, 2);
    assert_ne!(read().tag, first.tag);
    let removed = Write::RemoveDefinition { kind: DefinitionKind::App, name: "reader".to_owned() };
    run(records.commit(vec![removed])).unwrap();
    assert_eq!(run(records.commit(vec![define(4, Some(first.tag))])), Err(CommitError::Conflict));
    run(records.commit(vec![define(5, None)])).unwrap();
}

#[test]
fn definitions_of_a_kind_are_listed_by_name() {
    let records = records(MemoryStore::new());
    let define = |kind, name, body: u32| records.define(kind, name, Origin::Admin, None, &body, None);
    run(records.commit(vec![
        define(DefinitionKind::App, "b", 1),
        define(DefinitionKind::Policy, "c", 2),
        define(DefinitionKind::App, "a", 3),
    ]))
    .unwrap();
    let apps: Vec<_> = run(records.definitions::<u32>(DefinitionKind::App)).unwrap();
    assert_eq!(apps.iter().map(|app| (app.name.as_str(), app.body)).collect::<Vec<_>>(), [("a", 3), ("b", 1)]);
}

#[test]
fn a_definition_of_another_shape_is_named_and_its_content_isnt() {
    let records = records(MemoryStore::new());
    let write = records.define(DefinitionKind::App, "reader", Origin::Admin, None, &"don't tell", None);
    run(records.commit(vec![write])).unwrap();
    let Err(RecordError::Sealed(what)) = run(records.definition::<u32>(DefinitionKind::App, "reader")) else {
        panic!("it has another shape")
    };
    assert!(what.contains("app reader") && !what.contains("don't tell"), "{what}");
}
