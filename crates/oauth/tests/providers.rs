//! How a preset and what an operator writes become a provider.

use core::time::Duration;
use std::collections::BTreeMap;

use oauth::{
    AnswerFormat, ClientAuth, DocumentedLifetime, LifetimeUnit, Provider, ProviderTable, preset, presets, resolve,
};

fn own(toml: &str) -> BTreeMap<String, ProviderTable> {
    toml::from_str(toml).expect("tables")
}

#[test]
fn every_preset_is_read_names_its_source_and_survives_the_store() {
    for (name, table) in presets() {
        if name != "generic" {
            assert!(table.documentation.url.is_some(), "{name}");
            assert!(table.documentation.checked.is_some(), "{name}: a date, or \"unverified\"");
        }
        let again: ProviderTable = toml::from_str(&toml::to_string(&table).expect("toml")).expect("a table");
        assert_eq!(again, table, "{name}");
        if table.token_url.is_some() {
            let provider = table.complete(name).expect("a provider");
            let json = serde_json::to_string(&provider).expect("json");
            assert_eq!(serde_json::from_str::<Provider>(&json).expect("a provider"), provider, "{name}");
        }
    }
}

#[test]
fn discord_is_as_its_documentation_says() {
    let discord = resolve("discord", &BTreeMap::new()).expect("a provider");
    assert_eq!(discord.token_url.url().as_str(), "https://discord.com/api/oauth2/token");
    assert_eq!(discord.client_auth, ClientAuth::Form);
    assert!(discord.scope_required);
    assert_eq!(discord.lifetime.documented, Some(DocumentedLifetime::For(Duration::from_secs(604_800))));
    assert_eq!(discord.documentation.unverified, ["lifetime.documented", "scope_required"]);
}

#[test]
fn one_field_of_a_preset_is_overridden_and_the_others_stay() {
    let provider =
        resolve("discord", &own("[discord]\nclient_auth = \"basic\"\nlifetime.unit = \"minutes\"")).expect("one");
    assert_eq!(provider.client_auth, ClientAuth::Basic);
    assert_eq!(provider.lifetime.unit, LifetimeUnit::Minutes);
    assert_eq!(provider.title, "Discord");
    assert_eq!(provider.lifetime.documented, Some(DocumentedLifetime::For(Duration::from_secs(604_800))));
}

#[test]
fn a_provider_of_ones_own_lies_over_generic_or_over_what_it_extends() {
    let tables = own(r#"
        [my-api]
        token_url = "https://a.test/token"
        [bot]
        extends = "discord"
        title = "The bot"
        parameters = { a = "1", b = "2" }
        errors = [{ status = 403, class = "throttled" }]
        [bot-two]
        extends = "bot"
        parameters = { a = "", c = "3" }
        errors = [{ error = "x", class = "client" }]
        answer.format = "form"
        "#);
    let mine = resolve("my-api", &tables).expect("a provider");
    assert_eq!((mine.name.as_str(), mine.title.as_str()), ("my-api", "my-api"));
    let two = resolve("bot-two", &tables).expect("a provider");
    assert_eq!((two.name.as_str(), two.title.as_str()), ("bot-two", "The bot"));
    assert_eq!(two.token_url.url().host_str(), Some("discord.com"));
    assert_eq!(two.answer.format, AnswerFormat::Form);
    let parameters: Vec<(&str, &str)> = two.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(parameters, [("b", "2"), ("c", "3")]);
    assert_eq!(two.errors.iter().map(|rule| rule.status).collect::<Vec<_>>(), [None, Some(403)]);
}

#[test]
fn names_that_lead_nowhere_are_explained() {
    let tables = own("[a]\nextends = \"b\"\n[b]\nextends = \"a\"\n[c]\nextends = \"discrod\"\n[d]\ntitle = \"D\"");
    for (name, field, words) in [
        ("a", "extends", "leads back to itself"),
        ("c", "extends", "nobody has the name `discrod`: write one of a, b, c, d, discord, generic"),
        ("nobody", "", "`[provider.nobody]`"),
        ("d", "token_url", "it is missing"),
        ("generic", "token_url", "it is missing"),
    ] {
        let error = resolve(name, &tables).expect_err(name);
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn fields_that_make_no_sense_are_explained() {
    let url = "token_url = \"https://a.test/t\"\n";
    for (toml, field, words) in [
        ("title = \"\"", "title", "1 to 80 bytes"),
        ("grants = []", "grants", "at least one"),
        ("scope_separator = \"\"", "scope_separator", "between two scopes"),
        ("parameters = { scope = \"a\" }", "parameters", "`scope`"),
        ("headers = { \"a b\" = \"c\" }", "headers", "no name for a header"),
        ("headers = { Authorization = \"c\" }", "headers", "set by the request itself"),
        ("headers = { a = \"b\\r\\nc: d\" }", "headers", "can't carry"),
        ("errors = [{ class = \"client\" }]", "errors", "a `status`, an `error`"),
        ("errors = [{ error = \"a b\", class = \"client\" }]", "errors", "visible ASCII"),
        ("renewal.at = 1.0", "renewal.at", "at most 0.95"),
        ("renewal.at = 0.0", "renewal.at", "at most 0.95"),
        ("renewal.at = nan", "renewal.at", "at most 0.95"),
    ] {
        let table: ProviderTable = toml::from_str(&format!("{url}{toml}")).expect(toml);
        let error = table.complete("acme").expect_err(toml);
        assert_eq!(error.field, field, "{error}");
        assert!(error.problem.contains(words), "{error}");
    }
    let table: ProviderTable = toml::from_str(url).expect("a table");
    assert!(table.complete("Not A Name").is_err());
}

#[test]
fn a_wrong_table_is_refused_where_it_is_written() {
    for (toml, words) in [
        ("tokenurl = \"x\"", "unknown field `tokenurl`"),
        ("lifetime.filed = \"x\"", "unknown field `filed`"),
        ("client_auth = \"post\"", "unknown variant `post`"),
        ("token_url = \"http://a.test/t\"", "never sent over plain http"),
        ("token_url = \"ftp://a.test/t\"", "no scheme for a token URL"),
        ("token_url = \"a.test/t\"", "this is no URL"),
        ("token_url = \"https://me:hunter2@a.test/t\"", "a user or password stands in this URL"),
        ("token_url = \"https://a.test/t#x\"", "no `#` part"),
        ("lifetime.documented = \"a while\"", "no length of time"),
        ("lifetime.documented = \"0s\"", "makes no sense"),
        ("renewal.floor = \"1mo\"", "no fixed length"),
        ("answer.token = \"a..b\"", "no path to a field"),
    ] {
        let error = toml::from_str::<ProviderTable>(toml).expect_err(toml);
        assert!(error.message().contains(words), "{toml}: {}", error.message());
        assert!(!error.message().contains("hunter2"), "{}", error.message());
        assert!(error.span().is_some_and(|span| span.end > 0), "{toml}");
    }
    for fine in ["http://localhost:1/t", "http://127.0.0.1:1/t", "http://[::1]:1/t", "https://a.test/t?x=1"] {
        toml::from_str::<ProviderTable>(&format!("token_url = \"{fine}\"")).expect(fine);
    }
}

#[test]
fn renewal_hints_say_when_only_where_there_is_a_reason() {
    let fraction = |toml: &str| {
        let table: ProviderTable =
            toml::from_str(&format!("token_url = \"https://a.test/t\"\n{toml}")).expect("a table");
        table.complete("acme").expect("a provider").renewal.fraction()
    };
    assert_eq!(fraction(""), None);
    assert_eq!(fraction("renewal.kills_previous = true"), Some(0.8));
    assert_eq!(fraction("renewal.kills_previous = true\nrenewal.at = 0.9"), Some(0.9));
}

#[test]
fn a_source_is_overridden_as_a_whole() {
    let provider = resolve("discord", &own("[discord]\ndocumentation.url = \"https://wiki.test\"")).expect("one");
    assert_eq!(provider.documentation.url.as_deref(), Some("https://wiki.test"));
    assert_eq!(provider.documentation.checked, None);
    assert!(preset("discord").is_some_and(|table| table.documentation.checked.is_some()));
}
