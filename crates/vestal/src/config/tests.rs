//! Configurations as files: `tests/config/NAME.toml`, and beside it what is said of it. `NAME.stderr` holds the
//! problems of one that is refused, `NAME.stdout` the explanation of one that is fine. `VESTAL_UPDATE=1` writes them
//! again.

use std::path::{Path, PathBuf};

use super::*;

/// `tests/config` of this crate, and the repository's root.
fn directory(below_root: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/vestal is two below the root");
    root.join(below_root)
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Compares with a file, or writes it where the variable says so.
fn hold(file: &Path, actual: &str, update: &str) -> Result<(), String> {
    if is_set(update) {
        std::fs::write(file, actual).map_err(|problem| format!("{}: {problem}", file.display()))?;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == actual {
        return Ok(());
    }
    let line = expected.lines().zip(actual.lines()).position(|(one, other)| one != other).map_or(0, |at| at + 1);
    Err(format!("{}, line {line} ({update}=1 writes it again); it should be\n{actual}", file.display()))
}

fn cases() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(directory("crates/vestal/tests/config")).expect("the cases are there");
    let mut cases: Vec<_> = listed
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    cases
}

/// Reads a case as `vestal` would from its own directory, so that no machine's paths get into what is said.
fn read_case(case: &Path) -> Result<Config, ConfigErrors> {
    let text = std::fs::read_to_string(case).expect("a readable case");
    let name = case.file_name().expect("a file").to_string_lossy().into_owned();
    parse(&text, &name, Path::new("tests/config"))
}

#[test]
fn every_configuration_is_judged_as_written_down() {
    let cases = cases();
    assert!(cases.len() > 40, "the cases are there");
    let mut wrong = Vec::new();
    for case in cases {
        let (extension, shown) = match read_case(&case) {
            Ok(config) => ("stdout", explain(&config).to_string()),
            Err(errors) => ("stderr", format!("{}\n", errors.render(false))),
        };
        let other = case.with_extension(if extension == "stdout" { "stderr" } else { "stdout" });
        if other.exists() && is_set("VESTAL_UPDATE") {
            std::fs::remove_file(&other).expect("a writable directory");
        }
        if other.exists() {
            wrong.push(format!("{}: is not so any more\n{shown}", other.display()));
        }
        wrong.extend(hold(&case.with_extension(extension), &shown, "VESTAL_UPDATE").err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_problem_says_what_to_do_and_where() {
    for case in cases() {
        let Err(errors) = read_case(&case) else { continue };
        for (problem, record) in errors.problems().iter().zip(errors.records()) {
            let place = format!("{}: {problem:?}", case.display());
            assert!(problem.help.is_some(), "{place}");
            assert_eq!(record.kind, problem.kind.word());
            // What the picture says and what `--json` says are the same place.
            let at = format!("{}:{}:{}", record.file, record.line.expect(&place), record.column.expect(&place));
            assert!(errors.to_string().contains(&at), "{at}\n{errors}");
        }
    }
}

#[test]
fn a_secret_in_the_file_is_never_shown() {
    let mut seen = 0;
    for case in cases() {
        let text = std::fs::read_to_string(&case).expect("a readable case");
        if !text.contains("hunter2") {
            continue;
        }
        let errors = read_case(&case).expect_err("a secret in the file is refused");
        seen += 1;
        let json = serde_json::to_string(&errors.records()).expect("records are JSON");
        for shown in [errors.render(false), errors.render(true), format!("{errors:?}"), json] {
            assert!(!shown.contains("hunter2"), "{}: {shown}", case.display());
        }
    }
    assert!(seen >= 5, "the cases are there");
}

#[test]
fn every_kind_of_problem_has_a_case() {
    let mut seen: Vec<_> = cases()
        .iter()
        .filter_map(|case| read_case(case).err())
        .flat_map(|errors| errors.problems().iter().map(|problem| problem.kind).collect::<Vec<_>>())
        .collect();
    seen.extend([ProblemKind::UnreadableFile, ProblemKind::MissingSecret]); // Of these below.
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), ProblemKind::ALL.len(), "{seen:?}");
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |path: &Path| load(path).expect_err("refused").records().remove(0);
    let record = refused(&folder.path().join("vestal.toml"));
    assert_eq!((record.kind, record.message.as_str()), ("unreadable-file", "there is no such configuration file"));
    assert_eq!(refused(folder.path()).kind, "unreadable-file");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"a = 1\n\xff").expect("a writable folder");
    assert_eq!(refused(&binary).message, "the configuration file is not UTF-8 text, at line 2");
}

#[test]
fn relative_paths_begin_at_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("vestal.toml");
    std::fs::write(folder.path().join("ca.pem"), "x").expect("a writable folder");
    std::fs::write(&file, "[outbound]\nca = [\"ca.pem\"]\n[store]\nkey_file = \"/elsewhere/key\"").expect("writable");
    let process = load(&file).expect("a good file").process;
    assert_eq!(process.outbound.ca[0].path(), folder.path().join("ca.pem"));
    assert_eq!(process.store.data, folder.path().join("vestal-data"));
    assert_eq!(process.store.key_path(), Path::new("/elsewhere/key"));
}

#[test]
fn the_example_is_the_tutorial_with_discord() {
    let config = load(&directory("examples/discord.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let token = &config.definitions.tokens[0];
    assert_eq!(token.row_name(), "contoso/discord-api-oauth-token");
    let provider = &config.providers["discord"];
    assert_eq!(provider.token_url.url().as_str(), "https://discord.com/api/oauth2/token");
    let credentials: Vec<_> = token.body.credentials().iter().map(|(_, _, name)| name.to_string()).collect();
    assert_eq!(credentials, ["client-id", "client-credentials"]);
    let reader = &config.definitions.policies[0].body;
    assert!(reader.names[0].matches(&token.secret()));
    assert!(!reader.names[0].matches(&SecretName::parse("client-credentials").expect("a name")));
}

#[test]
fn the_azure_example_is_the_tutorial_with_its_vault() {
    let config = load(&directory("examples/azure.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let token = &config.definitions.tokens[0];
    let definition = token.definition();
    assert_eq!(token.row_name(), "home/discord-api-oauth-token");
    let there = |name: &str| keeper::Source::Secret { vault: "contoso".to_owned(), name: name.to_owned() };
    assert_eq!((definition.client_id, definition.client_secret), (there("client-id"), there("client-credentials")));
    let delivery = &definition.deliver[0];
    assert_eq!((delivery.target.as_str(), delivery.name.as_str()), ("contoso", "discord-api-oauth-token"));
    assert_eq!((delivery.on_change, delivery.check_every), (keeper::OnChange::Repair, keeper::CHECK_EVERY));
    assert!(!definition.shadow);
    let missing = config.missing_secrets(|_, _| false).expect("the app's secret is in no vault yet");
    assert_eq!(missing.count(), 1, "what the target holds isn't asked for here");
    let shown = missing.render_warnings(false);
    assert!(shown.contains("nothing can be delivered to `contoso` without it"), "{shown}");
    assert!(shown.contains("vestal secret set home/contoso-client-secret"), "{shown}");
}

#[test]
fn targets_and_deliveries_become_what_is_stored() {
    let text = include_str!("../../tests/config/fine-targets.toml");
    let config = parse(text, "vestal.toml", Path::new("/etc/vestal")).unwrap_or_else(|errors| panic!("{errors}"));
    let stored = |name: &str| {
        let target = config.definitions.targets.iter().find(|target| target.row_name() == name).expect("it is there");
        serde_json::to_value(&target.body.definition).expect("it is JSON")
    };
    let id = "157f8b0a-52d2-4b2a-9c5e-6f1b8d1c9a10";
    assert_eq!(
        stored("contoso"),
        serde_json::json!({
            "kind": "azure-key-vault", "url": "https://contoso.vault.azure.net", "cloud": "public",
            "credential": {
                "kind": "client-secret", "tenant": "contoso.onmicrosoft.com", "client_id": id,
                "client_secret": { "vault": "home", "name": "contoso-client-secret" },
            },
        })
    );
    assert_eq!(stored("china")["cloud"], "china");
    assert_eq!(stored("second-vestal")["authority"], "https://login.other.example");
    assert_eq!(
        stored("files"),
        serde_json::json!({ "kind": "file", "folder": "/run/tokens", "mode": 0o640, "owner": "app", "group": "app" })
    );
    let token = |name: &str| {
        let tokens = &config.definitions.tokens;
        tokens.iter().find(|token| token.name == name).expect("it is there").definition()
    };
    assert!(token("discord-api-oauth-token").shadow);
    let hourly = &token("hourly-token").deliver[0];
    assert_eq!((hourly.name.as_str(), hourly.check_every, hourly.disable_superseded), ("Hourly", 300, true));
    assert_eq!(token("hourly-token").deliver[2].name, "hourly.token");
}

#[test]
fn credentials_that_are_not_there_are_shown_in_their_lines() {
    let config = load(&directory("examples/discord.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(config.missing_secrets(|_, _| true).is_none());
    let missing = config.missing_secrets(|_, name| name.as_written() == "client-id").expect("one is missing");
    assert_eq!(missing.count(), 1);
    let shown = missing.render_warnings(false);
    assert!(
        shown.starts_with("warning: there is no secret `client-credentials` in the vault `contoso` yet"),
        "{shown}"
    );
    assert!(shown.contains("client_secret = { secret = \"client-credentials\" }"), "{shown}");
    assert!(shown.contains("vestal secret set contoso/client-credentials"), "{shown}");
}

#[test]
fn definitions_know_their_lines_and_become_rows() {
    let text = "[vault.Contoso]\n\n[app.reader]\n[provider.mine]\ntoken_url = \"https://a.example/t\"\n\
        [token.T]\nvault = \"contoso\"\nprovider = \"mine\"\nclient_id = \"id\"\n\
        client_secret = { secret = \"s\" }\nsecret = \"My-Token\"\npromise = \"1m\"\n\
        [policy.p]\napp = \"reader\"\nvault = \"CONTOSO\"\npermissions = [\"get\", \"list\"]\n";
    let config = parse(text, "vestal.toml", Path::new("/etc/vestal")).unwrap_or_else(|errors| panic!("{errors}"));
    let views: Vec<_> = config
        .definitions
        .views()
        .into_iter()
        .map(|view| (view.kind, view.name, view.source.expect("it stands in a file").line, view.body.to_string()))
        .collect();
    let row = |kind: &str, name: &str, line, body: &str| (kind.to_owned(), name.to_owned(), line, body.to_owned());
    let token = concat!(
        r#"{"client_id":{"literal":"id"},"client_secret":{"secret":{"name":"s","vault":"contoso"}},"#,
        r#""keep_versions":25,"promise":60,"provider":"mine"}"#,
    );
    assert_eq!(
        views,
        [
            row("vault", "contoso", 1, r#"{"challenge":"adfs","purge_protection":false,"retention_days":90}"#),
            row("provider", "mine", 4, r#"{"token_url":"https://a.example/t"}"#),
            row("token", "contoso/my-token", 6, token),
            row("app", "reader", 3, "{}"),
            row("policy", "p", 13, r#"{"app":"reader","names":[],"permissions":["get","list"],"vault":"contoso"}"#),
        ]
    );
}

proptest::proptest! {
    /// Whatever is cut out of a file, and whatever is put in instead: it is read or refused, shown, and no secret with
    /// it.
    #[test]
    fn no_text_makes_the_reader_panic_or_show_a_secret(
        targets: bool,
        cut in 0_usize..3_000,
        length in 0_usize..200,
        instead in r#"[a-z"'=\[\]{}#., \néΩ🦀\\]{0,12}"#,
    ) {
        const FULL: &str = include_str!("../../tests/config/fine-full.toml");
        const TARGETS: &str = include_str!("../../tests/config/fine-targets.toml");
        let file = if targets { TARGETS } else { FULL };
        let boundary = |mut at: usize| {
            at = at.min(file.len());
            while !file.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (boundary(cut), boundary(cut + length));
        let text = format!("{}{instead}{}[token.last]\nclient_secret = \"hunter2\"\n", &file[..start], &file[end..]);
        let errors = parse(&text, "vestal.toml", Path::new("tests/config")).expect_err("a secret stands in it");
        proptest::prop_assert!(errors.count() > 0);
        for shown in [errors.render(false), errors.render(true), format!("{:?}", errors.records())] {
            proptest::prop_assert!(!shown.contains("hunter2"), "{}", shown);
        }
    }
}

#[test]
fn more_problems_than_anybody_reads_are_counted() {
    let text: String = (0..MAX_PROBLEMS + 7).map(|number| format!("[nonsense-{number}]\n")).collect();
    let errors = parse(&text, "vestal.toml", Path::new(".")).expect_err("nonsense");
    assert_eq!((errors.problems().len(), errors.count()), (MAX_PROBLEMS, MAX_PROBLEMS + 7));
    assert!(errors.to_string().ends_with("… and 7 more"));
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = parse("", "vestal.toml", Path::new("/etc/vestal")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.process.server.authority_for(8443), "https://localhost:8443");
    assert_eq!(config.process.store.key_path(), Path::new("/etc/vestal/vestal-data/key"));
}

#[test]
fn the_authority_is_the_domain_unless_another_is_named() {
    let server = |text: &str| parse(text, "vestal.toml", Path::new(".")).expect("a good file").process.server;
    let vault = VaultName::parse("contoso").expect("a name");
    let own = server("[server]\ndomain = \"vault.example.com\"");
    assert_eq!(own.authority_for(443), "https://vault.example.com");
    assert_eq!(own.vault_url_for(&vault, 443), "https://contoso.vault.example.com");
    assert_eq!(own.vault_url_for(&vault, 8443), "https://contoso.vault.example.com:8443");
    let named = server("[server]\ndomain = \"vault.example.com\"\nauthority = \"https://login.example.com\"");
    assert_eq!(named.authority_for(8443), "https://login.example.com");
}

/// What examples refer to.
const SURROUNDINGS: &str = "[vault.contoso]\n[app.reader]\n[target.contoso-azure]\nkind = \"azure-key-vault\"\n\
    url = \"https://fabrikam.vault.azure.net\"\ncredential = { kind = \"managed-identity\" }\n";

/// Settings that a target of one kind must have, and a target of the other can't: they stand beside their own kind.
fn kind_of_target(setting: &Setting) -> (&'static str, &'static [&'static str]) {
    match setting.key {
        "folder" | "mode" | "owner" | "group" => ("file", &["folder"]),
        _ => ("azure-key-vault", &["url", "credential"]),
    }
}

/// Puts each example where the setting stands, among the settings that must be there. The defaults of all others are
/// read on the way.
#[test]
fn every_example_is_a_value_of_its_setting() {
    for section in SECTIONS {
        // An API must have a token endpoint, and Discord's wants a scope.
        let must_be_there = |setting: &Setting| {
            matches!(setting.presence, Presence::Required(_)) || ["token_url", "scope"].contains(&setting.key)
        };
        for setting in section.settings {
            let is_target = section.name == "target";
            let around = section.settings.iter().filter(|other| other.key != setting.key).filter(|other| {
                if is_target { kind_of_target(setting).1.contains(&other.key) } else { must_be_there(other) }
            });
            let mut lines: String = around
                .chain([setting])
                .map(|setting| format!("{} = {}\n", setting.key, setting.presence.example()))
                .collect();
            if is_target && setting.key != "kind" {
                lines += &format!("kind = \"{}\"\n", kind_of_target(setting).0);
            }
            let header = section.header().replace("NAME", "example");
            let text = format!("{SURROUNDINGS}{header}\n{lines}");
            let problems = parse(&text, "vestal.toml", Path::new(".")).err().map(|errors| errors.problems);
            let unforeseen = problems.into_iter().flatten().find(|problem| {
                // Example files are not there, and Discord documents a lifetime.
                // Of an `authority` that isn't Azure's, the address isn't either.
                problem.kind != ProblemKind::MissingFile && !["lifetime", "authority"].contains(&setting.key)
            });
            assert_eq!(unforeseen, None, "{text}");
        }
    }
}

#[test]
fn the_reference_page_and_the_schema_are_up_to_date() {
    let schema = serde_json::to_string_pretty(&json_schema()).expect("a schema is JSON") + "\n";
    let page = hold(&directory("docs/configuration.md"), &reference_page(), "VESTAL_WRITE_DOCS");
    let schema = hold(&directory("docs/vestal.schema.json"), &schema, "VESTAL_WRITE_DOCS");
    for held in [page, schema] {
        if let Err(why) = held {
            panic!("{why}");
        }
    }
}

#[test]
fn sections_that_need_a_restart_are_named() {
    let settings = |text: &str| parse(text, "vestal.toml", Path::new("/")).expect("a configuration").process;
    let before = settings("");
    assert!(before.sections_unlike(&settings("")).is_empty());
    let after = settings("[server]\nlisten = \"127.0.0.1:9443\"\n[outbound]\nallow = [\"10.1.0.0/16\"]\n");
    assert_eq!(before.sections_unlike(&after), ["[server]", "[outbound]"]);
}
