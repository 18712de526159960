//! What a peer says of its objects before it is asked.

use std::collections::HashMap;
use std::sync::Arc;

use crate::boxing;
use crate::brine::{self, DecodeError, Reader};
use crate::limits::Limits;
use crate::refs::{IdPack, PackRef};
use crate::world::World;

/// Bytes of the longest DESCRIBE that is sent and used. As an answer to INSPECT, what it says may be longer.
pub(crate) const LONGEST: usize = 64 * 1024;

/// What INSPECT would answer about an object, sent ahead of it.
#[derive(Debug)]
pub struct Description {
    brine: Box<[u8]>,
    limits: Arc<Limits>,
}

impl Description {
    /// Builds the methods.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn methods<W: World>(&self, world: &W) -> Result<W::Object, W::Error> {
        brine::read(world, &mut Reader::new(&self.brine, &self.limits))
    }
}

/// Descriptions that the peer has sent and nobody has taken, by the name and number of the class.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    kept: HashMap<(Arc<str>, i64), Box<[u8]>>,
    size: usize,
}

impl Descriptions {
    /// Keeps the one that a reader stands before, in the arguments of a DESCRIBE; unless there is so much already that it would
    /// go beyond `max_class_memory`. Then the peer is asked, as if it had said nothing.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, limits: &Limits) -> Result<(), DecodeError> {
        const WHAT: &str = "a description (id pack, methods)";
        boxing::enter_value(reader)?;
        if reader.tuple(WHAT)? != 2 {
            return Err(DecodeError::Expected { expected: WHAT });
        }
        let pack = PackRef::read(reader)?.to_owned();
        let start = reader.position();
        brine::skip(reader)?;
        let brine: Box<[u8]> = reader.since(start).into();
        self.keep(pack, brine, limits.max_class_memory);
        Ok(())
    }

    fn keep(&mut self, pack: IdPack, brine: Box<[u8]>, most: usize) {
        let size = Self::size_of(&pack, &brine);
        if self.size.saturating_add(size) <= most && !self.kept.contains_key(&(pack.name.clone(), pack.class))
        {
            self.size += size;
            self.kept.insert((pack.name, pack.class), brine);
        }
    }

    pub(crate) fn take(&mut self, pack: &IdPack, limits: &Arc<Limits>) -> Option<Description> {
        let brine = self.kept.remove(&(pack.name.clone(), pack.class))?;
        self.size -= Self::size_of(pack, &brine);
        Some(Description { brine, limits: limits.clone() })
    }

    fn size_of(pack: &IdPack, brine: &[u8]) -> usize {
        size_of::<((Arc<str>, i64), Box<[u8]>)>() + pack.name.len() + brine.len()
    }
}
