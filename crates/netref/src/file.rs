use std::fmt;
use std::fs;
use std::io::{BufRead, Seek, SeekFrom, Write};
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use crate::args::Args;
use crate::containers::{itself, only};
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Exception, Result};
use crate::lines;
use crate::list::List;
use crate::object::{Class, Object};
use crate::raising::OsError;
use crate::value::Value;

/// A file of this side, or any reader or writer, that a peer uses as Python's own: `read`, `readline`, `readlines`,
/// `write`, `writelines`, `seek`, `tell`, `flush`, `close`, iteration over the lines, `with`. To Python's `isinstance` it is
/// what `open` returns in its mode.
///
/// Clones are the same file. It is in text mode unless made [`binary`](Self::binary): UTF-8, and reading makes `\n` of
/// every `\r\n` and `\r`, as Python's `open` does. Methods take turns: one that is called while another reads waits for it.
/// The file is closed when the last handle on either side is gone, or by `close`.
///
/// ```no_run
/// let conn = netref::connect("tcp://localhost:18861")?;
/// conn.root()?.call_method("upload", (netref::File::open("notes.txt")?, "notes.txt"))?;
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone)]
pub struct File(Arc<Live>);

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Io`], which names the path, if that is not possible.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = fs::File::open(path).map_err(|error| OsError::at(path, error))?;
        Ok(Self::seekable_reader(BufReader::new(file)).named(&path.to_string_lossy()))
    }

    /// Creates a file for writing, or empties the one that is there.
    ///
    /// # Errors
    /// [`Error::Io`], which names the path, if that is not possible.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = fs::File::create(path).map_err(|error| OsError::at(path, error))?;
        Ok(Self::seekable_writer(BufWriter::new(file)).named(&path.to_string_lossy()))
    }

    /// A peer can read what `reader` reads. Wrap a plain `Read` in a [`BufReader`].
    pub fn reader(reader: impl BufRead + Send + 'static) -> Self {
        Self::over(Stream::Reader(Box::new(reader)))
    }

    /// As [`reader`](Self::reader), with `seek` and `tell`.
    pub fn seekable_reader(reader: impl BufRead + Seek + Send + 'static) -> Self {
        Self::over(Stream::SeekableReader(Box::new(reader)))
    }

    /// A peer can write to `writer`.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::over(Stream::Writer(Box::new(writer)))
    }

    /// As [`writer`](Self::writer), with `seek` and `tell`.
    pub fn seekable_writer(writer: impl Write + Seek + Send + 'static) -> Self {
        Self::over(Stream::SeekableWriter(Box::new(writer)))
    }

    /// The file in binary mode: it reads and writes bytes as they are.
    #[must_use]
    pub fn binary(self) -> Self {
        self.0.binary.store(true, Ordering::Relaxed);
        self
    }

    /// What the peer sees as the file's `name`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        name.clone_into(&mut self.0.lock().name);
        self
    }

    /// Writes out what is buffered, and closes the file. A peer that uses it afterwards gets `ValueError`.
    ///
    /// # Errors
    /// [`Error::Io`] if something cannot be written; the file is closed all the same.
    pub fn close(&self) -> Result<()> {
        self.0.lock().close()
    }

    /// True once the file was closed, by either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().stream.is_none()
    }

    fn over(stream: Stream) -> Self {
        let state = State { stream: Some(stream), name: String::new() };
        Self(Arc::new_cyclic(|this| Live {
            binary: AtomicBool::new(false),
            writes: matches!(state.stream, Some(Stream::Writer(_) | Stream::SeekableWriter(_))),
            state: Mutex::new(state),
            this: this.clone(),
        }))
    }
}

impl IntoValue for File {
    fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl IntoValue for &File {
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl FromValue for File {
    fn from_value(value: Value) -> Result<Self> {
        Arc::<Live>::from_value(value).map(Self).map_err(|error| match error {
            Error::Conversion { found, .. } => Error::conversion("a file of this side", &found),
            error => error,
        })
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.repr())
    }
}

struct Live {
    state: Mutex<State>,
    /// Not in the state: what the file is can be told while somebody reads.
    binary: AtomicBool,
    writes: bool,
    this: Weak<Self>,
}

struct State {
    /// `None` once closed.
    stream: Option<Stream>,
    name: String,
}

enum Stream {
    Reader(Box<dyn BufRead + Send>),
    SeekableReader(Box<dyn SeekableRead>),
    Writer(Box<dyn Write + Send>),
    SeekableWriter(Box<dyn SeekableWrite>),
}

trait SeekableRead: BufRead + Seek + Send {}
impl<T: BufRead + Seek + Send> SeekableRead for T {}

trait SeekableWrite: Write + Seek + Send {}
impl<T: Write + Seek + Send> SeekableWrite for T {}

impl Object for Live {
    fn class(&self) -> Arc<Class> {
        // Python's own names: `isinstance` tells a Python peer what it can expect, and a stock one knows no other answer.
        const NAMES: [&str; 3] = ["_io.TextIOWrapper", "_io.BufferedReader", "_io.BufferedWriter"];
        static CLASSES: LazyLock<[Arc<Class>; 3]> = LazyLock::new(|| {
            NAMES.map(|name| {
                let methods = METHODS.iter();
                methods.fold(Class::new(name), |class, (name, doc)| class.method(*name, *doc)).into()
            })
        });
        let [text, reader, writer] = &*CLASSES;
        match (self.is_binary(), self.writes) {
            (false, _) => text.clone(),
            (true, false) => reader.clone(),
            (true, true) => writer.clone(),
        }
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        let binary = self.is_binary();
        let mut state = self.lock();
        match name {
            "close" => {
                args.finish()?;
                return state.close().map(IntoValue::into_value);
            }
            "__exit__" => return state.close().map(|()| Value::Bool(false)),
            _ => {}
        }
        match name {
            "read" | "readline" | "readlines" => state.read(name, &mut args, binary),
            "write" => state.write(&only(&mut args, "data")?, binary),
            "writelines" => {
                let lines: Value = only(&mut args, "lines")?;
                state.stream()?;
                drop(state);
                // With the file unlocked: a step may run the peer's code, and that may use the file.
                for line in lines.iter()? {
                    self.lock().write(&line?, binary)?;
                }
                Ok(Value::None)
            }
            "seek" => state.seek(&mut args, binary),
            "__iter__" | "__enter__" => {
                args.finish()?;
                state.stream().map(|_| itself(&self.this))
            }
            "__next__" => {
                args.finish()?;
                let line = state.line(binary)?;
                line.ok_or_else(|| Exception::new("StopIteration").into())
            }
            _ => {
                args.finish()?;
                state.ask(name)
            }
        }
    }

    fn attributes(&self) -> Vec<String> {
        ["closed", "encoding", "errors", "mode", "name", "newlines"].map(str::to_owned).into()
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        let state = self.lock();
        Ok(match name {
            "closed" => state.stream.is_none().into_value(),
            "name" => state.name.as_str().into_value(),
            "mode" => self.mode().into_value(),
            "encoding" if !self.is_binary() => "utf-8".into_value(),
            "errors" if !self.is_binary() => "strict".into_value(),
            "newlines" if !self.is_binary() => Value::None,
            _ => return Err(Error::no_attribute("netref.File", name)),
        })
    }

    fn repr(&self) -> String {
        // While somebody reads, it says less rather than wait.
        match self.state.try_lock() {
            Ok(state) => {
                let name = crate::repr::repr(&state.name.as_str().into_value());
                format!("<netref.File name={name} mode='{}'>", self.mode())
            }
            Err(_) => "<netref.File in use>".to_owned(),
        }
    }
}

const METHODS: &[(&str, &str)] = &[
    ("read", "Reads all, or as many characters (bytes in binary mode)."),
    ("readline", "Reads a line with its end, or as much of it; empty at the end of the file."),
    ("readlines", "Reads all lines into a list, or lines of about so many characters (bytes) together."),
    ("write", "Writes a str (bytes in binary mode) and returns its length."),
    ("writelines", "Writes every item of an iterable."),
    ("seek", "Moves to a position and returns it; whence: 0 from the start, 1 from here, 2 from the end."),
    ("tell", "The position in bytes."),
    ("flush", "Writes out what is buffered."),
    ("close", "Flushes and closes. May be called again."),
    ("readable", ""),
    ("writable", ""),
    ("seekable", ""),
    ("isatty", ""),
    ("__iter__", ""),
    ("__next__", ""),
    ("__enter__", ""),
    ("__exit__", ""),
];

impl Live {
    fn is_binary(&self) -> bool {
        self.binary.load(Ordering::Relaxed)
    }

    fn mode(&self) -> &'static str {
        match (self.writes, self.is_binary()) {
            (false, false) => "r",
            (false, true) => "rb",
            (true, false) => "w",
            (true, true) => "wb",
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Python's methods.
impl State {
    fn read(&mut self, name: &str, args: &mut Args, binary: bool) -> Result<Value> {
        let size = args.optional::<Option<i64>>("size")?.flatten();
        args.finish()?;
        // As in Python, a negative size is none.
        let size = size.and_then(|size| usize::try_from(size).ok());
        let reader = self.stream()?.reader()?;
        match name {
            "readlines" => self.read_lines(size.filter(|size| *size > 0), binary),
            "read" if binary => lines::read_bytes(reader, size).map(|bytes| Value::Bytes(bytes.into())),
            "read" => lines::read_text(reader, size).map(IntoValue::into_value),
            _ if binary => lines::read_bytes_line(reader, size).map(|bytes| Value::Bytes(bytes.into())),
            _ => lines::read_text_line(reader, size).map(IntoValue::into_value),
        }
    }

    fn read_lines(&mut self, hint: Option<usize>, binary: bool) -> Result<Value> {
        let mut lines = Vec::new();
        let mut total = 0;
        while hint.is_none_or(|hint| total < hint) {
            let Some(line) = self.line(binary)? else { break };
            total += length(&line);
            lines.push(line);
        }
        Ok(List::of_items(lines).into_value())
    }

    /// The next line, unless the file is at its end.
    fn line(&mut self, binary: bool) -> Result<Option<Value>> {
        let line = self.read("readline", &mut Args::default(), binary)?;
        Ok((length(&line) > 0).then_some(line))
    }

    fn write(&mut self, data: &Value, binary: bool) -> Result<Value> {
        let writer = self.stream()?.writer()?;
        match (data, binary) {
            (Value::Str(text), false) => writer.write_all(text.as_bytes())?,
            (Value::Bytes(bytes), true) => writer.write_all(bytes)?,
            (other, _) => {
                let (wanted, found) =
                    (if binary { "bytes" } else { "str" }, crate::compare::short_name(other));
                return Err(Error::raise(
                    "TypeError",
                    format!("write() argument must be {wanted}, not {found}"),
                ));
            }
        }
        Ok(length(data).into_value())
    }

    fn seek(&mut self, args: &mut Args, binary: bool) -> Result<Value> {
        let offset: i64 = args.required("offset")?;
        let whence = args.optional::<i64>("whence")?.unwrap_or(0);
        args.finish()?;
        let seeker = self.stream()?.seeker()?;
        if !binary && whence != 0 && offset != 0 {
            return Err(unsupported("can't do nonzero relative seeks in text mode"));
        }
        let to = match whence {
            0 => SeekFrom::Start(
                u64::try_from(offset)
                    .map_err(|_| Error::raise("ValueError", format!("negative seek position {offset}")))?,
            ),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => {
                return Err(Error::raise(
                    "ValueError",
                    format!("invalid whence ({whence}, should be 0, 1 or 2)"),
                ));
            }
        };
        Ok(seeker.seek(to)?.into_value())
    }

    /// What takes no arguments.
    fn ask(&mut self, name: &str) -> Result<Value> {
        let stream = self.stream()?;
        Ok(match name {
            "tell" => stream.seeker()?.stream_position()?.into_value(),
            "flush" => {
                if let Ok(writer) = stream.writer() {
                    writer.flush()?;
                }
                Value::None
            }
            "readable" => stream.reader().is_ok().into_value(),
            "writable" => stream.writer().is_ok().into_value(),
            "seekable" => stream.seeker().is_ok().into_value(),
            "isatty" => Value::Bool(false),
            _ => return Err(Error::no_attribute("netref.File", name)),
        })
    }

    fn close(&mut self) -> Result<()> {
        match self.stream.take().as_mut().map(Stream::writer) {
            Some(Ok(writer)) => Ok(writer.flush()?),
            _ => Ok(()),
        }
    }

    fn stream(&mut self) -> Result<&mut Stream> {
        self.stream.as_mut().ok_or_else(|| Error::raise("ValueError", "I/O operation on closed file."))
    }
}

impl Stream {
    fn reader(&mut self) -> Result<&mut dyn BufRead> {
        match self {
            Self::Reader(reader) => Ok(reader),
            Self::SeekableReader(reader) => Ok(reader),
            _ => Err(unsupported("not readable")),
        }
    }

    fn writer(&mut self) -> Result<&mut dyn Write> {
        match self {
            Self::Writer(writer) => Ok(writer),
            Self::SeekableWriter(writer) => Ok(writer),
            _ => Err(unsupported("not writable")),
        }
    }

    fn seeker(&mut self) -> Result<&mut dyn Seek> {
        match self {
            Self::SeekableReader(reader) => Ok(reader),
            Self::SeekableWriter(writer) => Ok(writer),
            _ => Err(unsupported("underlying stream is not seekable")),
        }
    }
}

/// Characters of a str, bytes of bytes.
fn length(data: &Value) -> usize {
    match data {
        Value::Str(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn unsupported(what: &str) -> Error {
    Exception::of_class("io", "UnsupportedOperation").with_arg(what).into()
}
