//! Process settings: what one running Vestal is told once, at its start. They stand in `vestal.toml` alone, and no
//! admin call changes them: they say which files are read, which addresses are called and which program is run.

use core::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::place::{Domain, HttpsOrigin, WebhookUrl};
use super::problem::ProblemKind;
use super::secret_reference::HomeSecret;
use super::setting::{Reading, Schema, Shape, Value, section};
use super::value::{ExistingFile, Text, read_text};
use crate::connector::Allowed;

/// The process settings of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSettings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[observe]`
    pub observe: ObserveSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[outbound]`
    pub outbound: OutboundSettings,
    /// `[alert]`
    pub alert: AlertSettings,
}

section! {
    /// Where Vestal listens, and under which names readers and flows find it. One HTTPS listener serves every vault and
    /// the authority, which hands out the tokens that a vault asks for.
    ServerSettings {
        /// The address and port of the HTTPS listener. `127.0.0.1` is reached from this machine alone, `0.0.0.0` from
        /// every network that the machine is in.
        listen: SocketAddr = default r#""127.0.0.1:8443""#;

        /// What the vaults' host names end with. A vault `contoso` is `https://contoso.vault.example.com`, followed by
        /// the port if it is not 443. It has two parts or more.
        domain: Domain = default r#""vault.localhost""#;

        /// The address of the authority, as clients are told it: what stands in `AZURE_AUTHORITY_HOST`. Left out, it is
        /// `https://localhost` with the port of `listen` where `domain` is under `localhost`, and else the domain
        /// itself with that port.
        authority: HttpsOrigin = optional r#""https://login.example.com:8443""#;

        /// The certificate of the listener and its chain, a PEM file. It is good for `*.` and the domain, and for the
        /// authority's host. When it changes it is read again, within 30 seconds. Left out together with `key`, Vestal
        /// makes a certificate authority of its own and a certificate in `tls` under the data directory.
        certificate: ExistingFile = optional r#""/etc/vestal/server.pem""#;

        /// The key of the certificate, a PEM file that nobody else can read.
        key: ExistingFile = optional r#""/etc/vestal/server.key""#;
    }
}

section! {
    /// What a monitoring system asks.
    ObserveSettings {
        /// The address and port of `/healthz`, `/readyz` and `/metrics`, over plain HTTP. They show names of vaults and
        /// tokens, never a value.
        listen: SocketAddr = default r#""127.0.0.1:9464""#;
    }
}

section! {
    /// Where Vestal keeps what it has to remember.
    StoreSettings {
        /// The data directory: the store, the audit file, the control socket. It is made at the first start and must
        /// belong to the user that runs Vestal. A relative path begins at the directory of this file.
        data: PathBuf = default r#""vestal-data""#;

        /// The file with the key that everything in the store is sealed with. It is made at the first start, readable
        /// by its owner alone. Left out, it is `key` in the data directory. Keep a copy elsewhere: without it the store
        /// can't be opened by anybody.
        key_file: PathBuf = optional r#""/etc/vestal/key""#;
    }
}

section! {
    /// What Vestal may call. Public addresses are always allowed; private ones, loopback and the like only if they
    /// stand here, so that nobody who may declare a token can make Vestal talk to your internal network.
    OutboundSettings {
        /// Networks, addresses, and hosts with their port that may be called besides public addresses.
        allow: Vec<Allowed> = default r#"[]"#, r#"["10.1.0.0/16", "sso.corp.example:443"]"#;

        /// Certificate authorities, as PEM files, that are trusted besides the system's: that of your own company, say.
        ca: Vec<ExistingFile> = default r#"[]"#, r#"["corp-ca.pem"]"#;
    }
}

section! {
    /// Who hears that a token is failing, has recovered or is about to expire: once each, with the token's owner. Both
    /// ways can be used at once.
    AlertSettings {
        /// An https URL to which alerts are posted as JSON. Where knowing the URL is enough to post to it, keep it in a
        /// vault and name the secret: `{ secret = "alert-webhook", vault = "contoso" }`.
        webhook: Webhook = optional r#""https://alerts.example.com/vestal""#;

        /// A program that is run for each alert, with its arguments; it gets the alert as JSON on its standard input.
        /// The program is a path, and no shell is involved.
        command: AlertCommand = optional r#"["/usr/local/bin/notify", "--tokens"]"#;
    }
}

impl ProcessSettings {
    /// The sections that say something else in `other`, as they are written: `[server]`.
    pub fn sections_unlike(&self, other: &Self) -> Vec<&'static str> {
        let sections = [
            ("[server]", self.server == other.server),
            ("[observe]", self.observe == other.observe),
            ("[store]", self.store == other.store),
            ("[outbound]", self.outbound == other.outbound),
            ("[alert]", self.alert == other.alert),
        ];
        sections.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

impl ServerSettings {
    /// The authority's address as clients are told it, where the listener has this port: a listener that was told
    /// port 0 knows it only later.
    pub fn authority_for(&self, port: u16) -> String {
        match &self.authority {
            Some(authority) => authority.as_str().to_owned(),
            None => {
                let host = if self.domain.is_local() { "localhost" } else { self.domain.as_str() };
                format!("https://{host}{}", port_suffix(port))
            }
        }
    }

    /// The address of a vault, where the listener has this port.
    pub fn vault_url_for(&self, vault: &vault::VaultName, port: u16) -> String {
        format!("https://{vault}.{}{}", self.domain, port_suffix(port))
    }
}

impl StoreSettings {
    /// The file with the sealing key.
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join("key"))
    }
}

fn port_suffix(port: u16) -> String {
    if port == 443 { String::new() } else { format!(":{port}") }
}

/// Where alerts are posted.
#[derive(Clone, Debug, PartialEq)]
pub enum Webhook {
    /// To this URL.
    Url(WebhookUrl),
    /// To the URL in this secret.
    Secret(HomeSecret),
}

impl Value for Webhook {
    const SHAPE: Shape = Shape {
        noun: "an https URL, or a secret that holds one",
        list: "a list of URLs",
        schema: Schema::Either(&[Schema::Text("^https://"), HomeSecret::SHAPE.schema]),
    };

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().as_table().is_none() {
            let read = read_text(value, reading, ProblemKind::BadValue, Self::SHAPE.noun).map(Self::Url);
            if read.is_none() {
                reading.redactions.mask(value.span());
            }
            return read;
        }
        HomeSecret::read(value, reading).map(Self::Secret)
    }
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCommand {
    /// The program; it was there when the configuration was read.
    pub program: ExistingFile,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Value for AlertCommand {
    const SHAPE: Shape = <Vec<Text> as Value>::SHAPE;

    fn read(value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(words) = value.get_ref().as_array() else {
            reading.wrong_type(value, "a program with its arguments, as a list");
            return None;
        };
        let Some((program, arguments)) = words.split_first() else {
            let noun = "a program with its arguments";
            reading.bad_value(ProblemKind::BadValue, value.span(), noun, "an empty list runs nothing");
            return None;
        };
        if program.get_ref().as_str().is_some_and(|program| !program.contains('/')) {
            let why = "write the program's whole path: a bare name may be another program tomorrow";
            reading.bad_value(ProblemKind::BadValue, program.span(), "the path of a program", why);
            return None;
        }
        let program = reading.within_list(|reading| ExistingFile::read(program, reading));
        let arguments: Vec<Option<Text>> =
            reading.within_list(|reading| arguments.iter().map(|word| Text::read(word, reading)).collect());
        let arguments = arguments.into_iter().map(|word| word.map(|word| word.0)).collect::<Option<_>>();
        Some(Self { program: program?, arguments: arguments? })
    }
}
