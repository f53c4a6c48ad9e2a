//! What the vault refuses, and how it is told.

use std::time::Duration;

use store::TargetErrorKind;

use crate::stand_in::{Azure, bundle, client_secret, managed_identity, refusal};

#[test]
fn a_secret_that_a_certificate_manages_is_told_and_not_taken_for_a_missing_right() {
    let azure = Azure::whose_vault_says(refusal(403, "SecretManagedByKeyVault"));
    let error = azure.target(&client_secret()).write().expect_err("it is refused");
    assert_eq!(error.kind, TargetErrorKind::Occupied);
    assert!(error.words.contains("belongs to the certificate of that name"), "{error}");
    assert!(!error.words.contains("right"), "{error}");
}

#[test]
fn a_secret_that_a_certificate_manages_is_known_before_it_is_written() {
    let azure = Azure::whose_vault_says((200, Vec::new(), bundle(r#", "managed": true"#)));
    let error = azure.target(&client_secret()).read().err().expect("it is refused");
    assert_eq!(error.kind, TargetErrorKind::Occupied);
    assert!(error.words.contains("belongs to the certificate of that name"), "{error}");
    let azure = Azure::whose_vault_says((200, Vec::new(), bundle(r#", "managed": false"#)));
    assert!(azure.target(&client_secret()).read().expect("it is a plain one").is_some());
}

#[test]
fn a_vault_without_public_access_is_told_from_a_missing_right() {
    for (inner, words) in
        [("ForbiddenByConnection", "private endpoint"), ("ForbiddenByFirewall", "az keyvault network-rule add")]
    {
        let azure = Azure::whose_vault_says(refusal(403, inner));
        let error = azure.target(&client_secret()).read().err().expect("it is refused");
        assert_eq!(error.kind, TargetErrorKind::Forbidden);
        assert!(error.words.contains(words) && !error.words.contains("role"), "{error}");
    }
}

#[test]
fn a_request_that_is_taken_for_a_mistake_is_told_without_guessing_why() {
    let azure = Azure::whose_vault_says(refusal(400, ""));
    let error = azure.target(&client_secret()).write().expect_err("it is refused");
    assert_eq!(error.kind, TargetErrorKind::Unfit);
    assert!(error.words.contains("HTTP 400") && !error.words.contains("certificate"), "{error}");
}

#[test]
fn a_name_that_somebody_deletes_or_recovers_is_told_as_such() {
    for (inner, words) in [
        ("ObjectIsBeingDeleted", "is being deleted by somebody just now"),
        ("ObjectIsBeingRecovered", "is being recovered by somebody just now"),
        ("", "is being changed by somebody else just now"),
        ("ObjectIsDeletedButRecoverable", "az keyvault secret recover --vault-name contoso --name token"),
    ] {
        let azure = Azure::whose_vault_says(refusal(409, inner));
        let error = azure.target(&client_secret()).write().expect_err("it is refused");
        assert!(error.words.contains(words), "{error}");
    }
}

#[test]
fn each_call_names_its_own_right_and_no_more() {
    // Older answers don't say by which model the vault judged.
    let azure = Azure::whose_vault_says(refusal(403, ""));
    let target = azure.target(&client_secret());
    let read = target.read().err().expect("it is refused").words;
    let write = target.write().expect_err("it is refused").words;
    let disable = target.disable().expect_err("it is refused").words;
    for (words, right, action, role, permissions) in [
        (&read, "the right Get, to read", "getSecret/action", "'Key Vault Secrets User'", "--secret-permissions get`"),
        (&write, "the right Set, to write", "setSecret/action", "'Vestal delivery'", "--secret-permissions get set`"),
        (
            &disable,
            "the right Set, to disable superseded versions of",
            "Microsoft.KeyVault/vaults/secrets/update/action",
            "'Vestal delivery'",
            "--secret-permissions get set`",
        ),
    ] {
        for part in [right, action, role, permissions, "--assignee app-id", "--spn app-id"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("Officer"), "that role may delete and purge: {words}");
    }
}

#[test]
fn a_right_is_given_by_the_model_that_the_vault_works_with() {
    for (inner, told, not_told) in [
        ("AccessDenied", "lacks the right Get, to read", "role assignment"),
        ("ForbiddenByRbac", "lacks a role with the data action", "set-policy"),
        ("ForbiddenByPolicy", "leave Application empty", "lacks"),
    ] {
        let azure = Azure::whose_vault_says(refusal(403, inner));
        let words = azure.target(&client_secret()).read().err().expect("it is refused").words;
        assert!(words.contains(told) && !words.contains(not_told), "{inner}: {words}");
    }
}

#[test]
fn the_command_that_gives_a_right_names_the_principal_as_its_kind_wants() {
    let azure = Azure::whose_vault_says(refusal(403, "AccessDenied"));
    for (client_id, option) in [(None, "--object-id OBJECT-ID"), (Some("mine"), "--spn mine")] {
        let words = azure.target(&managed_identity(client_id)).read().err().expect("it is refused").words;
        assert!(words.contains(option) && words.contains("managed identity"), "{words}");
        assert!(!words.contains("CLIENT-ID"), "{words}");
    }
}

#[test]
fn a_wait_may_be_told_as_seconds_or_as_a_date() {
    let date = || ("date", "Tue, 15 Nov 1994 08:12:31 GMT".to_owned());
    let after = |text: &str| ("retry-after", text.to_owned());
    for (headers, wait) in [
        (vec![after("7")], Some(7)),
        (vec![date(), after("Tue, 15 Nov 1994 08:13:01 GMT")], Some(30)),
        (vec![date(), after("Tue, 15 Nov 1994 08:12:01 GMT")], Some(0)),
        (vec![after("Tue, 15 Nov 1994 08:12:01 GMT")], Some(0)),
        (vec![after("soon")], None),
        (vec![], None),
    ] {
        let azure = Azure::whose_vault_says((429, headers, "busy".to_owned()));
        let error = azure.target(&client_secret()).read().err().expect("it is refused");
        assert_eq!(error.kind, TargetErrorKind::Throttled);
        assert_eq!(error.retry_after, wait.map(Duration::from_secs));
    }
}
