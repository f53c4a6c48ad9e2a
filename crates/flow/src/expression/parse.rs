//! The parser. One pass from left to right; depth is counted, so that no text can exhaust the stack.

use super::{Expression, Fault, Piece, Template};

/// How deep calls and indices may nest.
pub(crate) const DEPTH: usize = 60;

/// Parses one expression, without the `@` in front.
pub(crate) fn parse(text: &str) -> Result<Expression, Fault> {
    let mut parser = Parser { text, at: 0 };
    let expression = parser.expression(0)?;
    parser.skip_blanks();
    if parser.at == text.len() { Ok(expression) } else { Err(parser.fault("the end of the expression")) }
}

/// Takes a text of a definition apart.
pub(crate) fn template(text: &str) -> Result<Template, Fault> {
    if let Some(rest) = text.strip_prefix('@')
        && !rest.starts_with(['@', '{'])
        && !rest.is_empty()
    {
        return parse(rest).map(Template::Whole);
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut literal = String::new();
    let mut parser = Parser { text, at: 0 };
    while let Some(c) = parser.peek() {
        if parser.take("@@{") {
            literal.push_str("@{");
        } else if parser.at == 0 && parser.take("@@") {
            literal.push('@');
        } else if parser.take("@{") {
            if !literal.is_empty() {
                pieces.push(Piece::Text(core::mem::take(&mut literal)));
            }
            pieces.push(Piece::Hole(parser.expression(0)?));
            parser.skip_blanks();
            if !parser.take("}") {
                return Err(parser.fault("a closing brace"));
            }
        } else {
            literal.push(c);
            parser.at += c.len_utf8();
        }
    }
    if pieces.is_empty() {
        return Ok(Template::Text(literal));
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(Template::Pieces(pieces))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.text[self.at..].starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let rest = &self.text[start..];
        self.at = start + rest.find(|c| !test(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    fn skip_blanks(&mut self) {
        self.take_while(|c| c.is_whitespace());
    }

    fn fault(&self, words: &'static str) -> Fault {
        Fault { words, after: self.text[..self.at].chars().count() }
    }

    fn expression(&mut self, depth: usize) -> Result<Expression, Fault> {
        if depth > DEPTH {
            return Err(self.fault("fewer brackets inside of brackets"));
        }
        self.skip_blanks();
        let mut value = match self.peek() {
            Some('\'') => self.quoted()?,
            Some('-' | '+' | '0'..='9') => self.number()?,
            Some(c) if is_name(c) => self.named(depth)?,
            _ => return Err(self.fault("a function, a text in quotes or a number")),
        };
        let mut parts = 0;
        loop {
            self.skip_blanks();
            let start = self.at;
            let forgiving = self.take("?");
            let key = if self.take("[") {
                let key = self.expression(depth + 1)?;
                self.skip_blanks();
                if !self.take("]") {
                    return Err(self.fault("a closing bracket"));
                }
                key
            } else if self.take(".") {
                let name = self.take_while(|c| is_name(c) || c == '-').to_owned();
                if name.is_empty() {
                    return Err(self.fault("a name after the dot"));
                }
                Expression::Text(name)
            } else if forgiving {
                return Err(self.fault("a bracket after the question mark"));
            } else {
                self.at = start;
                return Ok(value);
            };
            parts += 1;
            if parts + depth > DEPTH {
                return Err(self.fault("fewer parts of parts"));
            }
            value = Expression::At { of: Box::new(value), key: Box::new(key) };
        }
    }

    fn quoted(&mut self) -> Result<Expression, Fault> {
        self.take("'");
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != '\''));
            if self.take("''") {
                text.push('\'');
            } else if self.take("'") {
                return Ok(Expression::Text(text));
            } else {
                return Err(self.fault("a closing quote"));
            }
        }
    }

    fn number(&mut self) -> Result<Expression, Fault> {
        let number = self.take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')).to_owned();
        if number.parse::<f64>().is_ok_and(f64::is_finite) {
            Ok(Expression::Number(number))
        } else {
            Err(self.fault("a number"))
        }
    }

    fn named(&mut self, depth: usize) -> Result<Expression, Fault> {
        let name = self.take_while(is_name).to_owned();
        self.skip_blanks();
        if !self.take("(") {
            return match name.to_ascii_lowercase().as_str() {
                "true" => Ok(Expression::Truth(true)),
                "false" => Ok(Expression::Truth(false)),
                "null" => Ok(Expression::Null),
                _ => Err(self.fault("a bracket after the function's name")),
            };
        }
        let mut arguments = Vec::new();
        self.skip_blanks();
        if self.take(")") {
            return Ok(Expression::Call { name, arguments });
        }
        loop {
            arguments.push(self.expression(depth + 1)?);
            self.skip_blanks();
            if self.take(")") {
                return Ok(Expression::Call { name, arguments });
            }
            if !self.take(",") {
                return Err(self.fault("a comma or a closing bracket"));
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression written anew in one form, to compare by.
    fn shown(expression: &Expression) -> String {
        match expression {
            Expression::Text(text) => format!("'{text}'"),
            Expression::Number(number) => number.clone(),
            Expression::Truth(truth) => truth.to_string(),
            Expression::Null => "null".to_owned(),
            Expression::Call { name, arguments } => {
                format!("{name}({})", arguments.iter().map(shown).collect::<Vec<_>>().join(","))
            }
            Expression::At { of, key } => format!("{}[{}]", shown(of), shown(key)),
        }
    }

    fn parsed(text: &str) -> String {
        parse(text).map_or_else(|fault| format!("after {}: {}", fault.after, fault.words), |found| shown(&found))
    }

    #[test]
    fn calls_parts_and_literals_are_read() {
        assert_eq!(parsed("body('Get')?['value']"), "body('Get')['value']");
        assert_eq!(parsed(" outputs( 'A' ).body?.x-y[0] "), "outputs('A')['body']['x-y'][0]");
        assert_eq!(parsed("add(-1, 2.5e3)"), "add(-1,2.5e3)");
        assert_eq!(parsed("if(TRUE,null,'it''s')"), "if(true,null,'it's')");
        assert_eq!(parsed("a(\n  b(),\r\n\tc()\n)"), "a(b(),c())");
        assert_eq!(parsed("x(variables('i'))[variables('j')]"), "x(variables('i'))[variables('j')]");
    }

    #[test]
    fn faults_say_where_and_what() {
        assert_eq!(parsed("body('Get'"), "after 10: a comma or a closing bracket");
        assert_eq!(parsed("body('Get"), "after 9: a closing quote");
        assert_eq!(parsed("body"), "after 4: a bracket after the function's name");
        assert_eq!(parsed("a() b()"), "after 4: the end of the expression");
        assert_eq!(parsed(""), "after 0: a function, a text in quotes or a number");
        assert!(parsed(&"a(".repeat(10_000)).contains("fewer brackets"));
        assert!(parsed(&format!("a(){}", "[0]".repeat(10_000))).contains("fewer parts"));
    }

    #[test]
    fn texts_are_taken_apart() {
        let pieces = |text: &str| match template(text) {
            Ok(Template::Text(text)) => format!("text {text}"),
            Ok(Template::Whole(whole)) => format!("whole {}", shown(&whole)),
            Ok(Template::Pieces(pieces)) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Hole(hole) => format!("<{}>", shown(hole)),
                })
                .collect(),
            Err(fault) => format!("after {}: {}", fault.after, fault.words),
        };
        assert_eq!(pieces("plain"), "text plain");
        assert_eq!(pieces("@body('x')"), "whole body('x')");
        assert_eq!(pieces("@{body('x')}"), "<body('x')>");
        assert_eq!(pieces("a=@{x()}&b=@{y('}')}!"), "a=<x()>&b=<y('}')>!");
        assert_eq!(pieces("@@body('x')"), "text @body('x')");
        assert_eq!(pieces("a @@{x} b@c.example"), "text a @{x} b@c.example");
        assert_eq!(pieces("@"), "text @");
        assert_eq!(pieces("a @{x("), "after 6: a function, a text in quotes or a number");
    }
}
