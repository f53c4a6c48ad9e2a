//! What a value is, for people.

use super::Study;
use crate::flow::ActionId;
use crate::term::Term;

/// Functions that calculate with others.
const CALCULATIONS: &[&str] = &["add", "sub", "mul", "div", "ticks", "utcnow", "base64", "first"];

impl Study<'_> {
    /// Why a value isn't known, or what it is, in words without its text.
    pub(crate) fn why(&self, term: &Term) -> String {
        let mut words = None;
        // What is least understood is told first.
        term.any(&mut |part| {
            words = match part {
                Term::Unknown(words) => Some(words.clone()),
                Term::Parameter(name) => Some(format!("the parameter `{name}`, which has no value in the file")),
                Term::Trigger => Some("what the trigger brings".to_owned()),
                Term::Item => Some("an item of what a loop goes through".to_owned()),
                Term::Either(_) => Some("one of several values, which is decided while the flow runs".to_owned()),
                _ => None,
            };
            words.is_some()
        });
        // What is unusual in a calculation says more than the calculation.
        for usual in [false, true] {
            if words.is_some() {
                break;
            }
            term.any(&mut |part| {
                words = match part {
                    Term::Call(name, _) if !usual && CALCULATIONS.contains(&name.as_str()) => None,
                    Term::Call(name, _) if name == "[…]" => Some("a part of a value that isn't known".to_owned()),
                    Term::Call(name, _) if !matches!(name.as_str(), "string" | "uricomponent") => {
                        Some(format!("`{name}()`, whose value is known only while the flow runs"))
                    }
                    _ => None,
                };
                words.is_some()
            });
        }
        if words.is_none() {
            term.any(&mut |part| {
                words = match part {
                    Term::Answer(id, path) => Some(self.answer(*id, path)),
                    Term::Action(id) => Some(format!("what is known of `{}`", self.name(*id))),
                    _ => None,
                };
                words.is_some()
            });
        }
        words.unwrap_or_else(|| {
            if *term == Term::null() { "nothing" } else { "a value that stands in the flow" }.to_owned()
        })
    }

    pub(super) fn answer(&self, id: ActionId, path: &[String]) -> String {
        match self.reads.get(id).and_then(Option::as_ref) {
            Some(read) if path == ["body", "value"] => format!("the secret `{}` of a key vault", read.secret),
            Some(read) => format!("a part of the secret `{}` of a key vault", read.secret),
            None => match path.get(1..).filter(|path| !path.is_empty()) {
                Some(path) => format!("`{}` of the answer of `{}`", path.join("."), self.name(id)),
                None => format!("the answer of `{}`", self.name(id)),
            },
        }
    }
}
