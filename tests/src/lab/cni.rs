//! The least network that a runtime takes for one: each pod has a network namespace with the loopback device.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::Result;

/// Plugins are programs. What they say of an address is not so, and nobody asks for it.
const PLUGIN: &str = r#"#!/bin/sh
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}' ;;
ADD)
    /bin/busybox nsenter --net="$CNI_NETNS" /bin/busybox ip link set lo up >&2 || exit 1
    echo '{"cniVersion":"0.3.1","interfaces":[{"name":"'"$CNI_IFNAME"'","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"version":"4","interface":0,"address":"192.0.2.2/24"}]}'
    ;;
esac
"#;

const NETWORK: &str = r#"{"cniVersion":"0.3.1","name":"kestrel-lab","plugins":[{"type":"kestrel-lab"}]}"#;

/// Writes the plugins and the network's configuration to a folder, before the daemon starts.
pub(super) fn install(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    // The runtime asks for `loopback` by itself.
    for name in ["kestrel-lab", "loopback"] {
        let path = dir.join(name);
        fs::write(&path, PLUGIN)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(fs::write(dir.join("10-kestrel-lab.conflist"), NETWORK)?)
}
