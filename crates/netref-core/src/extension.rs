//! What netref peers offer each other beyond stock RPyC.
//!
//! The initiator sends a HELLO request together with its first request, so the offer costs no round trip. A netref peer
//! answers with what it offers itself; a stock peer answers that it knows no such handler, which means "nothing".

use crate::brine::{DecodeError, EncodeError, Reader, Writer};

/// Handler number of HELLO: `"nr"` in ASCII, far from stock's numbers.
pub const HELLO: i64 = 0x6e72;

/// Version of the HELLO arguments.
const FORMAT: i64 = 1;

/// Handler number of COPY, `(object,)`: a copy of an object of the receiver's, for peers that both have
/// [`Features::copies`].
pub const COPY: i64 = 0x6e74;

/// Handler number of DESCRIBE, `(id pack, methods)`: what INSPECT would answer about an object that the sender is about to name
/// for the first time. It is itself not answered.
pub const DESCRIBE: i64 = 0x6e75;

/// What a peer announces about itself: `(1, software, features)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Software and version, such as `"netref 0.1.0"`.
    pub software: String,
    /// What it understands.
    pub features: Features,
}

/// A set of extensions. Names that this version does not know are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Requests may say which request of the peer they are made for: `(handler, args, parent)`.
    pub chain: bool,
    /// A DEL with the sequence number -1 gets no answer.
    pub quiet_del: bool,
    /// Requests AHEAD are answered.
    pub ahead: bool,
    /// Boxes may hold [copies](crate::copy), and COPY asks for one.
    pub copies: bool,
    /// DESCRIBE is understood, whether or not the peer does.
    pub descriptions: bool,
}

impl Features {
    /// Everything that this version understands.
    pub const ALL: Self =
        Self { chain: true, quiet_del: true, ahead: true, copies: true, descriptions: true };
    /// Nothing beyond stock RPyC.
    pub const NONE: Self =
        Self { chain: false, quiet_del: false, ahead: false, copies: false, descriptions: false };
    /// Wire name of [`chain`](Self::chain).
    pub const CHAIN: &'static str = "chain";
    /// Wire name of [`quiet_del`](Self::quiet_del).
    pub const QUIET_DEL: &'static str = "quiet_del";
    /// Wire name of [`copies`](Self::copies).
    pub const COPIES: &'static str = "copies";
    /// Wire name of [`descriptions`](Self::descriptions).
    pub const DESCRIPTIONS: &'static str = "descriptions";
    /// Wire name of [`ahead`](Self::ahead).
    pub const AHEAD: &'static str = "ahead";

    /// Features that both sides have.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            chain: self.chain && other.chain,
            quiet_del: self.quiet_del && other.quiet_del,
            ahead: self.ahead && other.ahead,
            copies: self.copies && other.copies,
            descriptions: self.descriptions && other.descriptions,
        }
    }

    fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        [
            (self.chain, Self::CHAIN),
            (self.quiet_del, Self::QUIET_DEL),
            (self.ahead, Self::AHEAD),
            (self.copies, Self::COPIES),
            (self.descriptions, Self::DESCRIPTIONS),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
    }
}

impl Hello {
    /// This software, offering `features`.
    #[must_use]
    pub fn new(features: Features) -> Self {
        Self { software: concat!("netref ", env!("CARGO_PKG_VERSION")).to_owned(), features }
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let names = self.features.names();
        out.begin_tuple(3)?;
        out.int(FORMAT);
        out.str(&self.software)?;
        out.begin_tuple(names.clone().count())?;
        for name in names {
            out.str(name)?;
        }
        out.end();
        out.end();
        Ok(())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "a HELLO (format, software, features)";
        if reader.tuple(WHAT)? < 3 || reader.int(WHAT)? < FORMAT {
            return Err(DecodeError::Expected { expected: WHAT });
        }
        let software = reader.str(WHAT)?.to_owned();
        let mut features = Features::default();
        for _ in 0..reader.tuple(WHAT)? {
            match reader.str(WHAT)? {
                Features::CHAIN => features.chain = true,
                Features::QUIET_DEL => features.quiet_del = true,
                Features::AHEAD => features.ahead = true,
                Features::COPIES => features.copies = true,
                Features::DESCRIPTIONS => features.descriptions = true,
                _ => {}
            }
        }
        Ok(Self { software, features })
    }
}
