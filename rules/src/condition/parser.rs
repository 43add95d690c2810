//! Text to syntax tree. The grammar is that of Falco 0.44 (libsinsp's filter parser).

use super::{
    Modifier, Operator, Shape, Transformer,
    ast::{Argument, Call, Comparison, Expr, ExprKind, Field, List, Operand, Right, Span, Text},
    error::{ParseError, ParseErrorKind},
    lexer::Lexer,
};

/// How deep parentheses and transformers may nest. Falco's default (libsinsp `parser.cpp`), there in steps of
/// its grammar; here in levels a reader would count.
pub const MAX_DEPTH: usize = 100;

/// The longest condition, lists substituted. Falco has no limit; its official rules stay below 10 KB.
pub const MAX_LENGTH: usize = 1 << 20;

/// Reads a condition.
///
/// # Errors
/// When the text is no condition, nests deeper than [`MAX_DEPTH`] or is longer than [`MAX_LENGTH`].
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError { at: 0, kind: ParseErrorKind::Length(text.len(), MAX_LENGTH) });
    }
    if text.trim().is_empty() {
        return Err(ParseError { at: 0, kind: ParseErrorKind::Empty });
    }
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    let parsed = parser.disjunction()?;
    if !parser.lexer.at_end() {
        return parser.fail(ParseErrorKind::Trailing(parser.lexer.read_last().to_owned()));
    }
    Ok(parsed)
}

/// Reads a field or a transformer at the beginning of `text`, as in an output, and tells how many bytes it
/// takes.
///
/// # Errors
/// When neither stands there.
pub fn parse_operand(text: &str) -> Result<(Operand, usize), ParseError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    match parser.operand()? {
        Some(operand) => Ok((operand, parser.lexer.position())),
        None => parser.fail(ParseErrorKind::Expected("a field or a transformer")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

fn transformers() -> String {
    let words: Vec<_> = Transformer::ALL.iter().map(|t| format!("'{t}'")).collect();
    format!("'val', {}", words.join(", "))
}

fn operators() -> String {
    let words: Vec<_> = Operator::ALL.iter().map(|o| format!("'{o}'")).collect();
    format!("'exists', '==', {}", words.join(", "))
}

impl Parser<'_> {
    fn fail<T>(&self, kind: ParseErrorKind) -> Result<T, ParseError> {
        Err(ParseError { at: self.lexer.position(), kind })
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, ParseError> {
        self.fail(ParseErrorKind::Expected(what))
    }

    fn span(&self, start: usize) -> Span {
        Span::new(start, self.lexer.position())
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth == MAX_DEPTH {
            return self.fail(ParseErrorKind::Depth(MAX_DEPTH));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn disjunction(&mut self) -> Result<Expr, ParseError> {
        self.connected("or", "a blank or '(' after 'or'", Self::conjunction, ExprKind::Or)
    }

    fn conjunction(&mut self) -> Result<Expr, ParseError> {
        self.connected("and", "a blank or '(' after 'and'", Self::negation, ExprKind::And)
    }

    fn connected(
        &mut self,
        word: &str,
        after: &'static str,
        part: fn(&mut Self) -> Result<Expr, ParseError>,
        combine: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr, ParseError> {
        self.lexer.blank();
        let start = self.lexer.position();
        let first = part(self)?;
        let mut end = self.lexer.position();
        self.lexer.blank();
        let mut parts = Vec::new();
        while self.lexer.literal(word) {
            let next = if self.lexer.blank() {
                part(self)?
            } else if self.lexer.literal("(") {
                self.enclosed()?
            } else {
                return self.expected(after);
            };
            parts.push(next);
            end = self.lexer.position();
            self.lexer.blank();
        }
        if parts.is_empty() {
            return Ok(first);
        }
        parts.insert(0, first);
        Ok(Expr { kind: combine(parts), span: Span::new(start, end) })
    }

    fn negation(&mut self) -> Result<Expr, ParseError> {
        self.lexer.blank();
        let start = self.lexer.position();
        let mut negated = false;
        while self.lexer.word_and_blank("not") {
            negated = !negated;
        }
        let inner = if self.lexer.opening("not") {
            negated = !negated;
            self.enclosed()?
        } else {
            self.check()?
        };
        if !negated {
            return Ok(inner);
        }
        Ok(Expr { kind: ExprKind::Not(Box::new(inner)), span: self.span(start) })
    }

    /// What follows an opening parenthesis, and the closing one.
    fn enclosed(&mut self) -> Result<Expr, ParseError> {
        self.deeper(|parser| {
            let inner = parser.disjunction()?;
            parser.lexer.blank();
            if !parser.lexer.literal(")") {
                return parser.expected("a ')' token");
            }
            Ok(inner)
        })
    }

    fn check(&mut self) -> Result<Expr, ParseError> {
        self.lexer.blank();
        let start = self.lexer.position();
        if self.lexer.literal("(") {
            return self.enclosed();
        }
        if let Some(left) = self.operand()? {
            return self.condition(left, start);
        }
        match self.lexer.identifier() {
            Some(name) => Ok(Expr { kind: ExprKind::Macro(name.to_owned()), span: self.span(start) }),
            None => self.expected("a '(' token, a field check, or an identifier"),
        }
    }

    /// A field or a transformer, if one stands here.
    fn operand(&mut self) -> Result<Option<Operand>, ParseError> {
        let start = self.lexer.position();
        if let Some(name) = self.lexer.field_name() {
            return Ok(Some(Operand::Field(self.field(name, start)?)));
        }
        let called = Transformer::ALL.iter().find(|t| self.lexer.opening(t.word()));
        called.map(|t| self.call(*t, start).map(Operand::Call)).transpose()
    }

    fn field(&mut self, name: &str, start: usize) -> Result<Field, ParseError> {
        let mut argument = None;
        if self.lexer.literal("[") {
            argument = match self.lexer.quoted()? {
                Some(quoted) => Some(quoted),
                None => self.lexer.bare_argument().map(str::to_owned),
            };
            if argument.is_none() {
                return self.expected("a valid field argument: a quoted string or a bare string");
            }
            if !self.lexer.literal("]") {
                return self.expected("a ']' token");
            }
        }
        Ok(Field { name: name.to_owned(), argument, span: self.span(start) })
    }

    /// The arguments of a transformer, whose opening parenthesis has been read, and the closing one.
    fn call(&mut self, transformer: Transformer, start: usize) -> Result<Call, ParseError> {
        self.deeper(|parser| {
            let mut arguments = vec![parser.argument(true)?];
            parser.lexer.blank();
            while parser.lexer.literal(",") {
                arguments.push(parser.argument(true)?);
                parser.lexer.blank();
            }
            if !parser.lexer.literal(")") {
                return parser.expected("a ')' token closing the transformer");
            }
            Ok(Call { transformer, arguments, span: parser.span(start) })
        })
    }

    /// One argument of a transformer; lists are not within lists.
    fn argument(&mut self, list: bool) -> Result<Argument, ParseError> {
        self.lexer.blank();
        let start = self.lexer.position();
        if let Some(number) = self.lexer.number() {
            return Ok(Argument::Literal(Text { value: number.to_owned(), span: self.span(start) }));
        }
        if let Some(value) = self.lexer.quoted()? {
            return Ok(Argument::Literal(Text { value, span: self.span(start) }));
        }
        if list && self.lexer.literal("(") {
            return self.argument_list();
        }
        match self.operand()? {
            Some(operand) => Ok(Argument::Operand(operand)),
            None => self.fail(ParseErrorKind::Value("a field, a quoted string, a number", transformers())),
        }
    }

    fn argument_list(&mut self) -> Result<Argument, ParseError> {
        let mut items = Vec::new();
        self.lexer.blank();
        if self.lexer.literal(")") {
            return Ok(Argument::List(items));
        }
        loop {
            items.push(self.argument(false)?);
            self.lexer.blank();
            if self.lexer.literal(")") {
                return Ok(Argument::List(items));
            }
            if !self.lexer.literal(",") {
                return self.expected("a ')' token");
            }
        }
    }

    /// What follows a left side.
    fn condition(&mut self, left: Operand, start: usize) -> Result<Expr, ParseError> {
        self.lexer.blank();
        if self.lexer.literal("exists") {
            return Ok(Expr { kind: ExprKind::Exists(left), span: self.span(start) });
        }
        let operator_start = self.lexer.position();
        let Some((operator, blank)) = self.operator() else {
            return self.fail(ParseErrorKind::Operator(operators()));
        };
        let modifier = if operator.shape() == Shape::Text && blank { self.modifier() } else { None };
        let operator_end = self.lexer.read_end();
        self.lexer.blank();
        let right = match (operator.shape(), modifier) {
            (Shape::Number, _) => self.number_value()?,
            (Shape::Text, None) => self.text_value()?,
            (Shape::Text, Some(_)) | (Shape::List, _) => self.list_value()?,
        };
        let operator_span = Span::new(operator_start, operator_end);
        let comparison = Comparison { left, operator, modifier, right, operator_span };
        Ok(Expr { kind: ExprKind::Compare(Box::new(comparison)), span: self.span(start) })
    }

    /// The operator that stands here, and whether a blank follows it.
    fn operator(&mut self) -> Option<(Operator, bool)> {
        // The longer spelling of two that begin alike comes first.
        const SYMBOLS: &[(&str, Operator)] = &[
            ("<=", Operator::LessOrEqual),
            ("<", Operator::Less),
            (">=", Operator::GreaterOrEqual),
            (">", Operator::Greater),
            ("==", Operator::Equal),
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
        ];
        for (symbol, operator) in SYMBOLS {
            if self.lexer.literal(symbol) {
                return Some((*operator, self.lexer.blank()));
            }
        }
        for operator in Operator::ALL.iter().filter(|o| o.shape() == Shape::Text) {
            if self.lexer.word_and_blank(operator.word()) {
                return Some((*operator, true));
            }
        }
        for operator in [Operator::Intersects, Operator::In, Operator::PMatch] {
            if self.lexer.literal(operator.word()) {
                return Some((operator, self.lexer.blank()));
            }
        }
        None
    }

    /// A modifier, if a list follows it; its word alone is a value like any other.
    fn modifier(&mut self) -> Option<Modifier> {
        let mut ahead = self.lexer.clone();
        let modifier = *Modifier::ALL.iter().find(|m| ahead.word_and_blank(m.word()))?;
        let mut list = ahead.clone();
        let follows = list.literal("(") || (!list.at_connective() && list.identifier().is_some());
        follows.then(|| {
            self.lexer = ahead;
            modifier
        })
    }

    fn number_value(&mut self) -> Result<Right, ParseError> {
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        let start = self.lexer.position();
        match self.lexer.number() {
            Some(number) => Ok(Right::Value(Text { value: number.to_owned(), span: self.span(start) })),
            None => self.fail(ParseErrorKind::Value("a number value", transformers())),
        }
    }

    fn text_value(&mut self) -> Result<Right, ParseError> {
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.text()? {
            Some(text) => Ok(Right::Value(text)),
            None => self.fail(ParseErrorKind::Value("a string value", transformers())),
        }
    }

    fn list_value(&mut self) -> Result<Right, ParseError> {
        let start = self.lexer.position();
        if self.lexer.literal("(") {
            return self.list(start);
        }
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.lexer.identifier() {
            Some(name) => Ok(Right::Value(Text { value: name.to_owned(), span: self.span(start) })),
            None => self.fail(ParseErrorKind::Value("a list, an identifier", transformers())),
        }
    }

    fn list(&mut self, start: usize) -> Result<Right, ParseError> {
        let mut items = Vec::new();
        self.lexer.blank();
        if let Some(first) = self.text()? {
            items.push(first);
            self.lexer.blank();
            while self.lexer.literal(",") {
                self.lexer.blank();
                match self.text()? {
                    Some(item) => items.push(item),
                    None => return self.expected("a string value"),
                }
                self.lexer.blank();
            }
        }
        if !self.lexer.literal(")") {
            return self.expected("a ')' token");
        }
        Ok(Right::List(List { items, span: self.span(start) }))
    }

    fn text(&mut self) -> Result<Option<Text>, ParseError> {
        let start = self.lexer.position();
        let value = match self.lexer.quoted()? {
            Some(value) => Some(value),
            None => self.lexer.bare().map(str::to_owned),
        };
        Ok(value.map(|value| Text { value, span: self.span(start) }))
    }

    /// `val(field)` or a transformer. A bare field on the right is a text.
    fn right_operand(&mut self) -> Result<Option<Operand>, ParseError> {
        let start = self.lexer.position();
        if self.lexer.opening("val") {
            self.lexer.blank();
            let field_start = self.lexer.position();
            let Some(name) = self.lexer.field_name() else {
                return self.expected("a field within 'val' transformer");
            };
            let field = self.field(name, field_start)?;
            self.lexer.blank();
            if !self.lexer.literal(")") {
                return self.expected("a ')' token closing the transformer");
            }
            return Ok(Some(Operand::Field(field)));
        }
        let called = Transformer::ALL.iter().find(|t| self.lexer.opening(t.word()));
        called.map(|t| self.call(*t, start).map(Operand::Call)).transpose()
    }
}
