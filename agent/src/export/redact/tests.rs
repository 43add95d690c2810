use proptest::prelude::*;

use super::*;

fn shown(argv: &[&str]) -> Vec<String> {
    let redacted = arguments(argv.iter().map(|argument| argument.as_bytes()), false);
    redacted.arguments.iter().map(|argument| String::from_utf8(argument.to_vec()).unwrap()).collect()
}

/// Written as `§` in the table below.
const S: &str = "hunter2-correct.horse!42";

/// Command lines, words apart by `|`, in which nothing of the secret may stay.
const SECRET: &[&str] = &[
    "app|--password=§",
    "app|--password|§",
    "app|--db-password=§",
    "app|-password|§",
    "app|--dbPassword=§ with words",
    "app|--token|§|--verbose",
    "app|--api-key=§",
    "app|--apiKey|§",
    "app|--secret=§",
    "app|--client_secret|§",
    "app|--aws-secret-access-key=§",
    "app|-Dspring.datasource.password=§",
    "env|PASSWORD=§|app",
    "env|PGPASSWORD=§ two words|psql",
    "docker|run|-e|MYSQL_ROOT_PASSWORD=§,with,commas|mysql",
    "sh|-c|PASSWORD=§ exec app",
    "sh|-c|export TOKEN='§ §'; app",
    "bash|-lc|app --password § --port 80",
    "bash|-c|app --password '§ §' --port 80",
    "sh|-c|bash -c \"app --token §\"",
    "sh|-c|mysql -uroot -p§ -e 'select 1'",
    "sh|-c|curl -u bob:§ https://example.org",
    "mysql|-u|root|-p§",
    "mysqldump|-p|§|db",
    "/usr/bin/mariadb-dump|-p§",
    "sshpass|-p|§|ssh|host",
    "sudo|-u|bob|sshpass|-p§|ssh|host",
    "redis-cli|-a|§|ping",
    "redis-cli|AUTH|§",
    "mongodump|-p|§",
    "ldapsearch|-x|-w|§",
    "unzip|-P|§|a.zip",
    "docker|login|-u|bob|-p|§|registry.example.org",
    "helm|registry|login|-p|§",
    "skopeo|copy|--src-creds|bob:§|docker://a|docker://b",
    "openssl|rsa|-passin|pass:§",
    "keytool|-storepass|§|-list",
    "smbclient|-U|bob%§|//host/share",
    "curl|-u|bob:§|https://example.org",
    "curl|-ubob:§|https://example.org",
    "curl|--user|bob:§|https://example.org",
    "curl|--user=bob:§|https://example.org",
    "curl|-H|Authorization: Bearer §|https://example.org",
    "curl|-H|authorization: Basic § §|https://example.org",
    "curl|-H|X-Api-Key: §|https://example.org",
    "sh|-c|curl -H 'X-Api-Key: /§' https://example.org",
    "curl|-HPRIVATE-TOKEN: §|https://example.org",
    "curl|-H|Cookie: a=b; session=§|https://example.org",
    "curl|--header=Authorization: Bearer §",
    "sh|-c|curl -H 'Authorization: Bearer §' https://example.org",
    "sh|-c|curl -H \"Authorization: Bearer §\" https://example.org",
    "curl|-d|{\"user\":\"bob\",\"password\":\"§\"}",
    "curl|-d|{\"password\": \"a\\\"§\", \"x\": 1}",
    "sh|-c|curl -d \"{\\\"password\\\":\\\"§\\\"}\" x",
    "curl|https://example.org/?a=b&access_token=§&c=d",
    "curl|https://storage.example.org/x?sv=1&sig=§",
    "git|clone|https://bob:§@example.org/repo.git",
    "app|--dsn=postgres://bob:§@db:5432/x?sslmode=disable",
    "app|postgres://bob:§/§@db/x",
    "app|redis://:§@redis:6379/0",
    "app|bob:§@tcp(db:3306)/x",
    "app|--proxy=bob:§@proxy:3128",
    "app|Server=db;User Id=sa;Password=§;",
    "kubectl|create|secret|generic|x|--from-literal=password=§",
];

/// Secrets by their own shape.
const SHAPED: &[&str] = &[
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789abcdef",
    "glpat-ABcdEF12345-ghIJkl67",
    "xoxb-1234567890-abcdefghijKLMN",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "4xHqZ8pLw2Vb7NcR5tYk9GmD1sFj6QaE",
    "kQ3v/8Zt+Yw1LmPq9RsX2nBc7DfGh4JkT6uVa0WeSx5=",
    "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGP",
];

/// Command lines that stay as they are.
const PLAIN: &[&str] = &[
    "app|--password-file=/run/secrets/db",
    "app|--token-ttl=5m|--max-tokens=100",
    "app|--secret-name=web|--tokens|4",
    "app|--bypass=1|--compass|x|--passive",
    "app|--port=80|-p|8080",
    "ssh|-p|22|bob@host",
    "docker|run|-p|80:80|-v|/run/secrets/token:/token:ro|nginx",
    "psql|-p|5432|-U|bob",
    "env|PWD=/srv/app|OLDPWD=/|app",
    "git|clone|git@github.com:owner/repo.git",
    "npm|install|npm:react@17|@scope/pkg@1.2.3",
    "curl|http://127.0.0.1:8080/healthz",
    "curl|http://localhost:8080/@scope/pkg",
    "curl|http://[::1]:8080/x",
    "scp|bob@host:/tmp/x|.",
    "crane|pull|registry.example.org:5000/team/app:v1@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "app|nginx:1.25@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "runc|init|9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "app|--id=123e4567-e89b-12d3-a456-426614174000",
    "app|--commit|da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "app|/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
    "app|/home/Bob2/Projects/MyApp3/node_modules/SomeThing4/index.js",
    "java|-Djava.util.logging.manager=org.apache.juli.ClassLoaderLogManager|org.apache.catalina.startup.Bootstrap",
    "app|--feature-gates=RotateKubeletServerCertificate=true,GracefulNodeShutdown=true",
    "ssh-keygen|-F|SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
    "app|std::token::Kind|a==b",
    "grep|-r|password|/etc",
    "echo|Basic usage of the bearer of news",
    "cat|/etc/passwd",
    "sh|-c|cat /proc/self/status && echo done; sleep 1",
    "postgres: bob db 10.0.0.1(5432) idle",
];

#[test]
fn no_secret_stays() {
    for line in SECRET {
        assert!(line.contains('§'), "{line}");
        let line = line.replace('§', S);
        let argv: Vec<_> = line.split('|').collect();
        let shown = shown(&argv);
        assert!(!shown.join("|").contains(S), "{line}\n{shown:?}");
    }
}

#[test]
fn known_shapes_go_wherever_they_stand() {
    for secret in SHAPED {
        for line in
            [secret.to_string(), format!("--x={secret}"), format!("a {secret} b"), format!("'{secret}'")]
        {
            let secret = secret.rsplit("services/").next().unwrap();
            let shown = shown(&["app", &line]);
            assert!(!shown[1].contains(secret), "{line}\n{shown:?}");
        }
    }
}

#[test]
fn what_is_no_secret_stays() {
    for line in PLAIN {
        let argv: Vec<_> = line.split('|').collect();
        assert_eq!(shown(&argv), argv, "{line}");
    }
}

#[test]
fn what_is_around_a_secret_stays() {
    for (line, expected) in [
        ("app|--password=x y", "app|--password=[redacted]"),
        ("app|--token|x|--verbose", "app|--token|[redacted]|--verbose"),
        ("mysql|-uroot|-px", "mysql|-uroot|-p[redacted]"),
        ("git|clone|https://bob:x@example.org/r", "git|clone|https://bob:[redacted]@example.org/r"),
        ("curl|https://a.org/?token=x&y=z", "curl|https://a.org/?token=[redacted]&y=z"),
        ("curl|-u|bob:x|https://a.org", "curl|-u|bob:[redacted]|https://a.org"),
        ("sh|-c|TOKEN=x app --port 80", "sh|-c|TOKEN=[redacted] app --port 80"),
        ("curl|-d|{\"password\":\"x\",\"y\":\"z\"}", "curl|-d|{\"password\":\"[redacted]\",\"y\":\"z\"}"),
    ] {
        let argv: Vec<_> = line.split('|').collect();
        assert_eq!(shown(&argv).join("|"), expected);
    }
}

#[test]
fn arguments_with_a_secret_are_counted() {
    let argv = [&b"app"[..], b"--password", b"x", b"TOKEN=a", b"", b"plain"];
    let redacted = arguments(argv.into_iter(), false);
    assert_eq!(redacted.count, 2);
    assert_eq!(redacted.arguments.len(), argv.len());
}

#[test]
fn what_was_cut_off_is_no_way_around() {
    for cut in ["https://bob:hunter2-corr", "ghp_16C7e42F29", "eyJhbGciOi", "--password=hunter2-corr"] {
        let redacted = arguments([b"app", cut.as_bytes()].into_iter(), true);
        let shown = String::from_utf8(redacted.arguments[1].to_vec()).unwrap();
        assert!(shown.ends_with("[redacted]"), "{cut}: {shown}");
    }
}

#[test]
fn a_private_key_goes_and_a_certificate_stays() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----";
    assert!(!shown(&["app", key])[1].contains("MIIEow"));
    assert!(!shown(&["app", "-----BEGIN PRIVATE KEY-----\nMIIEow"])[1].contains("MIIEow"));
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----";
    assert_eq!(shown(&["app", certificate])[1], certificate);
}

#[test]
fn a_flood_of_separators_costs_little() {
    let argument = b"://=:a@".repeat(600);
    let start = std::time::Instant::now();
    for _ in 0..20 {
        let _ = arguments([&b"sh"[..], b"-c", &argument].into_iter(), false);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}

/// Ways to give a secret that may hold any byte but NUL.
fn anything(secret: &[u8], way: usize) -> Vec<Vec<u8>> {
    let join = |before: &[u8]| [before, secret].concat();
    match way {
        0 => vec![b"app".to_vec(), join(b"--password=")],
        1 => vec![b"app".to_vec(), b"--token".to_vec(), secret.to_vec()],
        2 => vec![b"env".to_vec(), join(b"DB_PASSWORD="), b"app".to_vec()],
        3 => vec![b"mysql".to_vec(), join(b"-p")],
        4 => vec![b"curl".to_vec(), b"-H".to_vec(), join(b"Authorization: Bearer ")],
        5 => vec![b"sshpass".to_vec(), b"-p".to_vec(), secret.to_vec()],
        6 => vec![b"curl".to_vec(), b"-u".to_vec(), join(b"bob:")],
        _ => vec![b"app".to_vec(), join(b"-Dx.secret=")],
    }
}

/// Ways in which it ends with its word.
fn word(secret: &str, way: usize) -> Vec<String> {
    let line = match way {
        0 => format!("app|https://bob:{secret}@host/x"),
        1 => format!("sh|-c|PASSWORD={secret} app"),
        2 => format!("sh|-c|app --password {secret} --x"),
        3 => format!("sh|-c|app --password='{secret}' --x"),
        4 => format!("curl|https://host/?a=1&token={secret}&b=2"),
        5 => format!("curl|-d|{{\"a\":1,\"secret\":\"{secret}\"}}"),
        6 => format!("sh|-c|mysql -p{secret} db"),
        _ => format!("sh|-c|curl -H 'X-Api-Key: {secret}' host"),
    };
    line.split('|').map(str::to_owned).collect()
}

fn holds(redacted: &Redacted, secret: &[u8]) -> bool {
    redacted.arguments.iter().any(|argument| argument.windows(secret.len()).any(|window| window == secret))
}

proptest! {
    #[test]
    fn a_planted_secret_never_comes_out(secret in proptest::collection::vec(1..=255_u8, 6..40), way in 0..8_usize) {
        prop_assume!(!MARK.windows(secret.len()).any(|window| window == secret));
        let argv = anything(&secret, way);
        let redacted = arguments(argv.iter().map(Vec::as_slice), false);
        prop_assert!(!holds(&redacted, &secret), "{:?}", redacted);
        prop_assert_eq!(redacted.arguments.len(), argv.len());
        prop_assert!(redacted.count >= 1);
    }

    #[test]
    fn nor_one_within_a_text(secret in "[A-Za-z0-9!#$%*+,.:;=@^_~/-]{6,40}", way in 0..8_usize) {
        // As a URL has it: a slash would end the host.
        let secret = if way == 0 { secret.replace(['/', '@', '#'], "_") } else { secret };
        let argv = word(&secret, way);
        let redacted = arguments(argv.iter().map(String::as_bytes), false);
        prop_assert!(!holds(&redacted, secret.as_bytes()), "{:?}", redacted);
    }

    #[test]
    fn any_bytes_are_taken(argv in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8), cut: bool) {
        let redacted = arguments(argv.iter().map(Vec::as_slice), cut);
        prop_assert_eq!(redacted.arguments.len(), argv.len());
    }
}
