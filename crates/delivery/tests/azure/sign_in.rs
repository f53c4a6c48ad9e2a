//! What whoever gives out tokens refuses, and how it is told.

use std::time::{Duration, SystemTime};

use delivery::Credential;
use store::TargetErrorKind;

use crate::stand_in::{Azure, NOT_TO_BE_SHOWN, client_secret, managed_identity};

/// A refusal as the directory words it, with an escape in its text, as its line ends are.
fn aadsts(number: u32) -> String {
    format!(r#"{{"error": "invalid_client", "error_codes": [{number}], "error_description": "{NOT_TO_BE_SHOWN}\r\n"}}"#)
}

#[test]
fn a_gateway_in_front_of_the_directory_is_heard() {
    let page = "<html>The service is unavailable. canary-5f1d0a7e</html>";
    for (status, kind) in [(429, TargetErrorKind::Throttled), (503, TargetErrorKind::Unreachable)] {
        let wait = vec![("retry-after", "17".to_owned())];
        let azure = Azure::whose_directory_says((status, wait, page.to_owned()));
        let error = azure.target(&client_secret()).read().err().expect("it is refused");
        assert_eq!((error.kind, error.retry_after), (kind, Some(Duration::from_secs(17))));
        assert!(error.words.starts_with("https://login.microsoftonline.com "), "{error}");
    }
}

#[test]
fn an_answer_of_the_directory_that_makes_no_sense_is_not_blamed_on_the_vault() {
    let azure = Azure::whose_directory_says((200, Vec::new(), "<html>canary: sign in to the hotel</html>".to_owned()));
    let error = azure.target(&client_secret()).read().err().expect("it is no token");
    assert_eq!(error.kind, TargetErrorKind::Unreachable);
    assert!(error.words.contains("the answer of https://login.microsoftonline.com can't be understood"), "{error}");
}

#[test]
fn a_number_of_the_directory_is_told_in_words() {
    for (number, words) in [(7_000_222, "has expired"), (700_016, "no app of this client id"), (1, "AADSTS1")] {
        let azure = Azure::whose_directory_says((401, Vec::new(), aadsts(number)));
        let error = azure.target(&client_secret()).read().err().expect("it is refused");
        assert_eq!(error.kind, TargetErrorKind::Unauthenticated);
        assert!(error.words.contains(words), "{error}");
    }
}

#[test]
fn clocks_that_are_apart_are_told_with_a_refused_credential_and_only_then() {
    let date = |ahead: i64| {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is past").as_secs().cast_signed() + ahead;
        let then = azure_core::time::OffsetDateTime::from_unix_timestamp(now).expect("it is a time");
        vec![("date", azure_core::time::to_rfc7231(&then))]
    };
    let told = |status, ahead| {
        let azure = Azure::whose_directory_says((status, date(ahead), aadsts(700_024)));
        azure.target(&client_secret()).read().err().expect("it is refused").words
    };
    assert!(told(401, 630).contains("This machine's clock is 10 minutes behind Azure's"), "{}", told(401, 630));
    assert!(told(401, -630).contains("minutes ahead of Azure's"), "{}", told(401, -630));
    assert!(!told(401, 60).contains("minutes"), "{}", told(401, 60));
    assert!(!told(503, 630).contains("minutes"), "{}", told(503, 630));
}

#[test]
fn a_machine_without_the_identity_is_told_where_it_gets_one() {
    for (client_id, words) in [(None, "set System assigned to On"), (Some("mine"), "no identity of client id mine")] {
        let azure =
            Azure::that(|call| call.url.contains("169.254.169.254").then(|| (400, Vec::new(), "{}".to_owned())));
        let error = azure.target(&managed_identity(client_id)).read().err().expect("there is none");
        assert_eq!(error.kind, TargetErrorKind::Unauthenticated);
        assert!(error.words.starts_with("the endpoint of this machine's managed identity"), "{error}");
        assert!(error.words.contains(words), "{error}");
    }
}

#[test]
fn the_metadata_service_is_asked_as_it_wants_to_be() {
    let azure = Azure::that(|call| {
        let asked = call.url.starts_with("http://169.254.169.254/metadata/identity/oauth2/token?");
        if asked {
            assert!(call.headers.contains(&("metadata".to_owned(), "true".to_owned())), "without it, it refuses");
        }
        None
    });
    azure.target(&managed_identity(Some("mine"))).read().expect("all goes well");
    let asked = azure.asked().into_iter().find(|asked| asked.contains("169.254.169.254")).expect("it was asked");
    assert!(asked.starts_with("GET ") && asked.contains("api-version="), "{asked}");
    assert!(asked.contains("resource=https%3A%2F%2Fvault.azure.net&client_id=mine"), "{asked}");
}

#[test]
fn what_a_workload_lacks_is_named() {
    let credential = |token_file: &str| Credential::WorkloadIdentity {
        tenant: Some("tenant".to_owned()),
        client_id: None,
        token_file: Some(token_file.to_owned()),
    };
    let words = |token_file: &str| {
        let azure = Azure::that(|_| None);
        azure.target(&credential(token_file)).read().err().expect("something is missing").words
    };
    assert!(words("/nowhere/token").contains("the file /nowhere/token with this workload's token can't be read"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "federated").expect("it is ours");
    assert!(words(&file.to_string_lossy()).contains("the environment has no AZURE_CLIENT_ID"));
}
