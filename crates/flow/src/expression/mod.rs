//! Expressions of the Workflow Definition Language: `@body('Get')?['value']`, and texts with `@{…}` in them.

mod parse;

pub(crate) use parse::{parse, template};

/// An expression.
#[derive(Clone, PartialEq)]
pub(crate) enum Expression {
    /// `'text'`, with `''` for a quote.
    Text(String),
    /// A number, as it is written.
    Number(String),
    Truth(bool),
    Null,
    /// `name(argument, …)`, the name as it is written.
    Call {
        name: String,
        arguments: Vec<Self>,
    },
    /// `of['key']`, `of?['key']`, `of.key`, `of[0]`: a part of a value. That `?` forgives a missing part doesn't
    /// matter to where the data comes from.
    At {
        of: Box<Self>,
        key: Box<Self>,
    },
}

/// A text of a definition, taken apart.
#[derive(Clone, PartialEq)]
pub(crate) enum Template {
    /// No expression in it; `@@` is already `@`.
    Text(String),
    /// `@expression`: the value keeps its type.
    Whole(Expression),
    /// Text with `@{expression}` in it: always becomes a text.
    Pieces(Vec<Piece>),
}

#[derive(Clone, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Hole(Expression),
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What was expected, in words.
    pub(crate) words: &'static str,
    /// After how many characters.
    pub(crate) after: usize,
}
