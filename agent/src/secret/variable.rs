//! Secrets in a variable of an environment.

use super::{BY_NAME, Found, keys, random, shapes, url};

/// What a variable was known by to hold a secret. `None`: it does not look like one.
pub(crate) fn in_variable(name: &[u8], value: &[u8]) -> Option<&'static str> {
    // Of the services of a namespace, by the kubelet.
    if name.starts_with(b"KUBERNETES_") {
        return None;
    }
    let mut found = Found::default();
    if keys::is_secret(name) {
        found.add(0..value.len(), BY_NAME);
    }
    // Options of a virtual machine, JSON: keys with values of their own.
    keys::find(value, true, &mut found);
    url::find(value, false, &mut found);
    shapes::find(value, false, &mut found);
    if !is_public(name) {
        random::find(value, &mut found);
    }
    found.known_by(value)
}

/// Last words of names whose values look random and are for everybody.
const PUBLIC: [&[u8]; 21] = [
    b"ca",
    b"cert",
    b"certificate",
    b"certs",
    b"checksum",
    b"colors",
    b"crt",
    b"digest",
    b"etag",
    b"fingerprint",
    b"hash",
    b"id",
    b"integrity",
    b"name",
    b"pub",
    b"pubkey",
    b"sha256",
    b"sum",
    b"user",
    b"uuid",
    b"version",
];

fn is_public(name: &[u8]) -> bool {
    let mut words = name.split(|byte| !byte.is_ascii_alphanumeric());
    let last = words.clone().next_back().unwrap_or_default();
    PUBLIC.iter().any(|word| last.eq_ignore_ascii_case(word))
        || words.any(|word| word.eq_ignore_ascii_case(b"public"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known() {
        for (variable, known_by) in [
            ("DB_PASSWORD=hunter2", "name"),
            ("POSTGRES_PASSWORD=1234", "name"),
            ("PGPASSWORD=correct horse", "name"),
            ("API_KEY=123e4567-e89b-12d3-a456-426614174000", "name"),
            ("SESSION_SECRET=da39a3ee5e6b4b0d3255bfef95601890afd80709", "name"),
            ("TOKEN=/kQ3v8ZtYw1LmPq9RsX2nBc7DfGh4JkT6uVa0WeSx5=", "name"),
            ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "name"),
            ("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS access key"),
            ("X=ghp_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub token"),
            ("GITHUB_TOKEN=ghp_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub token"),
            ("DATABASE_URL=postgres://bob:hunter2@db:5432/x", "password in a URL"),
            ("JAVA_OPTS=-Xmx1g -Djavax.net.ssl.keyStorePassword=hunter2 -Dx=y", "name"),
            ("CONFIG={\"user\":\"bob\",\"password\":\"hunter2\"}", "name"),
            ("SEED=4xHqZ8pLw2Vb7NcR5tYk9GmD1sFj6QaE", "random text"),
            ("KEY=-----BEGIN PRIVATE KEY-----\nMIIEow", "private key"),
        ] {
            let (name, value) = variable.split_once('=').unwrap();
            assert_eq!(in_variable(name.as_bytes(), value.as_bytes()), Some(known_by), "{variable}");
        }
    }

    #[test]
    fn noise_is_not() {
        for variable in [
            "DB_PASSWORD=",
            "DB_PASSWORD=''",
            "DB_PASSWORD_FILE=/run/secrets/db",
            "DB_PASSWORD=/run/secrets/db",
            "DB_PASSWORD=${OTHER}",
            "DB_PASSWORD=$(OTHER)",
            "DB_PASSWORD=vault:secret/data/db#password",
            "DB_PASSWORD=********",
            "DATABASE_URL=postgres://bob:$(DB_PASSWORD)@db:5432/x",
            "DATABASE_URL=postgres://bob@db:5432/x",
            "UPSTREAM=http://${HOST}:${PORT}/x",
            "ORACLE=jdbc:oracle:thin:@host:1521:x",
            "PASSWORD_MIN_LENGTH=12",
            "REQUIRE_PASSWORD=true",
            "TOKEN=5m",
            "MAX_TOKENS=4096",
            "PROXY_AUTH=basic",
            "OAUTH_TOKEN=https://login.example/oauth2/token",
            "KUBERNETES_SERVICE_HOST=10.0.0.1",
            "KUBERNETES_PORT_443_TCP=tcp://10.0.0.1:443",
            "KUBERNETES_TOKEN=hunter2",
            "WEB_PORT_80_TCP=tcp://10.0.0.7:80",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME=web-5d4f8c7b9d-x2x4z",
            "PWD=/srv/app",
            "GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568",
            "PYTHON_SHA256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "REQUEST_ID=123e4567-e89b-12d3-a456-426614174000",
            "CLIENT_ID=4xHqZ8pLw2Vb7NcR5tYk9GmD1sFj6QaE",
            "SSH_PUBLIC_KEY=kQ3v8ZtYw1LmPq9RsX2nBc7DfGh4JkT6uVa0WeSx5",
            "GOOGLE_APPLICATION_CREDENTIALS=/var/run/secret/google.json",
            "SSH_AUTH_SOCK=/tmp/ssh-XXXXabcd/agent.12",
            "JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64",
            "LS_COLORS=rs=0:di=01;34:ln=01;36:*.tar=01;31:",
            "PS1=\\u@\\h:\\w\\$ ",
            "IMAGE=nginx:1.25@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "",
        ] {
            let (name, value) = variable.split_once('=').unwrap_or_default();
            assert_eq!(in_variable(name.as_bytes(), value.as_bytes()), None, "{variable}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(name: Vec<u8>, value: Vec<u8>) {
            let _ = in_variable(&name, &value);
        }
    }
}
