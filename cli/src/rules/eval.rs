//! `rules eval`.

use rules::{
    compile::{Match, Matching, Programs, Scratch},
    condition::parse,
    eval::Condition,
    event::JsonEvent,
    load::{CompiledRule, Config, RuleSet},
    temporal::{Fired, Limits, Temporal, Tracker, Why},
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
    /// Only of a rule over several events.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Led>,
}

/// What led to a match.
#[derive(Serialize)]
#[serde(untagged)]
enum Led {
    Count { count: u32, since_ns: u64 },
    Steps { steps: Vec<Step> },
}

#[derive(Serialize)]
struct Step {
    at_ns: u64,
    by: String,
}

impl From<Why> for Led {
    fn from(why: Why) -> Self {
        match why {
            Why::Count { count, since_ns } => Self::Count { count, since_ns },
            Why::Steps(marks) => {
                let step = |mark: rules::temporal::Mark| Step { at_ns: mark.at_ns, by: mark.by.into() };
                Self::Steps { steps: marks.into_iter().map(step).collect() }
            }
        }
    }
}

pub(super) fn run(args: &EvalArgs, config: Config, format: Format) -> Result<Outcome, Failure> {
    let mut output = Output::stdout();
    let mut outcome = Outcome::Fine;
    let mut events = Events::open(&args.events)?;
    let mut held = Held::new(args, config)?;
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
    Rules(Box<Rules>),
    Condition { text: String, condition: Box<Condition> },
}

struct Rules {
    set: RuleSet,
    programs: Programs,
    matching: Matching,
    temporal: Temporal,
    tracker: Tracker,
    scratch: Scratch,
    /// Of the last event that says when it happened.
    now_ns: u64,
}

impl Held {
    fn new(args: &EvalArgs, config: Config) -> Result<Self, Failure> {
        if let Some(text) = &args.condition {
            let condition = parse(text)
                .map_err(|error| error.to_string())
                .and_then(|expr| Condition::check(&expr).map_err(|error| error.to_string()));
            let condition =
                condition.map_err(|why| Failure::Usage(format!("the condition cannot be used: {why}")))?;
            return Ok(Self::Condition { text: text.clone(), condition: Box::new(condition) });
        }
        let set =
            if args.rules.is_empty() { files::builtin(config)? } else { files::usable(&args.rules, config)? };
        let (programs, matching, temporal) = if args.all {
            let all = || set.rules().iter().enumerate();
            let single = all().filter(|(_, rule)| rule.before.is_none());
            let programs = Programs::new(single.map(|(place, rule)| (place, &rule.condition)));
            (programs, Matching::All, Temporal::new(all()))
        } else {
            (set.compile(), Matching::First, set.compile_temporal())
        };
        let tracker = Tracker::new(Limits::default());
        let scratch = Scratch::default();
        Ok(Self::Rules(Box::new(Rules { set, programs, matching, temporal, tracker, scratch, now_ns: 0 })))
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
            Self::Rules(rules) => {
                for (rule, before) in rules.matches(event) {
                    let rest = OfRule {
                        priority: rule.priority.as_str(),
                        output: rule.output.render(event),
                        tags: rule.tags.iter().map(String::as_str).collect(),
                        before,
                    };
                    tell(&Matched { number: *number, rule: &rule.name, rest: Some(rest) })?;
                }
            }
        }
        Ok(())
    }
}

impl Rules {
    /// The rules that match an event, those over several events last.
    fn matches(&mut self, event: &JsonEvent) -> Vec<(&CompiledRule, Option<Led>)> {
        let Self { set, programs, matching, temporal, tracker, scratch, now_ns } = self;
        *now_ns = event.time_ns().unwrap_or(*now_ns);
        let mut single: Vec<Match> = Vec::new();
        programs.matches(scratch, event.event_type(), event, *matching, |found| single.push(found));
        let single =
            single.into_iter().filter(|found| found.truth.is_true()).map(|found| (found.place, None));
        let mut parts = Vec::new();
        temporal.matches(scratch, event.event_type(), event, |part, truth| {
            if truth.is_true() {
                parts.push(part);
            }
        });
        let fired = parts.into_iter().filter_map(|part| tracker.note(temporal, part, event, *now_ns));
        let several = fired.map(|Fired { place, why }| (place, Some(Led::from(why))));
        let rule = |(place, led): (usize, Option<Led>)| set.rules().get(place).map(|rule| (rule, led));
        single.chain(several).filter_map(rule).collect()
    }
}
