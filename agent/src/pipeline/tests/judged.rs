//! What rules see of calls that change who did them, of opens by a ring, and of programs whose file is gone.

use ::rules::{compile::Matching, load::Config};
use agent_abi::{
    interest::ABI_URING,
    map::{RING_BULK, RING_CRITICAL},
    record::{Exec, PENDING, PathCall, PathRef, Span, Syscall, kind},
    uring::position,
};

use super::{raw::record as bytes, *};
use crate::detect::{Detection, RuleSet, Text, Users};

const RULES: &str = "
- rule: Became root
  desc: by a call
  condition: evt.type = setuid and evt.arg.uid = 0 and user.uid != 0
  output: uid=%user.uid to=%evt.arg.uid
  priority: NOTICE
- rule: Written through a ring
  desc: by an operation
  condition: evt.type = openat and evt.via_io_uring = true and evt.is_open_write = true and not fd.num exists
  output: file=%fd.name flags=%evt.arg.flags
  priority: NOTICE
- rule: File gone
  desc: of a program
  condition: evt.type = execve and proc.exepath contains deleted
  output: exe=%proc.exepath
  priority: NOTICE
";
/// `setuid`, and `IORING_OP_OPENAT`.
const SETUID: u32 = 105;
const OPERATION_OPENAT: u32 = 18;
/// `O_WRONLY | O_CREAT`.
const WRITES: u64 = 0o101;

impl Node {
    fn judging() -> Self {
        let mut node = Self::new(Processes::Off);
        let text = Text::new("rules.yaml", RULES);
        let rules = RuleSet::load(&[text], &Config::default(), Matching::All).unwrap();
        node.say(Message::Rules { rules: Arc::new(rules), users: Arc::new(Users::default()) });
        node
    }

    fn outputs_of_all(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Ok(outgoing) = self.changes.try_recv() {
            if let Outgoing::Detection(detection) = outgoing {
                let Detection { rule, output, .. } = *detection;
                found.push(format!("{}: {output}", rule.name));
            }
        }
        found
    }

    fn setuid(&mut self, state: TaskState, uid: u32) {
        let len = size_of::<record::Credentials>();
        let header = self.raw_header(kind::CREDENTIALS, RING_CRITICAL, len);
        let args = [u64::from(uid), 0, 0];
        let call = record::Credentials { header, state, args, syscall: SETUID, ..Default::default() };
        self.take(&bytes(&call, &[]), len);
    }

    fn ring_open(&mut self, pid: u32, path: &[u8], flags: u64) {
        let fixed = size_of::<PathCall>();
        let len = fixed + path.len();
        let name = Span { offset: u16::try_from(fixed).unwrap(), len: u16::try_from(path.len()).unwrap() };
        let mut call = Syscall { result: PENDING, ..self.call(pid, 1, ABI_URING, OPERATION_OPENAT) };
        call.args[usize::from(position::FLAGS)] = flags;
        let header = self.raw_header(kind::PATH, RING_BULK, len);
        let from = PathRef { name, ..PathRef::default() };
        self.take(&bytes(&PathCall { header, call, from, ..PathCall::default() }, path), len);
    }

    fn exec_of(&mut self, state: TaskState, path: &[u8], flags: u32) {
        let fixed = size_of::<Exec>();
        let len = fixed + path.len();
        let path_span =
            Span { offset: u16::try_from(fixed).unwrap(), len: u16::try_from(path.len()).unwrap() };
        let header = self.raw_header(kind::EXEC, RING_CRITICAL, len);
        let exe = FileRef { flags, inode: 9, path: path_span, ..FileRef::default() };
        self.take(&bytes(&Exec { header, state, exe, ..Exec::default() }, path), len);
    }
}

fn of_user(euid: u32, exec_id: u64) -> TaskState {
    let mut state = TaskState { exec_id, ..state(50, 11, HOST_MNT, 1) };
    (state.ids.uid, state.ids.euid) = (euid, euid);
    state
}

#[test]
fn who_called_is_who_it_was_before_the_call() {
    let mut node = Node::judging();
    node.fork(of_user(1000, 1));
    node.setuid(of_user(0, 1), 0);
    assert_eq!(node.outputs_of_all(), ["Became root: uid=1000 to=0"]);
    node.setuid(of_user(0, 1), 0);
    assert_eq!(node.outputs_of_all(), Vec::<String>::new(), "it was root already");
}

#[test]
fn an_open_by_a_ring_has_its_flags_and_no_descriptor_yet() {
    let mut node = Node::judging();
    node.fork(of_user(0, 1));
    node.ring_open(50, b"/etc/shadow", WRITES);
    node.ring_open(50, b"/etc/passwd", 0);
    let told = node.outputs_of_all();
    assert_eq!(told, ["Written through a ring: file=/etc/shadow flags=O_WRONLY|O_CREAT"], "the other reads");
}

#[test]
fn a_program_whose_file_is_gone_is_shown_so() {
    let mut node = Node::judging();
    node.fork(of_user(0, 1));
    node.exec_of(of_user(0, 2), b"/tmp/x", file_flag::UNLINKED);
    assert_eq!(node.outputs_of_all(), ["File gone: exe=/tmp/x (deleted)"]);
    node.exec_of(of_user(0, 3), b"/tmp/x", 0);
    // A memfd never had a name.
    node.exec_of(of_user(0, 4), b"/memfd:x", file_flag::UNLINKED | file_flag::MEMFD);
    assert_eq!(node.outputs_of_all(), Vec::<String>::new());
}
