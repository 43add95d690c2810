//! References to images, as people and Kubernetes write them (distribution's reference grammar).

/// An image of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Registry and path, whole: `docker.io/library/nginx` for `nginx`.
    pub(super) repository: String,
    pub(super) tag: Option<&'a str>,
    pub(super) has_digest: bool,
}

impl<'a> Reference<'a> {
    /// `None`: it names no registry or path, but an image of the node by its id.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let path = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name.get(path..)?.split_once(':') {
            Some((last, tag)) => (name.get(..path + last.len())?, Some(tag)),
            None => (name, None),
        };
        let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        // A digest by itself looks like a name with a tag.
        let is_digest = ["sha256", "sha512"].contains(&name) && tag.is_some_and(|tag| tag.len() >= 64);
        if name.is_empty() || is_id || is_digest {
            return None;
        }
        let has_digest = digest.is_some_and(|digest| digest.contains(':'));
        Some(Self { repository: repository(name), tag: tag.filter(|tag| !tag.is_empty()), has_digest })
    }
}

/// Registry and path of a name without tag and digest.
pub(super) fn repository(name: &str) -> String {
    /// Names that Docker Hub has besides.
    const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    let (host, path) = match name.split_once('/') {
        // What has no dot and no port is a part of the path.
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    let host = host.to_ascii_lowercase();
    if !HUB.contains(&host.as_str()) {
        return format!("{host}/{path}");
    }
    if path.contains('/') { format!("docker.io/{path}") } else { format!("docker.io/library/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, repository, tag, has_digest) in [
            ("nginx", "docker.io/library/nginx", None, false),
            ("nginx:1.25", "docker.io/library/nginx", Some("1.25"), false),
            ("team/app:v1", "docker.io/team/app", Some("v1"), false),
            ("docker.io/nginx", "docker.io/library/nginx", None, false),
            ("index.docker.io/team/app", "docker.io/team/app", None, false),
            ("Registry.Example/team/app:1", "registry.example/team/app", Some("1"), false),
            ("registry.example:5000/app", "registry.example:5000/app", None, false),
            ("localhost/app:1", "localhost/app", Some("1"), false),
            (&format!("registry.example/app:1@{digest}"), "registry.example/app", Some("1"), true),
            (&format!("nginx@{digest}"), "docker.io/library/nginx", None, true),
            ("nginx:", "docker.io/library/nginx", None, false),
            ("nginx@", "docker.io/library/nginx", None, false),
        ] {
            let expected = Reference { repository: repository.to_owned(), tag, has_digest };
            assert_eq!(Reference::parse(text), Some(expected), "{text}");
        }
        for text in ["", &digest, &"a".repeat(64), ":tag", "@sha256:x"] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            let _ = Reference::parse(&text);
        }
    }
}
