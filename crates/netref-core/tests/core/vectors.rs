//! Frames recorded from stock peers: read by a session in the receiver's place, and written again byte for byte.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use netref_core::boxing::{self, Claimed};
use netref_core::brine::{Reader, skip};
use netref_core::frame::{Compression, Deframer, HEADER_LEN};
use netref_core::message::{Draft, Inbound, Kind, Seq};
use netref_core::refs::IdPack;
use netref_core::registry::{Answer, Command};
use netref_core::request::handlers;
use netref_core::session::{Event, Options};
use netref_core::world::{Reference, World};
use netref_core::{Dialect, Limits, Request, extension};

use crate::brine::{dump, load};
use crate::frames::feed;
use crate::mirror::Mirror;
use crate::oracle::unhex;
use crate::value::{Side, Thing, Value, WorldError};
use crate::wire;

/// Length of what `bind_threads` puts before each payload, which the transport takes off.
const THREAD_NUMBERS: usize = 16;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

/// The lines of a recorded file that hold an item each.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .filter(|line| line.contains("\"hex\"") || line.contains("\"send\""))
        .map(str::to_owned)
        .collect()
}

/// One field of an item; none of those asked for here has an escape in it.
pub(crate) fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let key = format!("\"{name}\": \"");
    let start = line.find(&key).unwrap_or_else(|| panic!("no {name} in {line}")) + key.len();
    &line[start..start + line[start..].find('"').unwrap()]
}

#[test]
fn every_value_has_the_same_bytes_again() {
    let lines = lines(&folder().join("brine.json"));
    assert!(lines.len() > 90);
    for line in lines {
        let bytes = unhex(field(&line, "hex"));
        let value = load(&bytes, &Limits::compat()).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(dump(&value), bytes, "{line}");
    }
}

#[test]
fn every_registry_message_has_the_same_bytes_again() {
    for file in ["registry_udp.json", "registry_tcp.json"] {
        let mut asked = None;
        for line in lines(&folder().join(file)) {
            let bytes = unhex(field(&line, "hex"));
            if field(&line, "from") == "client" {
                let command = Command::from_bytes(&bytes).unwrap();
                assert_eq!(command.to_bytes().unwrap(), bytes, "{line}");
                asked = Some(command);
            } else {
                let answer = Answer::from_bytes(asked.as_ref().unwrap(), &bytes).unwrap();
                assert_eq!(answer.to_bytes().unwrap(), bytes, "{line}");
            }
        }
    }
}

#[test]
fn every_frame_is_read_and_written_again() {
    for dialect in [Dialect::V5, Dialect::V6] {
        let folder = folder().join(format!("{dialect:?}").to_lowercase());
        let mut frames = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("malformed.json") {
                frames += replay(&path, dialect);
            }
        }
        assert!(frames > 1000, "{frames} frames of {dialect:?}");
    }
}

fn replay(path: &Path, dialect: Dialect) -> usize {
    let lines = lines(path);
    let mut replay = Replay::new(dialect);
    let prefix = if path.ends_with("bind_threads.json") { THREAD_NUMBERS } else { 0 };
    for line in &lines {
        let at = format!("{}: {}", path.display(), field(line, "what"));
        let frame = unhex(field(line, "hex"));
        let payloads = feed(&mut Deframer::new(), &frame, usize::MAX, &Limits::compat()).unwrap();
        let from = usize::from(field(line, "from") == "server");
        replay.frame(from, &payloads[0][prefix..], &at);
    }
    lines.len()
}

/// A recorded conversation with a session in each peer's place.
///
/// Stock numbers its objects in its own way, so each reference to one is translated before the receiver sees it, and
/// back before what was written again is compared.
struct Replay {
    dialect: Dialect,
    sides: [Side; 2],
    /// For each side the objects that it lent, by the pack that stock gave them.
    lent: [HashMap<Vec<u8>, Lent>; 2],
    requests: [Seq; 2],
    /// What the sessions answered by themselves.
    answers: HashMap<(usize, Seq), Vec<u8>>,
    /// Everything received: a proxy that died would give its references back, which the recorded peers do themselves.
    results: Vec<Value>,
    asked: Vec<Request<Value>>,
}

struct Lent {
    thing: Rc<Thing>,
    /// The brine of the pack that the session here gave it.
    ours: Vec<u8>,
}

impl Replay {
    fn new(dialect: Dialect) -> Self {
        let side = |dialect| {
            Side::new(Options {
                limits: Limits::compat(),
                dialect,
                compression: Compression::Off,
                features: extension::Features::NONE,
                ..Options::default()
            })
        };
        Self {
            dialect,
            sides: [side(Some(dialect)), side(None)],
            lent: [HashMap::new(), HashMap::new()],
            requests: [0, 0],
            answers: HashMap::new(),
            results: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn frame(&mut self, from: usize, payload: &[u8], at: &str) {
        let to = 1 - from;
        let outline = Outline::read(self.dialect, payload);
        self.lend(from, &outline.lent);
        if outline.kind == Kind::Request {
            self.expect_reply(from, outline.seq, at);
        } else if let Some(answer) = self.answers.remove(&(from, outline.seq)) {
            let same_kind = Outline::read(self.dialect, &answer).kind == outline.kind;
            assert!(
                same_kind && (answer == payload || outline.kind == Kind::Exception),
                "{at}: {answer:02x?}"
            );
        }
        let translated = self.lent[to]
            .iter()
            .fold(payload.to_vec(), |bytes, (stock, lent)| replace(&bytes, stock, &lent.ours));
        match self.sides[to].accept(translated).unwrap_or_else(|error| panic!("{at}: {error}")) {
            Event::Request(message) => self.write_again(to, message, payload, at),
            Event::Reply { message, .. } => {
                let message = message.unwrap_or_else(|error| panic!("{at}: {error}"));
                self.write_again(to, message, payload, at);
            }
            Event::Handled | Event::Close => {
                assert_eq!(outline.kind, Kind::Request, "{at}: a reply that nobody awaited");
                let answer = self.sides[to].payloads().pop().unwrap_or_else(|| panic!("{at}: no answer"));
                // A stock server does not know a HELLO.
                if outline.handler != extension::HELLO {
                    self.answers.insert((to, outline.seq), answer);
                }
            }
        }
    }

    /// Has the sender lend what it refers to, as the stock peer did.
    fn lend(&mut self, side: usize, packs: &[IdPack]) {
        for pack in packs {
            let make = || match pack.is_class() {
                true => self.sides[side].class(&pack.name),
                false => self.sides[side].thing(&pack.name),
            };
            let lent = self.lent[side].entry(wire::pack(pack));
            let lent = lent.or_insert_with(|| Lent { thing: make(), ours: Vec::new() });
            match self.sides[side].refer(&Value::Thing(lent.thing.clone())).unwrap() {
                Reference::Lent(ours) => lent.ours = wire::pack(&ours),
                Reference::Theirs(_) => unreachable!("it is the sender's own"),
            }
        }
    }

    /// Has the sender's session wait for the reply to `seq`.
    fn expect_reply(&mut self, side: usize, seq: Seq, at: &str) {
        let mut session = self.sides[side].session.borrow_mut();
        while self.requests[side] <= seq {
            let mut request = session.start_request(handlers::GETROOT, None);
            request.boxer(&Limits::compat()).no_arguments().unwrap();
            self.requests[side] = request.seq() + 1;
            session.send_request(request.seal().unwrap(), 0).unwrap();
        }
        assert!(session.token(seq).is_some(), "{at}: the number is used twice");
        while session.take_output().is_some() {}
    }

    /// Reads the message, writes it again in the sender's place, and compares.
    fn write_again(&mut self, to: usize, mut message: Inbound<Rc<Thing>>, recorded: &[u8], at: &str) {
        let side = &self.sides[to];
        let seq = message.seq();
        let again = match message.kind() {
            Kind::Request => {
                let request =
                    Request::read(side, &mut message).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert!(!matches!(request, Request::Other { .. }), "{at}: {request:?}");
                let mut again = self.request(to, seq, &request);
                if let Some(shorter) = without_kwargs(&request).filter(|_| again != recorded) {
                    again = self.request(to, seq, &shorter);
                }
                self.asked.push(request);
                again
            }
            Kind::Reply => {
                let result = message.result(side).unwrap();
                let draft = Draft::reply(self.dialect, seq);
                let again = self.finish(to, draft, |mirror, boxer| boxer.object(mirror, &result));
                self.results.push(result);
                again
            }
            Kind::Exception => {
                let exception = message.exception(side).unwrap();
                let draft = Draft::exception(self.dialect, seq);
                self.finish(to, draft, |mirror, boxer| exception.write(mirror, &mut boxer.out))
            }
        };
        assert!(again == recorded, "{at}:\n  {recorded:02x?}\n  {again:02x?}");
    }

    fn request(&self, to: usize, seq: Seq, request: &Request<Value>) -> Vec<u8> {
        let draft = Draft::request(self.dialect, seq, request.handler(), None);
        self.finish(to, draft, |mirror, boxer| request.write(mirror, boxer))
    }

    /// The payload of a message to side `to`, with objects of that side under stock's names.
    fn finish(
        &self,
        to: usize,
        mut draft: Draft,
        write: impl FnOnce(&Mirror<'_>, &mut boxing::Boxer<'_>) -> Result<(), WorldError>,
    ) -> Vec<u8> {
        write(&Mirror(&self.sides[to]), &mut draft.boxer(&Limits::compat())).unwrap();
        let frame = draft.seal(Compression::Off).into_vec().unwrap();
        let payload = frame[HEADER_LEN..frame.len() - 1].to_vec();
        self.lent[to].iter().fold(payload, |bytes, (stock, lent)| replace(&bytes, &lent.ours, stock))
    }
}

/// The same call in the other form that peers use where there are no keyword arguments.
fn without_kwargs(request: &Request<Value>) -> Option<Request<Value>> {
    let args = match request {
        Request::Call { object, args, .. } => vec![object.clone(), args.clone()],
        Request::CallAttr { object, name, args, .. } => vec![object.clone(), name.clone(), args.clone()],
        _ => return None,
    };
    Some(Request::Other { handler: request.handler(), args })
}

/// What a message is and which objects it lends, read without a session.
pub(crate) struct Outline {
    kind: Kind,
    seq: Seq,
    handler: i64,
    lent: Vec<IdPack>,
}

impl Outline {
    /// What a message is, whatever is in it.
    pub(crate) fn kind(dialect: Dialect, payload: &[u8]) -> Kind {
        let number = if dialect == Dialect::V6 { payload[0] } else { payload[1] - 0x50 };
        [Kind::Request, Kind::Reply, Kind::Exception][usize::from(number) - 1]
    }

    fn read(dialect: Dialect, payload: &[u8]) -> Self {
        let limits = Limits::compat();
        let after_kind = if dialect == Dialect::V6 { &payload[1..] } else { payload };
        let mut reader = Reader::new(after_kind, &limits);
        reader.tuple("a message").unwrap();
        let number =
            if dialect == Dialect::V6 { i64::from(payload[0]) } else { reader.int("a kind").unwrap() };
        let kind = [Kind::Request, Kind::Reply, Kind::Exception][usize::try_from(number - 1).unwrap()];
        let seq = reader.int("a number").unwrap();
        let mut handler = 0;
        let mut claims = Vec::new();
        if kind == Kind::Request {
            reader.tuple("a request").unwrap();
            handler = reader.int("a handler").unwrap();
        }
        if kind == Kind::Exception {
            skip(&mut reader).unwrap();
        } else {
            boxing::scan(&mut reader, &|_| Some(()), &mut claims).unwrap();
        }
        reader.finish().unwrap();
        let lent = claims.into_iter().filter_map(|claim| match claim.claimed {
            Claimed::Peer(pack) => Some(pack),
            Claimed::Own(()) => None,
        });
        Self { kind, seq, handler, lent: lent.collect() }
    }
}

/// Brine holds no lengths of what it nests, so that one value can take another's place.
fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(old) {
            replaced.extend_from_slice(new);
            rest = after;
        } else {
            replaced.push(byte);
            rest = &rest[1..];
        }
    }
    replaced
}
