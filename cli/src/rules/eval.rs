//! `rules eval`.

use rules::{
    compile::{Match, Matching, Programs, Scratch},
    condition::parse,
    eval::Condition,
    load::RuleSet,
};
use serde::Serialize;

use super::{
    args::EvalArgs,
    events::{Events, Recorded},
    files,
};
use crate::{Failure, Outcome, args::Format, json, output::Output, say};

/// A match.
#[derive(Serialize)]
struct Matched<'a> {
    #[serde(rename = "evt.num")]
    number: Option<u64>,
    rule: &'a str,
    #[serde(flatten)]
    rest: Option<OfRule<'a>>,
}

/// What a rule says of a match.
#[derive(Serialize)]
struct OfRule<'a> {
    priority: &'static str,
    output: String,
    tags: Vec<&'a str>,
}

pub(super) fn run(args: &EvalArgs, format: Format) -> Result<Outcome, Failure> {
    let mut output = Output::stdout();
    let mut outcome = Outcome::Fine;
    let mut events = Events::open(&args.events)?;
    let mut held = Held::new(args)?;
    while let Some(event) = events.next()? {
        match event {
            Ok(recorded) => {
                held.against(&recorded, |matched| output.object(json::write(matched)?, format))?
            }
            Err(why) => {
                say(&inert::inert(why));
                outcome = Outcome::Found;
            }
        }
    }
    output.flush()?;
    Ok(outcome)
}

/// What is held against events.
enum Held {
    Rules { set: RuleSet, programs: Box<Programs>, scratch: Scratch, matching: Matching },
    Condition { text: String, condition: Box<Condition> },
}

impl Held {
    fn new(args: &EvalArgs) -> Result<Self, Failure> {
        if let Some(text) = &args.condition {
            let condition = parse(text)
                .map_err(|error| error.to_string())
                .and_then(|expr| Condition::check(&expr).map_err(|error| error.to_string()));
            let condition =
                condition.map_err(|why| Failure::Usage(format!("the condition cannot be used: {why}")))?;
            return Ok(Self::Condition { text: text.clone(), condition: Box::new(condition) });
        }
        let set = if args.rules.is_empty() { files::builtin()? } else { files::usable(&args.rules)? };
        let (programs, matching) = if args.all {
            let all = set.rules().iter().map(|rule| &rule.condition).enumerate();
            (Programs::new(all), Matching::All)
        } else {
            (set.compile(), Matching::First)
        };
        Ok(Self::Rules { set, programs: Box::new(programs), scratch: Scratch::default(), matching })
    }

    fn against(
        &mut self,
        recorded: &Recorded,
        mut tell: impl FnMut(&Matched<'_>) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let Recorded { number, event } = recorded;
        match self {
            Self::Condition { text, condition } => {
                if condition.evaluate(event).is_true() {
                    tell(&Matched { number: *number, rule: text, rest: None })?;
                }
            }
            Self::Rules { set, programs, scratch, matching } => {
                let mut all: Vec<Match> = Vec::new();
                programs.matches(scratch, event.event_type(), event, *matching, |found| all.push(found));
                for found in all.into_iter().filter(|found| found.truth.is_true()) {
                    let Some(rule) = set.rules().get(found.place) else { continue };
                    let rest = OfRule {
                        priority: rule.priority.as_str(),
                        output: rule.output.render(event),
                        tags: rule.tags.iter().map(String::as_str).collect(),
                    };
                    tell(&Matched { number: *number, rule: &rule.name, rest: Some(rest) })?;
                }
            }
        }
        Ok(())
    }
}
