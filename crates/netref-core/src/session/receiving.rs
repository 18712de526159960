//! What a session does with messages of the peer.

use super::{Admission, Event, NONE, Offer, Pending, ProtocolError, QUIET_SEQ, Session};
use crate::boxing::{self, ScanError};
use crate::brine::{self, DecodeError, Token};
use crate::description;
use crate::extension::{DESCRIBE, HELLO, Hello};
use crate::limits::Limits;
use crate::memory::OutOfMemory;
use crate::message::{ClaimQueue, Head, Inbound, Kind, Seq};
use crate::payload::Payload;
use crate::refs::ReleaseError;
use crate::request::handlers;
use crate::threads::Threads;
use crate::unbegun::Waiting;

impl<O: Clone, T> Session<O, T> {
    pub(super) fn accept_request(
        &mut self,
        head: Head,
        payload: Payload,
        threads: Option<Threads>,
    ) -> Result<Event<O, T>, ProtocolError> {
        match self.scan_request(&head, &payload) {
            Ok(request) => self.dispatch(&head, payload, request, threads),
            Err(ScanError::Malformed(error)) => {
                self.count_error(&error)?;
                self.refuse(head.seq, class_of(&error), &error.to_string());
                Ok(Event::Handled)
            }
            Err(error @ (ScanError::UnknownReference { .. } | ScanError::UnknownHandler(_))) => {
                self.refuse(head.seq, "KeyError", &error.to_string());
                Ok(Event::Handled)
            }
        }
    }

    fn dispatch(
        &mut self,
        head: &Head,
        payload: Payload,
        request: Scanned<O>,
        threads: Option<Threads>,
    ) -> Result<Event<O, T>, ProtocolError> {
        let Scanned { handler, body, parent, claims, cost } = request;
        match handler {
            handlers::DEL => self.accept_release(head.seq, &payload, body),
            handlers::CLOSE => {
                self.answer_value(head.seq, &[NONE]);
                return Ok(Event::Close);
            }
            HELLO => self.accept_hello(head.seq, &payload, body),
            DESCRIBE if self.offered().descriptions => self.accept_description(head.seq, &payload, body),
            handlers::PING if self.echo(head.seq, &payload, body) => {}
            _ if self.admission != Admission::Open && parent.is_none() && !self.awaits_reply() => {
                if self.admission == Admission::Refusing {
                    self.counters.refused += 1;
                    self.refuse(head.seq, "RuntimeError", "the server is shutting down");
                }
            }
            _ => {
                let depth = parent.and_then(|seq| self.pending.get(&seq)).map(Pending::depth_inside);
                let room = self.check_room(depth).and_then(|()| {
                    let held = self.store.map_or(Ok(None), |store| store.hold(cost));
                    held.map_err(|OutOfMemory| {
                        ("MemoryError", "other requests hold the memory that there is".to_owned())
                    })
                });
                let held = match room {
                    Ok(held) => held,
                    Err((class, text)) => {
                        self.counters.refused += 1;
                        self.refuse(head.seq, class, &text);
                        return Ok(Event::Handled);
                    }
                };
                self.counters.requests_received += 1;
                let Head { kind, seq, .. } = *head;
                let limits = self.limits.clone();
                let waiting = Some(Waiting::new(&self.unbegun, payload.len()));
                self.inflight += 1;
                self.nested.extend(depth.map(|depth| (seq, depth)));
                return Ok(Event::Request(Inbound {
                    kind,
                    seq,
                    handler,
                    parent,
                    thread: threads.map(|threads| threads.to),
                    depth: depth.unwrap_or(0),
                    payload,
                    body,
                    claims,
                    limits,
                    waiting,
                    held,
                }));
            }
        }
        Ok(Event::Handled)
    }

    /// Whether one more request can be taken that is inside of so many calls: if not, the exception and its text.
    fn check_room(&self, depth: Option<usize>) -> Result<(), (&'static str, String)> {
        let Limits { max_call_depth, max_backlog, .. } = *self.limits;
        if depth.is_some_and(|depth| depth >= max_call_depth) {
            let text =
                format!("{max_call_depth} calls are under way, each inside another (limit max_call_depth)");
            return Err(("RecursionError", text));
        }
        // Where no reply is awaited, the driver stops reading: this one had been read before.
        if self.has_full_backlog() && self.awaits_reply() {
            let text =
                format!("busy: requests that wait take {max_backlog} bytes already (limit max_backlog)");
            return Err(("RuntimeError", text));
        }
        Ok(())
    }

    fn scan_request(&self, head: &Head, payload: &Payload) -> Result<Scanned<O>, ScanError> {
        const WHAT: &str = "a request (handler, args)";
        let mut reader = brine::Reader::of(payload, &self.limits);
        reader.seek(head.body);
        let parts = reader.tuple(WHAT)?;
        if !(2..=3).contains(&parts) {
            return Err(DecodeError::Expected { expected: WHAT }.into());
        }
        let (handler, name) = match reader.next()? {
            Token::Int(number) => (number, None),
            // No number at all: it is refused, but only when what it refers to has been given back.
            Token::Str(name) => (0, Some(name)),
            _ => return Err(DecodeError::Expected { expected: "a handler number" }.into()),
        };
        let body = reader.position();
        let mut claims = Vec::new();
        let outcome = if handler == handlers::DEL {
            // The table itself answers for a DEL; keeping its object alive for the message would defeat it.
            boxing::read_release(&mut reader).map(drop).map_err(ScanError::from)
        } else {
            boxing::scan(&mut reader, &|pack| self.exports.get(pack).cloned(), &mut claims)
        };
        // From here on, whatever happens, references in the message are either used or given back.
        let claims = ClaimQueue::new(claims, self.releases.clone());
        outcome?;
        let parent = if parts == 3 { Some(reader.int("the number of a parent request")?) } else { None };
        reader.finish()?;
        reader.check_memory()?;
        if let Some(name) = name {
            return Err(ScanError::UnknownHandler(name.to_owned()));
        }
        Ok(Scanned { handler, body, parent, claims, cost: reader.cost() })
    }

    pub(super) fn accept_reply(
        &mut self,
        head: Head,
        payload: Payload,
    ) -> Result<Event<O, T>, ProtocolError> {
        let seq = head.seq;
        let pending = self.pending.remove(&seq);
        let was_abandoned = self.abandoned.remove(&seq);
        // A reply to nothing is not even looked at, unless it may be to a call so old that it is forgotten.
        if pending.is_none() && !was_abandoned && self.abandoned.first().is_none_or(|oldest| seq > *oldest) {
            return Ok(Event::Handled);
        }
        let message = self.scan_reply(head, payload);
        if let Err(ScanError::Malformed(error)) = &message
            && let Err(fatal) = self.count_error(error)
        {
            // The call ends with the connection, like all the others.
            self.pending.extend(pending.map(|pending| (seq, pending)));
            return Err(fatal);
        }
        match pending {
            Some(Pending::Call { token, .. }) => {
                self.counters.replies_received += 1;
                return Ok(Event::Reply { token, message });
            }
            Some(Pending::Hello) => self.accept_hello_reply(message.ok()),
            // Whatever references it carries go back as it is dropped.
            None => {}
        }
        Ok(Event::Handled)
    }

    fn scan_reply(&self, head: Head, payload: Payload) -> Result<Inbound<O>, ScanError> {
        let mut reader = brine::Reader::of(&payload, &self.limits);
        reader.seek(head.body);
        let mut claims = Vec::new();
        let outcome = if head.kind == Kind::Reply {
            boxing::scan(&mut reader, &|pack| self.exports.get(pack).cloned(), &mut claims)
        } else {
            brine::skip(&mut reader).map_err(ScanError::from)
        };
        let claims = ClaimQueue::new(claims, self.releases.clone());
        outcome?;
        reader.finish()?;
        reader.check_memory()?;
        let Head { kind, seq, body } = head;
        let limits = self.limits.clone();
        let (thread, waiting, held) = (None, None, None);
        Ok(Inbound {
            kind,
            seq,
            handler: 0,
            parent: None,
            thread,
            depth: 0,
            payload,
            body,
            claims,
            limits,
            waiting,
            held,
        })
    }

    fn accept_release(&mut self, seq: Seq, payload: &Payload, body: usize) {
        let is_quiet = self.features.quiet_del && seq == QUIET_SEQ;
        if is_quiet {
            self.answered(seq);
        }
        let mut reader = brine::Reader::of(payload, &self.limits);
        reader.seek(body);
        let outcome = match boxing::read_release(&mut reader) {
            Ok((pack, count)) => self.exports.take_back(pack, count),
            // `scan_request` has read the same bytes.
            Err(_) => return,
        };
        match outcome {
            Ok(object) => {
                self.garbage.extend(object);
                if !is_quiet {
                    self.answer_value(seq, &[NONE]);
                }
            }
            Err(_) if is_quiet => {}
            Err(error @ ReleaseError::BadCount(_)) => self.refuse(seq, "ValueError", &error.to_string()),
            Err(error) => self.refuse(seq, "KeyError", &error.to_string()),
        }
    }

    fn accept_description(&mut self, seq: Seq, payload: &Payload, body: usize) {
        self.answered(seq);
        if payload.len() > description::LONGEST {
            return;
        }
        let mut reader = brine::Reader::of(payload, &self.limits);
        reader.seek(body);
        // What cannot be used is not kept: the peer will be asked.
        let _ = self.descriptions.read(&mut reader, &self.limits);
    }

    /// Answers a PING whose data is plain, without building it.
    fn echo(&mut self, seq: Seq, payload: &Payload, body: usize) -> bool {
        // It is answered from one piece.
        if payload.landed.is_some() {
            return false;
        }
        let mut reader = brine::Reader::of(payload, &self.limits);
        reader.seek(body);
        if !matches!(boxing::enter_single_value(&mut reader), Ok(true)) {
            return false;
        }
        let start = reader.position();
        if brine::skip(&mut reader).is_err() {
            return false;
        }
        self.answer_value(seq, reader.since(start));
        true
    }

    fn accept_hello(&mut self, seq: Seq, payload: &Payload, body: usize) {
        let mut reader = brine::Reader::of(payload, &self.limits);
        reader.seek(body);
        let hello = match boxing::enter_value(&mut reader) {
            Ok(()) => Hello::read(&mut reader),
            Err(error) => Err(error),
        };
        match hello {
            Ok(hello) => {
                let ours = self.offered();
                self.features = ours.intersection(hello.features);
                self.peer = Some(hello);
                self.offer = Offer::Made(ours);
                let mut answer = Vec::new();
                let written = Hello::new(ours).write(&mut brine::Writer::new(&mut answer, &self.limits));
                debug_assert!(written.is_ok(), "a HELLO is within every limit");
                self.answer_value(seq, &answer);
            }
            Err(error) => self.refuse(seq, "ValueError", &error.to_string()),
        }
    }

    fn accept_hello_reply(&mut self, message: Option<Inbound<O>>) {
        let Some(message) = message.filter(|message| message.kind == Kind::Reply) else { return };
        let mut reader = message.reader();
        if boxing::enter_value(&mut reader).is_ok()
            && let Ok(hello) = Hello::read(&mut reader)
        {
            self.features = self.offered().intersection(hello.features);
            self.peer = Some(hello);
        }
    }
}

impl<T> Pending<T> {
    /// How many calls a request that is part of this one is inside of.
    fn depth_inside(&self) -> usize {
        match self {
            Self::Call { depth, .. } => depth + 1,
            Self::Hello => 0,
        }
    }
}

struct Scanned<O> {
    handler: i64,
    body: usize,
    parent: Option<Seq>,
    claims: ClaimQueue<O>,
    cost: usize,
}

/// The built-in exception that tells a peer what was wrong with its message.
fn class_of(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooDeep { .. } => "RecursionError",
        DecodeError::OverBudget { .. } | DecodeError::OutOfMemory { .. } => "MemoryError",
        _ => "ValueError",
    }
}
