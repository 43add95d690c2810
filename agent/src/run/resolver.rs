//! Looks up the names that rules compare addresses with, at once and again every minute. A name server
//! that does not answer holds up nobody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    detect::{HostNames, Hosts, look_up},
    pipeline::Message,
};

/// How often addresses are looked up again.
const EVERY: Duration = Duration::from_secs(60);

/// Whom the resolver is asked through. It ends when this goes.
pub(super) struct Asking {
    names: Arc<Mutex<HostNames>>,
    wake: SyncSender<()>,
}

/// Looks names up, in a thread of its own.
pub(super) struct Resolver {
    names: Arc<Mutex<HostNames>>,
    wake: Receiver<()>,
    messages: mpsc::Sender<Message>,
    known: BTreeMap<Arc<str>, Vec<IpAddr>>,
    failing: BTreeSet<Arc<str>>,
    told: Hosts,
}

impl Asking {
    /// From now on these names are wanted, and no others.
    pub(super) fn ask(&self, names: HostNames) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        match self.wake.try_send(()) {
            // One that is to wake up finds them.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => tracing::warn!("names of hosts are looked up no more"),
        }
    }
}

impl Resolver {
    pub(super) fn new(messages: mpsc::Sender<Message>) -> (Self, Asking) {
        let names = Arc::default();
        let (waker, wake) = sync_channel(1);
        let asking = Asking { names: Arc::clone(&names), wake: waker };
        let resolver = Self {
            names,
            wake,
            messages,
            known: BTreeMap::new(),
            failing: BTreeSet::new(),
            told: Hosts::default(),
        };
        (resolver, asking)
    }

    /// Until nobody can ask any more.
    pub(super) fn run(mut self) {
        while self.wake.recv_timeout(EVERY) != Err(RecvTimeoutError::Disconnected) {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.look_up(&names, look_up);
            let hosts = self.hosts();
            if hosts == self.told {
                continue;
            }
            self.told = hosts.clone();
            if self.messages.blocking_send(Message::Hosts(Arc::new(hosts))).is_err() {
                return;
            }
        }
    }

    fn hosts(&self) -> Hosts {
        Hosts::of(self.known.iter().map(|(name, addresses)| (name, addresses.as_slice())))
    }

    /// What a name stood for holds while it cannot be looked up.
    fn look_up(&mut self, names: &HostNames, look_up: impl Fn(&str) -> std::io::Result<Vec<IpAddr>>) {
        self.known.retain(|name, _| names.contains(name));
        self.failing.retain(|name| names.contains(name));
        for name in names {
            match look_up(name) {
                Ok(addresses) => {
                    self.failing.remove(name);
                    self.known.insert(Arc::clone(name), addresses);
                }
                Err(error) if self.failing.insert(Arc::clone(name)) => {
                    let has_addresses = self.known.contains_key(name);
                    tracing::warn!(%name, %error, has_addresses, "a name that rules compare with is not found");
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_a_name_stood_for_holds_while_it_cannot_be_looked_up_and_no_longer_than_it_is_wanted() {
        let (mut resolver, asking) = Resolver::new(mpsc::channel(1).0);
        let names: HostNames = ["a.example".into(), "b.example".into()].into();
        asking.ask(names.clone());
        asking.ask(names.clone());
        assert_eq!(resolver.wake.try_iter().count(), 1, "both are seen at once");
        assert_eq!(*resolver.names.lock().unwrap(), names);

        let address: IpAddr = "192.0.2.1".parse().unwrap();
        resolver.look_up(&names, |name| match name {
            "a.example" => Ok(vec![address]),
            _ => Err(io::Error::other("no such name")),
        });
        let (a, b): (Arc<str>, Arc<str>) = ("a.example".into(), "b.example".into());
        let of_a = Hosts::of([(&a, &[address][..])]);
        assert_eq!((resolver.hosts(), resolver.failing.len()), (of_a.clone(), 1));
        resolver.look_up(&names, |_| Err(io::Error::other("no answer")));
        assert_eq!((resolver.hosts(), resolver.failing.len()), (of_a, 2));
        resolver.look_up(&[Arc::clone(&b)].into(), |_| Ok(vec![address]));
        assert_eq!((resolver.hosts(), resolver.failing.len()), (Hosts::of([(&b, &[address][..])]), 0));
    }
}
