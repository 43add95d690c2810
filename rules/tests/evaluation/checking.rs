//! What is refused before any event comes.

use rules::{
    condition::parse,
    eval::{CheckError, Condition},
};

fn check(text: &str) -> Result<Condition, CheckError> {
    Condition::check(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// The part of the text an error is about, and what it says.
fn error(text: &str) -> (String, String) {
    match check(text) {
        Ok(_) => panic!("{text} was taken"),
        Err(error) => (text[error.span.start..error.span.end].to_owned(), error.to_string()),
    }
}

#[test]
fn what_falco_refuses_is_refused_where_it_stands() {
    let cases = [
        ("proc.nam = x", "proc.nam", "nonexistent field proc.nam"),
        ("evt.arg.nothing = 1", "evt.arg.nothing", "unknown event argument nothing"),
        ("proc.name = a and evt.type = opened", "opened", "unknown event type opened"),
        ("evt.type in (open, opened)", "opened", "unknown event type opened"),
        ("evt.type contains ope", "ope", "unknown event type ope"),
        (
            "tolower(evt.type) = open",
            "tolower(evt.type)",
            "does not support `evt.type` checks with transformers",
        ),
        ("evt.type = val(proc.name)", "proc.name", "right-hand field comparisons"),
        ("proc.pid contains 1", "contains", "'contains' operator not supported for numeric filters"),
        ("proc.name bcontains 6162", "bcontains", "not supported for string filters"),
        ("fd.sip startswith 10", "startswith", "not supported for ip address and network filters"),
        ("fd.types = file", "=", "operator not supported list filters"),
        ("evt.buffer regex x", "regex", "not supported for buffer filters"),
        ("proc.pid = many", "many", "many is not a valid number"),
        ("proc.pid in (1, x, 2)", "x", "x is not a valid number"),
        ("evt.is_open_read = yes", "yes", "unrecognized boolean value yes"),
        ("fd.sport = nosuch", "nosuch", "unrecognized protocol nosuch"),
        ("fd.sip = 10.0", "10.0", "unrecognized IP address 10.0"),
        ("fd.net = 10.0.0.1", "10.0.0.1", "unrecognized IP network 10.0.0.1"),
        ("proc.name regex '(a'", "'(a'", "invalid regex pattern"),
        ("evt.buffer bcontains xy", "xy", "hex strings only"),
        ("toupper(evt.rawres) = -1", "toupper(evt.rawres)", "type 'INT64' is not supported by 'toupper'"),
        ("toupper(evt.rawarg.name) = X", "evt.rawarg.name", "does not support transformers"),
        ("len(proc.aname[2]) > 3", "proc.aname[2]", "does not support transformers"),
        ("proc.name = val(evt.is_wait)", "evt.is_wait", "incompatible type 'BOOL'"),
        ("fd.ip = val(fd.sip)", "fd.ip", "doesn't support right-hand side fields"),
        ("fd.sip = val(fd.ip)", "fd.ip", "can't be used as a right-hand side field"),
        ("proc.name pmatch val(proc.pname)", "proc.pname", "doesn't support right-hand side fields"),
        ("evt.around[5] > 3", ">", "supports only '='"),
        ("concat(proc.name, proc.pid) = x", "concat(proc.name, proc.pid)", "takes two texts or more"),
        ("some_macro and proc.pid = 1", "some_macro", "unexpected identifier 'some_macro'"),
    ];
    for (text, part, message) in cases {
        let (found, said) = error(text);
        let part_of = found.trim_start_matches("val(").trim_end_matches(')');
        assert!(found == part || part_of == part, "{text}: at {found}");
        assert!(said.contains(message), "{text}: {said}");
    }
}

#[test]
fn what_fits_is_taken() {
    for text in [
        "evt.type exists and evt.type in (open, container)",
        "fd.ip in (10.0.0.1, 10.0.0.0/8, ::1)",
        "fd.net != 10.0.0.0/8 and fd.proto = https",
        "fd.types intersects (file, ipv4) and len(fd.types) > 2",
        "evt.rawarg.res < -1 and evt.cpu > -500",
        "user.uid = -1 and fd.dev = 0x12",
        "join(',', (proc.name, proc.pid, 5)) startswith cat",
        "concat(proc.name, ':', tolower(proc.pname)) = a",
        "getopt(proc.args, 'nt:') in (n, t)",
        "proc.name = val(proc.pname) or proc.name = basename(proc.exepath)",
        "proc.no_new_privs = false and container.posture[seccomp] = FAIL",
        "evt.around[1404996934793590564] = 1000",
        "evt.latency > 0 and evt.dir = <",
    ] {
        check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn a_condition_knows_its_fields() {
    let condition =
        check("proc.name = a and (evt.arg[fd] = b or not proc.aname[2] = val(proc.name))").unwrap_err();
    assert!(condition.to_string().contains("doesn't support right-hand side fields"));
    let condition =
        check("proc.name = a and (evt.arg[fd] = b or not basename(proc.exe) = val(proc.name))").unwrap();
    let names: Vec<&str> = condition.references().iter().map(|reference| reference.text()).collect();
    assert_eq!(names, ["proc.name", "evt.arg.fd", "proc.exe"]);
}

#[test]
fn nesting_has_an_end() {
    let mut expr = parse("proc.pid = 1").unwrap();
    for _ in 0..300 {
        let span = expr.span;
        expr =
            rules::condition::ast::Expr { kind: rules::condition::ast::ExprKind::Not(Box::new(expr)), span };
    }
    assert!(Condition::check(&expr).unwrap_err().to_string().contains("max depth"));
}
