//! Which key vault a connection leads to: no export says it, so that arguments do, or a person.

use std::collections::{BTreeMap, BTreeSet};

use flow::{Import, OpenConnection};

use crate::cli::input::Questions;
use crate::cli::problem::Problem;

pub(super) fn key_vault(said: &str) -> Result<(String, String), String> {
    let wrong = || "write CONNECTION=VAULT, such as shared_keyvault=https://contoso.vault.azure.net".to_owned();
    let (connection, vault) =
        said.rsplit_once('=').filter(|(name, vault)| !name.is_empty() && !vault.is_empty()).ok_or_else(wrong)?;
    Ok((connection.to_owned(), vault_address(vault).ok_or_else(wrong)?))
}

/// `contoso` and `contoso.vault.azure.net` are `https://contoso.vault.azure.net`.
fn vault_address(vault: &str) -> Option<String> {
    let vault = vault.trim().trim_end_matches('/');
    let is_name = !vault.is_empty() && vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let written = if vault.contains("://") { vault.to_owned() } else { format!("https://{vault}") };
    match url::Url::parse(&written) {
        _ if is_name => Some(format!("https://{}.vault.azure.net", vault.to_lowercase())),
        Ok(url) if url.scheme() == "https" && url.path() == "/" && url.query().is_none() => {
            Some(url.as_str().trim_end_matches('/').to_owned())
        }
        _ => None,
    }
}

/// Which vault a connection leads to, as the arguments say it.
pub(super) fn said_vaults(said: &[(String, String)]) -> Result<BTreeMap<String, String>, Problem> {
    let mut vaults = BTreeMap::new();
    for (connection, vault) in said {
        if vaults.insert(connection.clone(), vault.clone()).is_some_and(|other| other != *vault) {
            return Err(Problem::usage(format!("--key-vault says two vaults of `{connection}`; nothing was written"))
                .help("say one; where two flows call their connections the same, write FLOW/CONNECTION=VAULT"));
        }
    }
    Ok(vaults)
}

/// A connection that was named, and that no flow reads a secret by.
pub(super) fn not_a_connection(said: &str, import: &Import) -> Problem {
    let problem = Problem::usage(format!("no flow reads a secret by the connection `{said}`; nothing was written"));
    let open: BTreeSet<String> =
        import.report.connections.iter().map(|open| format!("{}/{}", open.flow, open.connection)).collect();
    if open.is_empty() {
        return problem.help("leave this --key-vault out");
    }
    problem.help(format!("these are left to say: {}", open.into_iter().collect::<Vec<_>>().join(", ")))
}

/// Asks a person where connections lead that the file doesn't tell of. Whether anything was learnt.
pub(super) fn ask(
    open: &[OpenConnection],
    vaults: &mut BTreeMap<String, String>,
    questions: &mut dyn Questions,
) -> Result<bool, Problem> {
    for OpenConnection { flow, connection, taken } in open {
        let question = format!(
            "Which key vault does the connection `{connection}` of the flow \"{flow}\" read? Its name, or nothing for {taken}: "
        );
        let answer = questions.line(&question).map_err(|error| {
            Problem::io("the terminal can't be asked", &error).help("say it with --key-vault CONNECTION=VAULT")
        })?;
        let answer = answer.trim();
        let vault = if answer.is_empty() { Some(taken.clone()) } else { vault_address(answer) };
        let Some(vault) = vault else {
            return Err(Problem::usage("that is no key vault: nothing was written")
                .help("write its name, or its address: https://contoso.vault.azure.net"));
        };
        vaults.insert(format!("{flow}/{connection}"), vault);
    }
    Ok(!open.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io;

    use zeroize::Zeroizing;

    use super::*;
    use crate::cli::exit::Exit;

    /// A person who answers what is written here, and what was asked.
    struct Answers(Vec<&'static str>, Vec<String>);

    impl Questions for Answers {
        fn hidden(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn line(&mut self, question: &str) -> io::Result<String> {
            self.1.push(question.to_owned());
            Ok(self.0.remove(0).to_owned())
        }
    }

    fn open(flow: &str) -> OpenConnection {
        OpenConnection {
            flow: flow.to_owned(),
            connection: "shared_keyvault".to_owned(),
            taken: "https://taken.vault.azure.net".to_owned(),
        }
    }

    #[test]
    fn of_each_flow_it_is_asked_where_its_connection_leads() {
        let mut answers = Answers(vec![" alpha ", "", "https://gamma.vault.azure.cn/"], Vec::new());
        let mut vaults = BTreeMap::new();
        assert!(ask(&[open("A"), open("B"), open("C")], &mut vaults, &mut answers).expect("all can be answered"));
        let said: Vec<(&str, &str)> = vaults.iter().map(|(key, vault)| (key.as_str(), vault.as_str())).collect();
        assert_eq!(
            said,
            [
                ("A/shared_keyvault", "https://alpha.vault.azure.net"),
                ("B/shared_keyvault", "https://taken.vault.azure.net"),
                ("C/shared_keyvault", "https://gamma.vault.azure.cn"),
            ]
        );
        assert!(answers.1[0].contains("`shared_keyvault` of the flow \"A\""), "{:?}", answers.1);
    }

    #[test]
    fn an_answer_that_is_no_vault_ends_the_import() {
        let mut answers = Answers(vec!["what is this?"], Vec::new());
        let problem = ask(&[open("A")], &mut BTreeMap::new(), &mut answers).expect_err("it is no vault");
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(!ask(&[], &mut BTreeMap::new(), &mut answers).expect("nothing is asked"));
    }

    #[test]
    fn a_vault_is_said_once_of_each_connection() {
        let said = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
            said_vaults(&pairs)
        };
        assert_eq!(said(&[("a", "x"), ("a", "x"), ("F/a", "y")]).expect("they agree").len(), 2);
        assert!(said(&[("a", "x"), ("a", "y")]).is_err());
        assert_eq!(key_vault("A=B/a=contoso"), Ok(("A=B/a".to_owned(), "https://contoso.vault.azure.net".to_owned())));
    }
}
