//! Who may watch.

use kestrel_tls::Peer;
use tonic::{Extensions, Status};

/// With a certificate, only a viewer's. Without one the listener has decided: it takes plain
/// connections on this machine, or where the configuration says so.
pub(super) fn may_watch(extensions: &Extensions) -> Result<(), Status> {
    let Some(peer) = extensions.get::<Peer>() else {
        return Err(Status::unauthenticated("who is asking is not known"));
    };
    match &peer.identity {
        None => Ok(()),
        Some(identity) if identity.viewer => Ok(()),
        Some(identity) => Err(Status::permission_denied(format!(
            "the certificate of {} is none of a viewer: it lacks the name viewer.kestrel",
            inert::inert(&identity.subject)
        ))),
    }
}
