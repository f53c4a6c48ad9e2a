//! Expressions of the Workflow Definition Language, and the texts that they stand in.

/// The deepest nesting that is followed.
const DEEPEST: usize = 64;

/// An expression, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    /// A function with its name in lower case.
    Call(String, Vec<Self>),
    /// `a['b']`, `a?['b']`, `a.b`.
    Index(Box<Self>, Box<Self>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Expression(Expression),
}

/// How a JSON string of a definition is meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    /// `@…`: the expression's own value, whatever its type.
    Whole(Expression),
    /// A text, with values in it.
    Text(Vec<Piece>),
}

/// Reads a JSON string of a definition.
///
/// # Errors
/// What can't be read, in words that hold nothing of the text.
pub(crate) fn template(text: &str) -> Result<Template, String> {
    if let Some(rest) = text.strip_prefix("@@") {
        return Ok(Template::Text(vec![Piece::Text(format!("@{rest}"))]));
    }
    if let Some(rest) = text.strip_prefix('@').filter(|rest| !rest.starts_with('{')) {
        return parse(rest).map(Template::Whole);
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        literal.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(behind) = after.strip_prefix("@{") {
            // `@@{` is a `@{` that is meant as it stands.
            literal.push_str("@{");
            rest = behind;
        } else if let Some(inner) = after.strip_prefix('{') {
            let mut parser = Parser::new(inner);
            let expression = parser.whole(&Token::Brace)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(core::mem::take(&mut literal)));
            }
            pieces.push(Piece::Expression(expression));
            rest = &inner[parser.at..];
        } else {
            literal.push('@');
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(Template::Text(pieces))
}

/// Reads one expression, up to the end of the text.
///
/// # Errors
/// What can't be read, in words that hold nothing of the text.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    Parser::new(text).whole(&Token::End)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Number(f64),
    Name(String),
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Question,
    Dot,
    Comma,
    /// The `}` after an expression in a text.
    Brace,
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// Behind the last token.
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn whole(&mut self, end: &Token) -> Result<Expression, String> {
        let expression = self.expression(0)?;
        let found = self.next()?;
        if found == *end { Ok(expression) } else { Err("an expression goes on where it should end".to_owned()) }
    }

    fn expression(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err(format!("an expression is nested more than {DEEPEST} deep"));
        }
        let mut expression = match self.next()? {
            Token::Text(text) => Expression::Text(text),
            Token::Number(number) => Expression::Number(number),
            Token::Name(name) => self.named(name, depth)?,
            Token::Open => {
                let inner = self.expression(depth + 1)?;
                self.expect(&Token::Close)?;
                inner
            }
            _ => return Err("an expression lacks a value or a function".to_owned()),
        };
        let mut indexes = 0;
        loop {
            let before = self.at;
            match self.next()? {
                Token::Question => {}
                Token::OpenBracket => {
                    let key = self.expression(depth + 1)?;
                    self.expect(&Token::CloseBracket)?;
                    expression = Expression::Index(Box::new(expression), Box::new(key));
                }
                Token::Dot => {
                    let Token::Name(name) = self.next()? else {
                        return Err("an expression has a dot without a name behind it".to_owned());
                    };
                    expression = Expression::Index(Box::new(expression), Box::new(Expression::Text(name)));
                }
                _ => {
                    self.at = before;
                    return Ok(expression);
                }
            }
            indexes += 1;
            if indexes > 2 * DEEPEST {
                return Err("an expression looks deeper into a value than any answer goes".to_owned());
            }
        }
    }

    fn named(&mut self, name: String, depth: usize) -> Result<Expression, String> {
        let before = self.at;
        if self.next()? != Token::Open {
            self.at = before;
            return match name.to_ascii_lowercase().as_str() {
                "true" => Ok(Expression::Bool(true)),
                "false" => Ok(Expression::Bool(false)),
                "null" => Ok(Expression::Null),
                _ => Err("an expression has a name that is neither a function nor in quotation marks".to_owned()),
            };
        }
        let mut arguments = Vec::new();
        let before = self.at;
        if self.next()? != Token::Close {
            self.at = before;
            loop {
                arguments.push(self.expression(depth + 1)?);
                match self.next()? {
                    Token::Comma => {}
                    Token::Close => break,
                    _ => return Err(format!("the arguments of `{name}` aren't closed")),
                }
            }
        }
        Ok(Expression::Call(name.to_lowercase(), arguments))
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), String> {
        if self.next()? == *wanted { Ok(()) } else { Err("an expression lacks a closing bracket".to_owned()) }
    }

    fn next(&mut self) -> Result<Token, String> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else { return Ok(Token::End) };
        let single = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            '[' => Some(Token::OpenBracket),
            ']' => Some(Token::CloseBracket),
            '?' => Some(Token::Question),
            '.' => Some(Token::Dot),
            ',' => Some(Token::Comma),
            '}' => Some(Token::Brace),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return Ok(token);
        }
        if first == '\'' {
            return self.quoted(&trimmed[1..]);
        }
        let length = trimmed
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '$' | '-' | '+' | '#')))
            .unwrap_or(trimmed.len());
        // A number has its dot, where an index has not.
        if first.is_ascii_digit() || matches!(first, '-' | '+') {
            let length = trimmed
                .find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+' | 'e' | 'E')))
                .unwrap_or(trimmed.len());
            let number =
                trimmed[..length].parse().map_err(|_| "an expression has a number that isn't one".to_owned())?;
            self.at += length;
            return Ok(Token::Number(number));
        }
        if length == 0 {
            return Err("an expression has a sign that doesn't belong there".to_owned());
        }
        self.at += length;
        Ok(Token::Name(trimmed[..length].to_owned()))
    }

    /// A text in single quotation marks; two of them are one of the text.
    fn quoted(&mut self, inner: &str) -> Result<Token, String> {
        let mut text = String::new();
        let mut rest = inner;
        loop {
            let Some(end) = rest.find('\'') else {
                return Err("an expression has a text whose quotation mark isn't closed".to_owned());
            };
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            let Some(after) = rest.strip_prefix('\'') else { break };
            text.push('\'');
            rest = after;
        }
        self.at = self.text.len() - rest.len();
        Ok(Token::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: Vec<Expression>) -> Expression {
        Expression::Call(name.to_owned(), arguments)
    }

    #[test]
    fn a_text_is_taken_apart_at_its_expressions() {
        let body = call("body", vec![Expression::Text("Get".to_owned())]);
        let value = Expression::Index(Box::new(body), Box::new(Expression::Text("value".to_owned())));
        assert_eq!(
            template("client_id=@{body('Get')?['value']}&x=a@b.c"),
            Ok(Template::Text(vec![
                Piece::Text("client_id=".to_owned()),
                Piece::Expression(value.clone()),
                Piece::Text("&x=a@b.c".to_owned()),
            ]))
        );
        assert_eq!(template("@body('Get').value"), Ok(Template::Whole(value)));
        assert_eq!(template("@@me"), Ok(Template::Text(vec![Piece::Text("@me".to_owned())])));
        assert_eq!(template("a@@{b}"), Ok(Template::Text(vec![Piece::Text("a@{b}".to_owned())])));
    }

    #[test]
    fn quotation_marks_braces_and_case_are_as_the_language_has_them() {
        assert_eq!(
            parse("Concat('it''s', '}')"),
            Ok(call("concat", vec![Expression::Text("it's".to_owned()), Expression::Text("}".to_owned())]))
        );
        assert_eq!(parse("add(1, -2.5)"), Ok(call("add", vec![Expression::Number(1.0), Expression::Number(-2.5)])));
        assert_eq!(
            parse("if(True, NULL, false)"),
            Ok(call("if", vec![Expression::Bool(true), Expression::Null, Expression::Bool(false)]))
        );
    }

    #[test]
    fn what_cant_be_read_is_told_without_its_text() {
        for wrong in ["concat('a'", "concat('a", "body('x')?[", "hunter2", "a()b", "", "1.2.3", "f(,)", "x.y.z", "%"] {
            let words = parse(wrong).expect_err(wrong);
            assert!(!words.contains("hunter2"), "{words}");
        }
        assert!(parse(&"not(".repeat(10_000)).is_err());
        assert!(parse(&format!("body('x'){}", "?['a']".repeat(10_000))).is_err());
    }
}
