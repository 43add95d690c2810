//! Events as they come. A connection that breaks is made again, and goes on behind the last event.

use std::{
    future::ready,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use kestrel_proto::v1::{self, tail_request::Start, tail_response::Response};
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Code, Status, Streaming};

use crate::{
    Failure, Outcome,
    args::{Format, Global, TailArgs},
    connect::{ConnectError, Server},
    filter, json, list,
    look::Look,
    output::Output,
    say,
    text::event::Lines,
    time,
};

/// Pause before the first try to connect again; doubled with each, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// The command `tail`.
///
/// # Errors
/// When the collector is not reached at first or refuses, or nothing can be written.
pub async fn run(global: &Global, args: &TailArgs, look: Look) -> Result<Outcome, Failure> {
    let mut place = Place { start: start(args)?, cursor: None };
    let request = v1::TailRequest {
        filter: Some(filter::of(&args.filter, &args.kind)),
        start: None,
        follow: !args.no_follow,
    };
    let mut printer = Printer::new(global.output, look, args)?;
    let mut end = signal(SignalKind::terminate()).map_err(Failure::Output)?;
    tokio::select! {
        result = follow(global, request, &mut place, &mut printer) => result?,
        // Asked to stop: what was read is shown.
        _ = tokio::signal::ctrl_c() => {}
        _ = end.recv() => {}
    }
    printer.output.flush()?;
    Ok(Outcome::Fine)
}

fn start(args: &TailArgs) -> Result<Start, Failure> {
    if args.oldest {
        return Ok(Start::Oldest(v1::Oldest {}));
    }
    if let Some(cursor) = &args.after {
        return json::parse_cursor(cursor)
            .map(Start::After)
            .map_err(|why| Failure::Usage(format!("--after {why}")));
    }
    match &args.since {
        None => Ok(Start::Now(v1::Now {})),
        Some(since) => time::parse_since(since, time::now_unix_ns())
            .map(Start::SinceUnixNs)
            .map_err(|why| Failure::Usage(format!("--since {why}"))),
    }
}

/// How far the stream was shown.
struct Place {
    /// As asked, or the moment of the first connection where that was "now".
    start: Start,
    cursor: Option<v1::Cursor>,
}

impl Place {
    fn next(&self) -> Start {
        self.cursor.map_or(self.start, Start::After)
    }

    /// Moves on. `false`: this was shown already.
    fn reach(&mut self, cursor: Option<v1::Cursor>) -> bool {
        let Some(cursor) = cursor else { return true };
        let order = |cursor: v1::Cursor| (cursor.frame, cursor.index);
        let is_new = self.cursor.is_none_or(|last| order(cursor) > order(last));
        if is_new {
            self.cursor = Some(cursor);
        }
        is_new
    }
}

async fn follow(
    global: &Global,
    request: v1::TailRequest,
    place: &mut Place,
    printer: &mut Printer,
) -> Result<(), Failure> {
    // The first connection has to work: a wrong address is not waited for.
    let mut server = list::connect(global).await?;
    if let Start::Now(_) = place.start {
        // What comes while the connection is down is not to be lost, also before the first event.
        let status =
            server.watch.status(v1::StatusRequest {}).await.map_err(|status| server.refused(status))?;
        place.start = Start::SinceUnixNs(status.into_inner().wall_unix_ns);
        let now = v1::TailRequest { start: Some(Start::Now(v1::Now {})), ..request.clone() };
        match open(&mut server, now).await {
            Ok(stream) => match read(&server, stream, place, printer).await? {
                None => return Ok(()),
                Some(status) => again(global, &mut server, place, printer, &status).await?,
            },
            Err(status) if is_final(&status) => return Err(server.refused(status)),
            Err(status) => again(global, &mut server, place, printer, &status).await?,
        }
    }
    loop {
        let next = v1::TailRequest { start: Some(place.next()), ..request.clone() };
        let broken = match open(&mut server, next).await {
            Ok(stream) => read(&server, stream, place, printer).await?,
            Err(status) if is_final(&status) => return Err(server.refused(status)),
            Err(status) => Some(status),
        };
        match broken {
            None => return Ok(()),
            Some(status) => again(global, &mut server, place, printer, &status).await?,
        }
    }
}

async fn open(server: &mut Server, request: v1::TailRequest) -> Result<Streaming<v1::TailResponse>, Status> {
    Ok(server.watch.tail(request).await?.into_inner())
}

/// Shows what comes. `None`: it is at its end; else why it broke.
async fn read(
    server: &Server,
    mut stream: Streaming<v1::TailResponse>,
    place: &mut Place,
    printer: &mut Printer,
) -> Result<Option<Status>, Failure> {
    loop {
        let next = tokio::select! {
            biased;
            next = stream.message() => next,
            // Nothing is there yet: a good moment to show what was.
            () = ready(()) => {
                printer.output.flush()?;
                stream.message().await
            }
        };
        match next {
            Ok(Some(response)) => printer.show(response.response, place)?,
            // A stream that follows does not end by itself.
            Ok(None) if printer.follows => {
                return Ok(Some(Status::unavailable("the collector ended the stream")));
            }
            Ok(None) => return Ok(None),
            Err(status) if is_final(&status) => return Err(server.refused(status)),
            Err(status) => return Ok(Some(status)),
        }
    }
}

/// Connects again, however long it takes.
async fn again(
    global: &Global,
    server: &mut Server,
    place: &Place,
    printer: &mut Printer,
    status: &Status,
) -> Result<(), Failure> {
    printer.output.flush()?;
    let mut reason = inert::inert(status.message());
    let mut pause = SHORTEST;
    loop {
        let wait = jittered(pause);
        say(&format!("connection to {} lost ({reason}); trying again in {wait:.1?}", server.name));
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST);
        match Server::connect(global).await {
            Ok(fresh) => {
                *server = fresh;
                let place = place.cursor.as_ref().map_or_else(
                    || "from the beginning".to_owned(),
                    |cursor| format!("behind {}", json::cursor(cursor)),
                );
                say(&format!("connected again; going on {place}"));
                return Ok(());
            }
            Err(error @ ConnectError::Unreachable { .. }) => reason = crate::chain(&error),
            // Certificates may be on their way.
            Err(error @ ConnectError::Tls(_)) => reason = crate::chain(&error),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Trying again would give the same answer.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::OutOfRange
    )
}

/// A finding that nobody is to be told of.
fn is_listed_only(event: &v1::Envelope) -> bool {
    let event = event.record.as_ref().and_then(|record| record.event.as_ref());
    matches!(event, Some(v1::record::Event::Finding(finding)) if !finding.alert)
}

/// Between half of it and all of it, so that many do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    let share = (random % 1024) as u32;
    pause / 2 + pause * share / 2048
}

/// Where events go.
struct Printer {
    output: Output,
    format: Format,
    lines: Option<Lines>,
    follows: bool,
    alerts: bool,
}

impl Printer {
    fn new(format: Format, look: Look, args: &TailArgs) -> Result<Self, Failure> {
        let lines = match format {
            Format::Json | Format::Yaml => None,
            format => Some(Lines { look, is_wide: format == Format::Wide }),
        };
        let mut output = Output::stdout();
        if let Some(lines) = lines {
            output.line(lines.header())?;
        }
        Ok(Self { output, format, lines, follows: !args.no_follow, alerts: args.alerts })
    }

    fn show(&mut self, response: Option<Response>, place: &mut Place) -> Result<(), Failure> {
        match response {
            Some(Response::Event(event)) => {
                let is_new = place.reach(event.cursor);
                if is_new && !(self.alerts && is_listed_only(&event)) {
                    match self.lines {
                        Some(lines) => self.output.line(lines.event(&event))?,
                        None => self.output.object(json::event(&event)?, self.format)?,
                    }
                }
            }
            Some(Response::Missed(missed)) => {
                place.reach(missed.to);
                match self.lines {
                    Some(lines) => self.output.line(lines.missed(&missed, time::now_unix_ns()))?,
                    None => self.output.object(json::missed(&missed)?, self.format)?,
                }
            }
            Some(Response::Reached(cursor)) => {
                place.reach(Some(cursor));
            }
            None => {}
        }
        Ok(())
    }
}
