//! The file, sourced by a real shell, and what becomes of its client secrets.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use keyvault::Now;
use renewal::LaneLimits;
use tempfile::TempDir;
use vault::ClientId;

use super::{ENVIRONMENT_FILE, SignIn, VARIABLES, apps, write};
use crate::clock;
use crate::config;
use crate::dev::setup;
use crate::engine::{Addresses, Engine, OpenStore};

struct World {
    folder: TempDir,
    engine: Arc<Engine>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = start(folder.path()).await;
        Self { folder, engine }
    }

    /// The process ends, and the next one starts on the same folder.
    async fn restarted(self) -> Self {
        let Self { folder, engine } = self;
        drop(engine);
        let engine = start(folder.path()).await;
        Self { folder, engine }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(ENVIRONMENT_FILE)
    }

    /// What a start does: signs the apps in, and writes the file.
    async fn write(&self) -> BTreeMap<&'static str, SignIn> {
        let apps = apps(&self.engine, self.folder.path()).await.expect("the apps are there");
        self.write_into(self.folder.path(), &apps);
        apps
    }

    fn write_into(&self, folder: &Path, apps: &BTreeMap<&'static str, SignIn>) {
        write(&self.engine, folder, &folder.join("ca-bundle.pem"), &folder.join("tls/ca.pem"), apps).expect("written");
    }

    fn signs_in(&self, app: &SignIn) -> bool {
        let client_id = ClientId::parse(&app.client_id).expect("a GUID");
        let now = Now { unix_ms: clock::now().wall.0 };
        self.engine.keyvault().signs_in(&client_id, app.client_secret.as_bytes(), now)
    }
}

async fn start(folder: &Path) -> Arc<Engine> {
    let parse = |text: &str| {
        config::parse(text, "vestal.toml", folder).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
    };
    let settings = parse("[store]\ndata = \"data\"\n").process;
    let store = OpenStore::open(&settings.store.data, &settings.store.key_path()).await.expect("it opens");
    let addresses = Addresses::new(&settings, "127.0.0.1:8443".parse().unwrap(), "127.0.0.1:9464".parse().unwrap());
    let config = parse(&setup::configuration(&addresses, "https://localhost:1/oauth2/token"));
    let engine = Engine::open(store, &settings, addresses, None, LaneLimits::default()).await.expect("it opens");
    engine.apply(&config).await.expect("it is applied");
    engine
}

/// What a shell has in these variables after it has sourced the file.
fn sourced(file: &Path, variables: &[&str]) -> Vec<String> {
    let script = r#"set -eu; set -a; . "$1"; set +a; shift; for name; do eval "printf '%s\0' \"\$$name\""; done"#;
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(file)
        .args(variables)
        .env_clear()
        .env("HOME", "/home/of-nobody")
        .env("PATH", "/nowhere")
        .output()
        .expect("there is a shell");
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{err}");
    out.split_terminator('\0').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_shell_that_sources_the_file_can_sign_in() {
    let world = World::new().await;
    let apps = world.write().await;
    for (app, id_variable, secret_variable) in VARIABLES {
        let values = sourced(&world.file(), &[id_variable, secret_variable]);
        assert_eq!(values, [apps[app].client_id.clone(), apps[app].client_secret.to_string()]);
        assert!(world.signs_in(&apps[app]), "{app}");
    }
    let values = sourced(
        &world.file(),
        &["VESTAL_VAULT_URL", "VESTAL_VAULT", "VESTAL_TOKEN_NAME", "AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID"],
    );
    let expected =
        ["https://dev.vault.localhost:8443", "dev", "discord-api-oauth-token", "https://localhost:8443", "adfs"];
    assert_eq!(values, expected);
    let lines = fs::read_to_string(world.file()).unwrap();
    assert!(lines.lines().all(|line| line.contains('=')), "nothing but variables");
}

#[tokio::test]
async fn a_folder_of_any_name_comes_through_the_shell_as_it_is() {
    let world = World::new().await;
    let apps = world.write().await;
    for name in [
        "plain",
        "two words",
        "it's",
        "'",
        "''quoted''",
        "a\"b",
        "$HOME",
        "$(echo x)",
        "`echo x`",
        "a;b&c|d",
        "~",
        "a:~",
        "a:~/b",
        "#a",
        "a\\b",
        "a\\",
        "*",
        "[x]",
        "{a,b}",
        "!x",
        "a=b",
        "-n",
        "ä ö",
        "tab\there",
        "two\nlines",
    ] {
        let folder = world.folder.path().join("odd").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        world.write_into(&folder, &apps);
        let values = sourced(
            &folder.join(ENVIRONMENT_FILE),
            &["VESTAL_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"],
        );
        let path = folder.to_str().unwrap();
        let bundle = format!("{path}/ca-bundle.pem");
        assert_eq!(values, [path, &bundle, &bundle, &bundle, &format!("{path}/tls/ca.pem")], "{name:?}");
    }
}

#[tokio::test]
async fn client_secrets_that_still_work_are_kept() {
    let world = World::new().await;
    let first = world.write().await;
    let text = fs::read_to_string(world.file()).unwrap();
    let second = world.write().await;
    assert_eq!(fs::read_to_string(world.file()).unwrap(), text);
    let world = world.restarted().await;
    let third = world.write().await;
    assert_eq!(fs::read_to_string(world.file()).unwrap(), text);
    for (app, ..) in VARIABLES {
        assert!(world.signs_in(&first[app]) && world.signs_in(&second[app]) && world.signs_in(&third[app]), "{app}");
    }
}

#[tokio::test]
async fn client_secrets_whose_file_was_deleted_are_made_anew_and_the_old_ones_end() {
    let world = World::new().await;
    let lost = world.write().await;
    fs::remove_file(world.file()).unwrap();
    let world = world.restarted().await;
    let new = world.write().await;
    for (app, ..) in VARIABLES {
        assert_eq!(new[app].client_id, lost[app].client_id, "the app is the one that it was");
        assert!(world.signs_in(&new[app]) && !world.signs_in(&lost[app]), "{app}");
    }
}

#[tokio::test]
async fn a_client_secret_that_does_not_work_any_more_is_made_anew_and_the_others_stay() {
    let world = World::new().await;
    let first = world.write().await;
    let text = fs::read_to_string(world.file()).unwrap();
    let spoilt = text.replace(first["reader"].client_secret.as_str(), "edited");
    fs::write(world.file(), spoilt).unwrap();
    let second = world.write().await;
    assert!(world.signs_in(&second["reader"]) && !world.signs_in(&first["reader"]));
    assert_eq!(*second["dev"].client_secret, *first["dev"].client_secret);
    // That of another app is no secret of this one.
    let text = fs::read_to_string(world.file()).unwrap();
    let swapped = text.replace(second["reader"].client_secret.as_str(), second["dev"].client_secret.as_str());
    fs::write(world.file(), swapped).unwrap();
    let third = world.write().await;
    assert!(world.signs_in(&third["reader"]) && world.signs_in(&third["dev"]));
    assert_ne!(*third["reader"].client_secret, *third["dev"].client_secret);
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone_and_replaced_whole() {
    let world = World::new().await;
    let elsewhere = world.folder.path().join("elsewhere");
    fs::write(&elsewhere, "somebody's").unwrap();
    // What an earlier process left half written, and a file that was opened to others, end with the next start.
    symlink(&elsewhere, world.folder.path().join("dev.env.new")).unwrap();
    fs::write(world.file(), "AZURE_CLIENT_ID=none\n").unwrap();
    fs::set_permissions(world.file(), fs::Permissions::from_mode(0o644)).unwrap();
    world.write().await;
    assert_eq!(fs::metadata(world.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!world.folder.path().join("dev.env.new").exists());
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "somebody's");
}
