//! Each preset's request, byte for byte as it would be sent, against a golden file. The credentials are dummies.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p oauth` writes the files anew; read the difference before it is committed.

use std::collections::BTreeMap;
use std::path::Path;

use oauth::{
    ClientAuth, HeaderValue, HttpRequest, Part, Provider, ProviderTable, RequestError, client_credentials,
    preset_names, resolve,
};
use secret::Secret;

const CLIENT_ID: &str = "dummy client:id";
const CLIENT_SECRET: &[u8] = b"dummy+secret/with=every&kind%of~character*-._ \xc3\xa9";

/// The preset, with a token URL where it leaves that to the operator.
fn ready(name: &str) -> Provider {
    let own: ProviderTable = match oauth::preset(name).expect("a preset").token_url {
        Some(_) => ProviderTable::default(),
        None => toml::from_str("token_url = \"https://login.example.com/oauth/token?tenant=a%20b\"").expect("a table"),
    };
    resolve(name, &BTreeMap::from([(name.to_owned(), own)])).expect("a provider")
}

fn build(provider: &Provider, scope: &[&str], extra: &[(&str, &str)]) -> Result<HttpRequest, RequestError> {
    let scope: Vec<String> = scope.iter().map(|&one| one.to_owned()).collect();
    let extra = extra.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    client_credentials(provider, CLIENT_ID, &Secret::copy_of(CLIENT_SECRET), &scope, &extra)
}

fn rendered(request: &HttpRequest) -> String {
    let mut text = format!("{} {}\n", request.method.as_str(), request.url);
    for (name, value) in &request.headers {
        let mark = if matches!(value, HeaderValue::Secret(_)) { " (secret)" } else { "" };
        text.push_str(&format!("{name}: {}{mark}\n", String::from_utf8_lossy(value.expose())));
    }
    text.push_str(&format!("\n{}\n", request.body.expose_str().expect("a form is ASCII")));
    text
}

fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{} differs", path.display());
}

#[test]
fn every_presets_request_is_as_its_golden_file_says() {
    for name in preset_names() {
        let mut provider = ready(name);
        let mut text = String::new();
        for client_auth in [ClientAuth::Form, ClientAuth::Basic] {
            provider.client_auth = client_auth;
            let request = build(&provider, &["identify", "guilds.join"], &[("audience", "https://api.example.com/")]);
            text.push_str(&rendered(&request.expect("a request")));
            text.push('\n');
        }
        assert_golden(&format!("{name}.http"), &text);
    }
}

#[test]
fn basic_encodes_before_it_joins_so_that_both_halves_come_back() {
    use base64::Engine as _;
    let mut provider = ready("generic");
    provider.client_auth = ClientAuth::Basic;
    let request = build(&provider, &[], &[]).expect("a request");
    let (_, header) = request.headers.iter().find(|(name, _)| name == "authorization").expect("a header");
    let encoded = header.expose().strip_prefix(b"Basic ").expect("the scheme");
    let joined =
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64")).expect("text");
    let (id, secret) = joined.split_once(':').expect("one colon");
    let decoded = |text: &str| {
        let pair = format!("x={text}");
        let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next().expect("a pair");
        value.into_owned().into_bytes()
    };
    assert_eq!((decoded(id), decoded(secret)), (CLIENT_ID.as_bytes().to_vec(), CLIENT_SECRET.to_vec()));
    assert_eq!(request.body.expose(), b"grant_type=client_credentials", "the client stands in one place only");
}

#[test]
fn parameters_and_headers_of_the_provider_are_sent_and_the_tokens_own_win() {
    let own: ProviderTable = toml::from_str(
        "token_url = \"https://a.test/t\"\n[parameters]\naudience = \"theirs\"\nresource = \"r\"\nformat = \"json\"\n\
         [headers]\nX-Api-Version = \"2\"\nAccept = \"application/vnd.acme+json\"",
    )
    .expect("a table");
    let provider = own.complete("acme").expect("a provider");
    let request = build(&provider, &[], &[("audience", "mine"), ("resource", "")]).expect("a request");
    let body = request.body.expose_str().expect("text");
    assert!(body.ends_with("&audience=mine&format=json"), "{body}");
    let headers: Vec<(&str, &[u8])> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert!(headers.contains(&("accept", b"application/vnd.acme+json")));
    assert!(headers.contains(&("x-api-version", b"2")));
    assert_eq!(headers.iter().filter(|(name, _)| *name == "accept").count(), 1);
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_next_step() {
    let discord = ready("discord");
    let no_scope = build(&discord, &[], &[]).err().expect("refused");
    assert_eq!(no_scope, RequestError::ScopeMissing { provider: "discord".to_owned() });
    let empty_scope = build(&discord, &["identify", " "], &[]).err().expect("refused");
    assert_eq!(empty_scope, RequestError::ScopeInvalid { position: 2 });
    let reserved = build(&discord, &["identify"], &[("client_secret", "x")]).err().expect("refused");
    assert_eq!(reserved, RequestError::ReservedParameter("client_secret".to_owned()));

    let mut consent_only = discord.clone();
    consent_only.grants = vec![oauth::GrantType::AuthorizationCode];
    assert!(matches!(build(&consent_only, &["identify"], &[]), Err(RequestError::GrantNotOffered { .. })));

    let scope = ["identify".to_owned()];
    let with = |id: &str, secret: &[u8]| {
        client_credentials(&discord, id, &Secret::copy_of(secret), &scope, &BTreeMap::new()).err().expect("refused")
    };
    assert_eq!(with("", b"s"), RequestError::Empty(Part::ClientId));
    assert_eq!(with("i", b""), RequestError::Empty(Part::ClientSecret));
    assert_eq!(with("i\t", b"s"), RequestError::ControlCharacter(Part::ClientId));
    let pasted = with("i", b"s3cr3t\n");
    assert_eq!(pasted, RequestError::ControlCharacter(Part::ClientSecret));
    assert!(pasted.to_string().contains("line break"), "{pasted}");
    assert!(!pasted.to_string().contains("s3cr3t"), "{pasted}");
}
