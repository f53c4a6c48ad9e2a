//! The API that a token is of.

use super::Importer;
use crate::pattern::{Found, Study};
use crate::settings::{self, Line, ProviderTable};
use crate::time::End;

impl Importer<'_> {
    /// The provider: a preset where its endpoint is known, else one of its own.
    pub(super) fn provider(&mut self, study: &Study<'_>, token: &Found) -> String {
        let field = field_path(&token.token_field);
        let plain = field == "access_token" && token.headers.is_empty();
        if let Some(preset) = self.preset(token).filter(|_| plain) {
            return preset.name.clone();
        }
        let mut lines = vec![Line::new("", "token_url", settings::text(&token.token_url))];
        if token.basic {
            lines.push(Line::new("", "client_auth", settings::text("basic")));
        }
        if field != "access_token" {
            lines.push(Line::new("", "answer", format!("{{ token = {} }}", settings::text(&field))));
        }
        if let Some((field, unit)) = lifetime(token) {
            let unit = unit.map(|unit| format!(", unit = {}", settings::text(unit))).unwrap_or_default();
            lines.push(Line::new("", "lifetime", format!("{{ field = {}{unit} }}", settings::text(&field))));
        }
        if !token.headers.is_empty() {
            lines.push(Line::new("", "headers", settings::table(&token.headers)));
        }
        if let Some(same) = self.providers.iter().find(|provider| provider.lines == lines) {
            return same.name.clone();
        }
        let name = self.provider_name(&token.token_url);
        let comment = format!("The API that `{}` of \"{}\" asks.", study.name(token.request), study.title);
        self.providers.push(ProviderTable { name: name.clone(), comment, lines });
        name
    }

    fn provider_name(&self, token_url: &str) -> String {
        let base = domain(token_url);
        let free = |name: &str| {
            self.options.presets.iter().all(|preset| preset.name != name)
                && self.providers.iter().all(|provider| provider.name != name)
        };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        core::iter::once(base.clone()).chain(numbered).find(|name| free(name)).unwrap_or(base)
    }
}

/// Where the answer tells the token's life, and in which unit, where it isn't `expires_in` in seconds.
fn lifetime(token: &Found) -> Option<(String, Option<&'static str>)> {
    let (path, unit) = match token.end.as_ref()? {
        End::AfterField(field, _) => (&field.path, None),
        End::AtField(field) if field.is_date => (&field.path, Some("date")),
        End::AtField(field) => (&field.path, Some("unix_seconds")),
        End::After(_) | End::Unknown => return None,
    };
    let field = path.get(1..).filter(|path| !path.is_empty())?;
    (unit.is_some() || field != ["expires_in"]).then(|| (field_path(field), unit))
}

/// A place in an answer: with dots between the keys, or as a JSON Pointer (RFC 6901) where a key has one itself.
fn field_path(keys: &[String]) -> String {
    if keys.iter().all(|key| !key.contains('.') && !key.starts_with('/')) {
        return keys.join(".");
    }
    keys.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

/// `spotify` of `https://accounts.spotify.com/api/token`.
fn domain(token_url: &str) -> String {
    let host = token_url.trim_start_matches("https://").split(['/', ':', '?']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let word = match labels.as_slice() {
        [.., name, second, top] if top.len() == 2 && matches!(*second, "co" | "com" | "org" | "ac" | "gov") => name,
        [.., name, _top] => name,
        [only] => only,
        [] => "api",
    };
    let name: String = word
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(60)
        .collect();
    if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) { "api".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_dot_is_told_from_two_keys() {
        let path = |keys: &[&str]| field_path(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(path(&["data", "token"]), "data.token");
        assert_eq!(path(&["a.b", "c/d~e"]), "/a.b/c~1d~0e");
    }

    #[test]
    fn a_provider_is_called_by_its_domain() {
        for (url, name) in [
            ("https://accounts.spotify.com/api/token", "spotify"),
            ("https://api.example.co.uk/token", "example"),
            ("https://localhost:8443/token", "localhost"),
            ("https://127.0.0.1/token", "api"),
        ] {
            assert_eq!(domain(url), name);
        }
    }
}
