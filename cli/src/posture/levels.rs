//! `posture levels`.

use kestrel_proto::v1;
use serde::Serialize;

use super::{
    NOTHING,
    args::LevelsArgs,
    inventory, is_sandbox, matrix, pod, said,
    standards::{Field, Levels},
    typed,
};
use crate::{
    Failure, Outcome,
    args::{Format, Global},
    json,
    list::connect,
    look::Look,
    output::Output,
    say,
    text::{inventory::sort_by_place, posture::levels as text},
};

/// The command `posture levels`.
pub(super) async fn run(global: &Global, args: &LevelsArgs, look: Look) -> Result<Outcome, Failure> {
    let mut server = connect(global).await?;
    let inventory = inventory(&mut server, args.places.filter()).await?;
    let mut chosen = chosen(&inventory, args)?;
    let before = chosen.len();
    if !args.places.all {
        chosen.retain(|response| !is_sandbox(response));
    }
    let left_out = (before - chosen.len()) as u64;
    sort_by_place(&mut chosen);
    let containers: Vec<_> = chosen.into_iter().map(Levels::of).collect();
    let mut output = Output::stdout();
    match global.output {
        format @ (Format::Json | Format::Yaml) => {
            for levels in &containers {
                output.object(object(levels)?, format)?;
            }
        }
        format => {
            if containers.is_empty() {
                say(NOTHING);
            }
            for line in text::lines(&containers, left_out, format == Format::Wide, look) {
                output.line(line)?;
            }
        }
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

/// Those that were asked for. What was named has to be there.
fn chosen<'a>(
    inventory: &'a [v1::InventoryResponse],
    args: &LevelsArgs,
) -> Result<Vec<&'a v1::InventoryResponse>, Failure> {
    let LevelsArgs { pods, places } = args;
    let none = |wanted| Failure::Usage(pod::none(wanted, &places.filter()));
    if let Some(missing) =
        pods.iter().find(|wanted| !inventory.iter().any(|response| pod::is_of(response, wanted)))
    {
        return Err(none(Some(missing)));
    }
    if inventory.is_empty() && places.is_some_named() {
        return Err(none(None));
    }
    let is_asked = |response: &&v1::InventoryResponse| {
        pods.is_empty() || pods.iter().any(|wanted| pod::is_of(response, wanted))
    };
    Ok(inventory.iter().filter(is_asked).collect())
}

/// A container's levels as JSON; the container and what its controls say are messages of the contract.
fn object(levels: &Levels) -> std::io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Object<'a, C, F> {
        cluster: &'a str,
        node: &'a str,
        stale: bool,
        container: C,
        #[serde(serialize_with = "matrix::level_word", skip_serializing_if = "matrix::is_unspecified")]
        declared_level: v1::PodSecurity,
        #[serde(serialize_with = "matrix::level_word", skip_serializing_if = "matrix::is_unspecified")]
        observed_level: v1::PodSecurity,
        weaker: bool,
        fields: Vec<F>,
    }
    let Levels { cluster, node, stale, container, declared, observed, is_weaker, fields } = levels;
    let object = Object {
        cluster,
        node,
        stale: *stale,
        container: json::part("Container", container)?,
        declared_level: *declared,
        observed_level: *observed,
        weaker: *is_weaker,
        fields: fields.iter().map(field_object).collect::<Result<_, _>>()?,
    };
    typed("levels", &object)
}

fn field_object(field: &Field) -> std::io::Result<impl Serialize + use<>> {
    #[derive(Serialize)]
    struct Object<C> {
        field: &'static str,
        level: controls::PssLevel,
        #[serde(serialize_with = "said::verdict_word")]
        verdict: v1::Verdict,
        weakens: bool,
        controls: Vec<C>,
    }
    let Field { name, level, verdict, weakens, controls } = field;
    let controls = controls.iter().map(|said| json::part("ControlPosture", said));
    Ok(Object {
        field: name,
        level: *level,
        verdict: *verdict,
        weakens: *weakens,
        controls: controls.collect::<Result<Vec<_>, _>>()?,
    })
}
