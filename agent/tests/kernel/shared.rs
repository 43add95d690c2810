//! Programs that tests share which wait for events of their own: to have them verified anew takes an emulated
//! processor seconds.

use std::{
    fs,
    path::Path,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use aya::programs::links::PinnedLink;
use kestrel_agent::syscall::Wants;

use crate::loaded::Loaded;

/// Attached for as long as the links are open, so that nothing is left when the tests end.
static POSTURE: LazyLock<Mutex<(Loaded, Vec<PinnedLink>)>> = LazyLock::new(|| {
    let loaded = Loaded::new([1 << 22, 1 << 16], Wants::posture());
    let mut links = Vec::new();
    open_links(&loaded.pin_dir, &mut links);
    loaded.unpin();
    Mutex::new((loaded, links))
});

/// Those that want what posture does, with empty rings.
pub(crate) struct Posture(MutexGuard<'static, (Loaded, Vec<PinnedLink>)>);

impl Posture {
    pub(crate) fn new() -> Self {
        // A test that failed with them has not broken them.
        let mut shared = POSTURE.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = &mut shared.0.programs;
        for ring in [&mut programs.critical, &mut programs.bulk] {
            ring.drain(ring.produced(), |_| {});
        }
        Self(shared)
    }
}

impl std::ops::Deref for Posture {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.0.0
    }
}

impl std::ops::DerefMut for Posture {
    fn deref_mut(&mut self) -> &mut Loaded {
        &mut self.0.0
    }
}

fn open_links(dir: &Path, links: &mut Vec<PinnedLink>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            open_links(&path, links);
        } else if path.file_name().unwrap().to_str().unwrap().starts_with("link_") {
            links.push(PinnedLink::from_pin(&path).unwrap());
        }
    }
}
