//! Exceptions as data: `((module, class), args, attributes, traceback text)`, or the int 1 for `StopIteration`.

use crate::brine::{self, DecodeError, EncodeError, Reader, Token, Writer};
use crate::limits::Limits;
use crate::world::World;

/// How `StopIteration` travels.
const STOP_ITERATION: i64 = 1;

/// An exception on its way over the wire.
///
/// Every object in it is plain data: the side that raised it replaces anything else by its `repr`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExceptionData<T> {
    /// Module of the exception's class.
    pub module: String,
    /// Name of the exception's class.
    pub class: String,
    /// The exception's `args`.
    pub args: Vec<T>,
    /// Public attributes, and `_remote_version`.
    pub attributes: Vec<(String, T)>,
    /// Traceback on the side that raised it.
    pub traceback: String,
}

impl<T> ExceptionData<T> {
    /// An exception of a built-in class with no attributes.
    #[must_use]
    pub fn builtin(class: &str, args: Vec<T>) -> Self {
        Self {
            module: "builtins".to_owned(),
            class: class.to_owned(),
            args,
            attributes: Vec::new(),
            traceback: String::new(),
        }
    }

    /// `StopIteration`, which ends an iteration rather than reporting a failure.
    #[must_use]
    pub fn stop_iteration() -> Self {
        Self::builtin("StopIteration", Vec::new())
    }

    /// True for `StopIteration`.
    #[must_use]
    pub fn is_stop_iteration(&self) -> bool {
        self.class == "StopIteration" && self.module == "builtins"
    }

    /// Writes the exception. `StopIteration` loses its arguments, as stock's does.
    ///
    /// # Errors
    /// What the world refuses to write. An item that is not plain data is an error of the caller's.
    pub fn write<W: World<Object = T>>(&self, world: &W, out: &mut Writer<'_>) -> Result<(), W::Error> {
        if self.is_stop_iteration() {
            out.int(STOP_ITERATION);
            return Ok(());
        }
        out.begin_tuple(4)?;
        out.begin_tuple(2)?;
        out.str(&self.module)?;
        out.str(&self.class)?;
        out.end();
        out.begin_tuple(self.args.len())?;
        for item in &self.args {
            write_plain(world, item, out)?;
        }
        out.end();
        out.begin_tuple(self.attributes.len())?;
        for (name, value) in &self.attributes {
            out.begin_tuple(2)?;
            out.str(name)?;
            write_plain(world, value, out)?;
            out.end();
        }
        out.end();
        out.str(&self.traceback)?;
        out.end();
        Ok(())
    }

    /// Reads an exception: of its traceback and attributes as much as the limits allow, the rest is left out.
    ///
    /// # Errors
    /// If the bytes are not one, or what the world refuses to build.
    pub fn read<W: World<Object = T>>(
        world: &W,
        reader: &mut Reader<'_>,
        limits: &Limits,
    ) -> Result<Self, W::Error> {
        const WHAT: &str = "an exception ((module, class), args, attributes, traceback)";
        let expected = || W::Error::from(DecodeError::Expected { expected: WHAT });
        match reader.next()? {
            Token::Int(STOP_ITERATION) => return Ok(Self::stop_iteration()),
            Token::Tuple(4) => {}
            _ => return Err(expected()),
        }
        // Each level counts towards the limit, as it does in `write`: what was read can be passed on.
        reader.enter()?;
        if reader.tuple(WHAT)? != 2 {
            return Err(expected());
        }
        let module = reader.str("the module of an exception")?.to_owned();
        let class = reader.str("the class of an exception")?.to_owned();
        let count = reader.tuple("the arguments of an exception")?;
        reader.enter()?;
        let args = (0..count).map(|_| brine::read(world, reader)).collect::<Result<_, _>>()?;
        reader.leave();
        let mut attributes = Vec::new();
        let count = reader.tuple("the attributes of an exception")?;
        reader.enter()?;
        for index in 0..count {
            if reader.tuple("an attribute (name, value)")? != 2 {
                return Err(expected());
            }
            reader.enter()?;
            let name = reader.str("the name of an attribute")?;
            if index < limits.max_exception_attributes {
                attributes.push((name.to_owned(), brine::read(world, reader)?));
            } else {
                brine::skip(reader)?;
            }
            reader.leave();
        }
        reader.leave();
        let traceback = reader.str("a traceback text")?;
        reader.leave();
        let mut ends = (0..=limits.max_traceback.min(traceback.len())).rev();
        let end = ends.find(|&end| traceback.is_char_boundary(end)).unwrap_or_default();
        let traceback = traceback[..end].to_owned();
        Ok(Self { module, class, args, attributes, traceback })
    }
}

fn write_plain<W: World>(world: &W, item: &W::Object, out: &mut Writer<'_>) -> Result<(), W::Error> {
    let (start, depth) = (out.position(), out.depth());
    if !world.write(item, out)? {
        // Only a world that breaks the contract above gets here; the exception still arrives.
        out.rewind(start);
        out.set_depth(depth);
        out.none();
    }
    Ok(())
}

/// Writes a built-in exception with one message, for what the protocol itself has to refuse. Peers of every kind
/// rebuild built-in classes.
pub(crate) fn write_builtin(class: &str, message: &str, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    out.begin_tuple(4)?;
    out.begin_tuple(2)?;
    out.str("builtins")?;
    out.str(class)?;
    out.end();
    out.begin_tuple(1)?;
    out.str(message)?;
    out.end();
    out.begin_tuple(0)?;
    out.end();
    out.str(&format!("{class}: {message}\n"))?;
    out.end();
    Ok(())
}
