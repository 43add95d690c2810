//! From the syntax tree to a checked one.

use super::{
    CheckError, Checker, Problem,
    depth::Depth,
    events::Events,
    node::{Against, Node, Over, is_event_type},
    source::{Each, Shape, Source},
};
use crate::{
    condition::{
        Operator, Transformer,
        ast::{Argument, Call, Comparison, Expr, ExprKind, Operand, Right, Span, Text},
    },
    field::{Argument as FieldArgument, EventType, Field, Kind, Reference, Traits},
    value::{Literal, Test, TestError, supported},
};

/// A check under way; it collects the fields it meets.
pub(super) struct Check<'c> {
    pub(super) references: &'c mut Vec<Reference>,
    pub(super) checker: &'c mut Checker,
}

/// In a box, so that a deep condition does not need a deep stack.
type Checked = Box<(Node, Events)>;

fn checked(node: Node, events: Events) -> Checked {
    Box::new((node, events))
}

impl Check<'_> {
    pub(super) fn expr(&mut self, expr: &Expr, depth: Depth) -> Result<Checked, CheckError> {
        let Some(depth) = depth.deeper() else {
            return Err(Problem::Depth.at(expr.span));
        };
        match &expr.kind {
            ExprKind::And(parts) => self.and(parts, depth),
            ExprKind::Or(parts) => self.or(parts, depth),
            ExprKind::Not(inner) => self.not(inner, depth),
            ExprKind::Macro(name) => Err(Problem::Macro(name.clone()).at(expr.span)),
            ExprKind::Exists(operand) => self.exists(operand, depth),
            ExprKind::Compare(comparison) => self.comparison(comparison, depth),
        }
    }

    fn and(&mut self, parts: &[Expr], depth: Depth) -> Result<Checked, CheckError> {
        let mut nodes = Vec::with_capacity(parts.len());
        let mut events = Events::always();
        for part in parts {
            let (node, of_part) = *self.expr(part, depth)?;
            nodes.push(node);
            events = events.and(&of_part);
        }
        Ok(checked(Node::And(nodes), events))
    }

    fn or(&mut self, parts: &[Expr], depth: Depth) -> Result<Checked, CheckError> {
        let mut nodes = Vec::with_capacity(parts.len());
        let mut events = Events::always().not();
        for part in parts {
            let (node, of_part) = *self.expr(part, depth)?;
            nodes.push(node);
            events = events.or(&of_part);
        }
        Ok(checked(Node::Or(nodes), events))
    }

    fn not(&mut self, inner: &Expr, depth: Depth) -> Result<Checked, CheckError> {
        let (node, events) = *self.expr(inner, depth)?;
        Ok(checked(Node::Not(Box::new(node)), events.not()))
    }

    fn exists(&mut self, operand: &Operand, depth: Depth) -> Result<Checked, CheckError> {
        let (source, _) = self.left(operand, depth)?;
        let events = if is_event_type(&source) { Events::always() } else { Events::any() };
        Ok(checked(Node::Exists(source), events))
    }

    pub(super) fn comparison(
        &mut self,
        comparison: &Comparison,
        depth: Depth,
    ) -> Result<Checked, CheckError> {
        let Comparison { left, operator, modifier, right, operator_span } = comparison;
        let (source, shape) = self.left(left, depth)?;
        let literals: Vec<&Text> = match right {
            Right::Value(text) => vec![text],
            Right::List(list) => list.items.iter().collect(),
            Right::Operand(operand) => return self.against(comparison, source, shape, operand, depth),
        };
        if let Source::Field(reference) = &source
            && reference.field() == Field::EvtAround
        {
            return self.around(reference.clone(), *operator, &literals, *operator_span);
        }
        supported(*operator, shape.kind, shape.list)
            .map_err(|error| Problem::from(error).at(*operator_span))?;
        let is_type = is_event_type(&source);
        if let Some(unknown) = literals.iter().find(|text| is_type && EventType::find(&text.value).is_none())
        {
            return Err(Problem::UnknownEventType(unknown.value.clone()).at(unknown.span));
        }
        let test = self
            .checker
            .test(*operator, *modifier, (shape.kind, shape.list), &literals)
            .map_err(|problem| problem.at(culprit(comparison, shape, &literals)))?;
        let events = match &source {
            _ if is_type => Events::of(*operator, &test),
            Source::Field(reference) if reference.field() == Field::EvtNum && modifier.is_none() => {
                Events::of_number(*operator, &literals)
            }
            _ => Events::any(),
        };
        let over = Over::of(&source, shape.list, *operator);
        Ok(checked(Node::Test(source, over, test), events))
    }

    fn against(
        &mut self,
        comparison: &Comparison,
        left: Source,
        shape: Shape,
        right: &Operand,
        depth: Depth,
    ) -> Result<Checked, CheckError> {
        let Comparison { operator, modifier, operator_span, left: left_operand, .. } = comparison;
        if is_event_type(&left) {
            return Err(Problem::EventTypeAgainstField.at(right.span()));
        }
        supported(*operator, shape.kind, shape.list)
            .map_err(|error| Problem::from(error).at(*operator_span))?;
        if matches!(operator, Operator::Regex | Operator::PMatch) {
            return Err(Problem::OperatorAgainstField(*operator).at(right.span()));
        }
        if let Some(name) = fixed(&left) {
            return Err(Problem::NoRightField(name).at(left_operand.span()));
        }
        let (right_source, right_shape) = self.operand(right, depth)?;
        if let Some(name) = fixed(&right_source) {
            return Err(Problem::NotRight(name).at(right.span()));
        }
        if shape != right_shape {
            let kinds = Problem::Kinds {
                left: shape.kind,
                left_list: shape.list,
                right: right_shape.kind,
                right_list: right_shape.list,
            };
            return Err(kinds.at(right.span()));
        }
        let over = Over::of(&left, shape.list, *operator);
        let against = Against { left, over, operator: *operator, modifier: *modifier, right: right_source };
        Ok(checked(Node::Against(Box::new(against)), Events::any()))
    }

    fn around(
        &mut self,
        reference: Reference,
        operator: Operator,
        literals: &[&Text],
        span: Span,
    ) -> Result<Checked, CheckError> {
        let delta = match (operator, literals) {
            (Operator::Equal, [text]) => {
                Literal::parse(&text.value, Kind::UInt64).map_err(|error| problem(error).at(text.span))?
            }
            _ => return Err(Problem::Around.at(span)),
        };
        let time = Reference::parse(Field::EvtRawtime.definition().name, None)
            .map_err(|error| Problem::from(error).at(span))?;
        let delta = match delta {
            Literal::Number(delta) => u64::try_from(delta).unwrap_or(u64::MAX),
            _ => return Err(Problem::Around.at(span)),
        };
        let middle = match reference.argument() {
            FieldArgument::Index(middle) => *middle,
            FieldArgument::None | FieldArgument::Name(_) => return Err(Problem::Around.at(span)),
        };
        Ok(checked(Node::Around { time, middle, delta }, Events::any()))
    }

    /// The left side; the type of the event stands there as it is or not at all.
    fn left(&mut self, operand: &Operand, depth: Depth) -> Result<(Source, Shape), CheckError> {
        let (source, shape) = self.operand(operand, depth)?;
        if let Operand::Call(call) = operand
            && asks_for_type(&source)
        {
            return Err(Problem::EventTypeTransformed.at(call.span));
        }
        Ok((source, shape))
    }

    pub(super) fn operand(&mut self, operand: &Operand, depth: Depth) -> Result<(Source, Shape), CheckError> {
        let depth = depth.deeper().ok_or_else(|| Problem::Depth.at(operand.span()))?;
        match operand {
            Operand::Field(field) => {
                let reference = Reference::parse(&field.name, field.argument.as_deref())
                    .map_err(|error| Problem::from(error).at(field.span))?;
                if !self.references.contains(&reference) {
                    self.references.push(reference.clone());
                }
                let shape = Shape { kind: reference.kind(), list: reference.is_list() };
                Ok((Source::Field(reference), shape))
            }
            Operand::Call(call) => self.call(call, depth),
        }
    }

    fn call(&mut self, call: &Call, depth: Depth) -> Result<(Source, Shape), CheckError> {
        let transformer = call.transformer;
        let arguments: Result<Vec<_>, CheckError> =
            call.arguments.iter().map(|argument| self.argument(argument, call, depth)).collect();
        let arguments = arguments?;
        let wrong = |expected| Problem::TransformerArguments { transformer, expected }.at(call.span);
        let text = |list| Shape { kind: Kind::Text, list };
        match transformer {
            Transformer::Join => match two(arguments) {
                Some(((separator, Shape { list: false, .. }), (items, Shape { list: true, .. }))) => {
                    Ok((Source::Join(Box::new(separator), Box::new(items)), text(false)))
                }
                _ => Err(wrong("takes two arguments: a separator and a list")),
            },
            Transformer::Concat => {
                let fits = |(_, shape): &(Source, Shape)| *shape == text(false);
                if arguments.len() < 2 || !arguments.iter().all(fits) {
                    return Err(wrong("takes two texts or more"));
                }
                Ok((Source::Concat(arguments.into_iter().map(|(source, _)| source).collect()), text(false)))
            }
            Transformer::GetOpt => match two(arguments) {
                Some(((words, shape), (options, options_shape)))
                    if shape.kind == Kind::Text && options_shape == text(false) =>
                {
                    // A text is taken as its words, so that `getopt(proc.args, …)` says what it seems to.
                    let words = if shape.list { words } else { Source::Words(Box::new(words)) };
                    Ok((Source::Options(Box::new(words), Box::new(options)), text(true)))
                }
                _ => Err(wrong("takes two arguments: words and an option string")),
            },
            _ => {
                let mut arguments = arguments.into_iter();
                match (arguments.next(), arguments.next()) {
                    (Some((source, shape)), None) => unary(transformer, source, shape, call.span),
                    _ => Err(wrong("takes one argument")),
                }
            }
        }
    }

    fn argument(
        &mut self,
        argument: &Argument,
        call: &Call,
        depth: Depth,
    ) -> Result<(Source, Shape), CheckError> {
        match argument {
            Argument::Operand(operand) => {
                let (source, shape) = self.operand(operand, depth)?;
                match fixed(&source) {
                    Some(name) => Err(Problem::NotTransformable(name).at(operand.span())),
                    None => Ok((source, shape)),
                }
            }
            Argument::Literal(text) => {
                let shape = Shape { kind: Kind::Text, list: false };
                Ok((Source::Text(text.value.as_bytes().into()), shape))
            }
            Argument::List(items) => {
                let depth = depth.deeper().ok_or_else(|| Problem::Depth.at(call.span))?;
                let items: Result<Vec<Source>, CheckError> =
                    items.iter().map(|item| Ok(self.argument(item, call, depth)?.0)).collect();
                Ok((Source::List(items?), Shape { kind: Kind::Text, list: true }))
            }
        }
    }
}

fn unary(
    transformer: Transformer,
    source: Source,
    shape: Shape,
    span: Span,
) -> Result<(Source, Shape), CheckError> {
    let kind = shape.kind;
    let source = Box::new(source);
    let length = Shape { kind: Kind::UInt64, list: false };
    match (transformer, kind) {
        (Transformer::ToLower, Kind::Text) => Ok((Source::Each(Each::Lower, source), shape)),
        (Transformer::ToUpper, Kind::Text) => Ok((Source::Each(Each::Upper, source), shape)),
        (Transformer::Basename, Kind::Text) => Ok((Source::Each(Each::Basename, source), shape)),
        (Transformer::B64, Kind::Text | Kind::Bytes) => Ok((Source::Each(Each::Base64, source), shape)),
        (Transformer::Len, _) if shape.list => Ok((Source::Count(source), length)),
        (Transformer::Len, Kind::Text | Kind::Bytes) => Ok((Source::Length(source), length)),
        _ => Err(Problem::TransformerKind { transformer, kind }.at(span)),
    }
}

fn two<T>(values: Vec<T>) -> Option<(T, T)> {
    let mut values = values.into_iter();
    match (values.next(), values.next(), values.next()) {
        (Some(first), Some(second), None) => Some((first, second)),
        _ => None,
    }
}

/// The name of a field that takes neither a transformer nor another field beside it.
fn fixed(source: &Source) -> Option<String> {
    match source {
        Source::Field(reference) if reference.definition().traits.has(Traits::FIXED) => {
            Some(reference.text().to_owned())
        }
        _ => None,
    }
}

/// Whether the type of the event is anywhere in it.
fn asks_for_type(source: &Source) -> bool {
    match source {
        Source::Field(_) => is_event_type(source),
        Source::Text(_) => false,
        Source::List(items) | Source::Concat(items) => items.iter().any(asks_for_type),
        Source::Each(_, inner) | Source::Length(inner) | Source::Count(inner) | Source::Words(inner) => {
            asks_for_type(inner)
        }
        Source::Join(one, other) | Source::Options(one, other) => asks_for_type(one) || asks_for_type(other),
    }
}

/// The value that is wrong, if it is one; otherwise all of them.
fn culprit(comparison: &Comparison, shape: Shape, literals: &[&Text]) -> Span {
    let is_wrong = |text: &&&Text| {
        Test::new(comparison.operator, comparison.modifier, shape.kind, shape.list, [text.value.as_str()])
            .is_err()
    };
    literals.iter().find(is_wrong).map_or(comparison.operator_span, |text| text.span)
}

fn problem(error: crate::value::LiteralError) -> Problem {
    Problem::Test(TestError::from(error))
}
