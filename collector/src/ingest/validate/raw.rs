//! Raw events. Numbers that are the kernel's own (families, states, flags) may be any.

use kestrel_proto::{
    raw,
    v1::{self, CallAbi, CallVia, Grade, record::Event},
};

use super::{Checked, NAME, PATH, TEXT, at_most, bytes, ensure, known, optional_id, process_id, text};

/// A call has six.
const ARGS: usize = 6;
/// More fit into no captured packet.
const DNS_ENTRIES: usize = 256;
const FILE_TYPE: u32 = 0xffff;

/// Whether a raw event is one; of others nothing is said.
pub(super) fn event(event: &Event) -> Checked {
    if let Some(it) = raw::actor(event) {
        actor(it)?;
    }
    match event {
        Event::File(it) => {
            let v1::FileEvent { call: of, path, grade, file, file_system, text, .. } = it;
            call("file", of.as_ref())?;
            bytes("file: path", path, PATH)?;
            known::<Grade>("file: grade", *grade, 0)?;
            known::<v1::FileSystem>("file: file_system", *file_system, 0)?;
            let mode = file.as_ref().map_or(0, |file| file.mode);
            ensure(mode <= FILE_TYPE, || format!("file: {mode:#o} is no mode"))?;
            bytes("file: text", text, TEXT)
        }
        Event::Path(it) => {
            let v1::PathEvent { actor: _, call: of, from, to, text } = it;
            call("path", of.as_ref())?;
            [from, to].into_iter().flatten().try_for_each(named)?;
            bytes("path: text", text, TEXT)
        }
        Event::Call(it) => {
            let v1::CallEvent { call: of, target, text: given, bpf, .. } = it;
            call("call", of.as_ref())?;
            if target.is_some() {
                process_id("call: target", target.as_ref())?;
            }
            bytes("call: text", given, TEXT)?;
            let Some(bpf) = bpf else { return Ok(()) };
            text("bpf: command", &bpf.command, NAME)?;
            bytes("bpf: name", &bpf.name, NAME)
        }
        Event::Socket(it) => {
            let v1::SocketEvent { actor: _, call: of, socket: at, grade, given, given_grade } = it;
            call("socket", of.as_ref())?;
            socket(at.as_ref())?;
            known::<Grade>("socket: grade", *grade, 0)?;
            known::<Grade>("socket: given_grade", *given_grade, 0)?;
            address(given.as_ref())
        }
        Event::SocketState(it) => {
            socket(it.socket.as_ref())?;
            optional_id("socket_state", it.container_id.as_deref())
        }
        Event::Packet(it) => packet(it),
        Event::UringDone(it) => it.call.as_ref().map_or(Ok(()), |it| call("uring_done", Some(it))),
        Event::Sysctl(it) => {
            bytes("sysctl: name", &it.name, PATH)?;
            bytes("sysctl: value", &it.value, TEXT)
        }
        _ => Ok(()),
    }
}

fn actor(actor: &v1::Actor) -> Checked {
    if actor.process.is_some() {
        process_id("actor", actor.process.as_ref())?;
    }
    optional_id("actor", actor.container_id.as_deref())
}

fn call(what: &str, call: Option<&v1::Call>) -> Checked {
    let Some(v1::Call { name, abi, via, args, .. }) = call else {
        return ensure(false, || format!("{what}: expected a call"));
    };
    text("call: name", name, NAME)?;
    known::<CallAbi>("call: abi", *abi, 1)?;
    known::<CallVia>("call: via", *via, 0)?;
    at_most("call: args", args.len(), ARGS)
}

fn named(path: &v1::NamedPath) -> Checked {
    bytes("path", &path.path, PATH)?;
    bytes("path: name", &path.name, PATH)?;
    known::<Grade>("path: grade", path.grade, 0)
}

fn packet(packet: &v1::PacketEvent) -> Checked {
    socket(packet.socket.as_ref())?;
    optional_id("packet", packet.container_id.as_deref())?;
    known::<v1::Payload>("packet: payload", packet.payload, 0)?;
    bytes("packet: server_name", &packet.server_name, NAME)?;
    let Some(v1::Dns { questions, answers, .. }) = &packet.dns else { return Ok(()) };
    at_most("dns: questions", questions.len(), DNS_ENTRIES)?;
    at_most("dns: answers", answers.len(), DNS_ENTRIES)?;
    questions.iter().try_for_each(|question| bytes("dns: name", &question.name, NAME))?;
    answers.iter().try_for_each(|answer| {
        bytes("dns: name", &answer.name, NAME)?;
        text("dns: ip", &answer.ip, NAME)?;
        bytes("dns: target", &answer.target, NAME)
    })
}

fn socket(socket: Option<&v1::Socket>) -> Checked {
    let Some(socket) = socket else { return Ok(()) };
    address(socket.local.as_ref())?;
    address(socket.peer.as_ref())?;
    bytes("socket: path", &socket.path, NAME)
}

pub(super) fn address(address: Option<&v1::Address>) -> Checked {
    let Some(v1::Address { ip, path, .. }) = address else { return Ok(()) };
    text("address: ip", ip, NAME)?;
    bytes("address: path", path, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> v1::FileEvent {
        let call = v1::Call { name: "openat".into(), abi: CallAbi::Native.into(), ..v1::Call::default() };
        let process = Some(v1::ProcessId { start_ticks: 1, tgid: 7, exec_id: None });
        let actor = Some(v1::Actor { process, ..v1::Actor::default() });
        v1::FileEvent { actor, call: Some(call), ..v1::FileEvent::default() }
    }

    fn holds(change: impl FnOnce(&mut v1::FileEvent)) -> bool {
        let mut file = opened();
        change(&mut file);
        event(&Event::File(file)).is_ok()
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(holds(|_| {}));
        assert!(holds(|file| file.actor = None));
        assert!(holds(|file| file.grade = Grade::FdRaced.into()));
        assert!(!holds(|file| file.grade = 99));
        assert!(!holds(|file| file.call = None));
        assert!(!holds(|file| file.call.as_mut().unwrap().args = vec![0; 7]));
        assert!(!holds(|file| file.path = vec![b'x'; PATH + 1].into()));
        assert!(!holds(|file| file.actor.as_mut().unwrap().container_id = Some("x\x1b".into())));
        assert!(!holds(|file| file.actor.as_mut().unwrap().process.as_mut().unwrap().tgid = 0));
        let dns = v1::Dns { answers: vec![v1::DnsAnswer::default(); DNS_ENTRIES + 1], ..v1::Dns::default() };
        let packet = v1::PacketEvent { dns: Some(dns), ..v1::PacketEvent::default() };
        assert!(event(&Event::Packet(packet)).is_err());
    }
}
