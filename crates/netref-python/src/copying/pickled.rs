//! Plain data out of a pickle, without unpickling: containers, text and numbers, and nothing that is made by calling something.

use std::collections::HashMap;

use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyNone, PySet, PyString, PyTuple};

use crate::memory::new_bytes;

/// The objects that a pickle of protocol 4 is of, if they are plain data through and through, of Python's own types, and none that
/// may change is there twice; None if they are not, or the bytes are no pickle. Nothing is imported or called.
///
/// :param most: how many bytes of memory they may take, about
/// :param depth: how many containers there may be, each inside another
/// :param collisions: how many items of one may have the same hash
#[pyfunction]
pub(crate) fn plain_from_pickle<'py>(
    py: Python<'py>,
    data: &[u8],
    most: usize,
    depth: usize,
    collisions: usize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new());
    let mut machine = Machine { py, rest: data, left: most, most, depth, collisions, stack, marks, memo };
    loop {
        match machine.step() {
            Ok(None) => {}
            Ok(done) => return Ok(done),
            Err(Stop::NotPlain) => return Ok(None),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

/// A pickle is a program for this machine.
struct Machine<'a, 'py> {
    py: Python<'py>,
    rest: &'a [u8],
    left: usize,
    most: usize,
    depth: usize,
    collisions: usize,
    stack: Vec<Made<'py>>,
    marks: Vec<usize>,
    /// None for what may change, and so is not to be there twice.
    memo: Vec<Option<Bound<'py, PyAny>>>,
}

struct Made<'py> {
    object: Bound<'py, PyAny>,
    /// How many containers there are in it, each inside another, with itself.
    depth: usize,
    is_constant: bool,
    /// How often each hash is among its items.
    hashes: HashMap<isize, usize>,
}

enum Stop {
    NotPlain,
    Error(PyErr),
}

type Stepped<T = ()> = Result<T, Stop>;

/// Instructions, as Python's `pickle` names them. Of others none makes plain data.
mod op {
    pub(super) const MARK: u8 = b'(';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const STOP: u8 = b'.';
    pub(super) const BINBYTES: u8 = b'B';
    pub(super) const SHORT_BINBYTES: u8 = b'C';
    pub(super) const BINFLOAT: u8 = b'G';
    pub(super) const BININT: u8 = b'J';
    pub(super) const BININT1: u8 = b'K';
    pub(super) const BININT2: u8 = b'M';
    pub(super) const NONE: u8 = b'N';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const EMPTY_LIST: u8 = b']';
    pub(super) const APPEND: u8 = b'a';
    pub(super) const APPENDS: u8 = b'e';
    pub(super) const BINGET: u8 = b'h';
    pub(super) const LONG_BINGET: u8 = b'j';
    pub(super) const SETITEM: u8 = b's';
    pub(super) const TUPLE: u8 = b't';
    pub(super) const SETITEMS: u8 = b'u';
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const TUPLE1: u8 = 0x85;
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const TUPLE3: u8 = 0x87;
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const LONG4: u8 = 0x8b;
    pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
    pub(super) const BINUNICODE8: u8 = 0x8d;
    pub(super) const BINBYTES8: u8 = 0x8e;
    pub(super) const EMPTY_SET: u8 = 0x8f;
    pub(super) const ADDITEMS: u8 = 0x90;
    pub(super) const FROZENSET: u8 = 0x91;
    pub(super) const MEMOIZE: u8 = 0x94;
    pub(super) const FRAME: u8 = 0x95;
}

/// What an object takes in memory, and each item of a container beside the item: CPython's sizes, or more.
const OBJECT: usize = 64;
const CONTAINER: usize = 216;
const ITEM: usize = 64;

impl<'py> Machine<'_, 'py> {
    /// Carries out the next instruction. Returns the object at the end.
    fn step(&mut self) -> Stepped<Option<Bound<'py, PyAny>>> {
        let py = self.py;
        match self.byte()? {
            op::STOP => {
                let made = self.stack.pop().ok_or(Stop::NotPlain)?;
                let is_all = self.stack.is_empty() && self.marks.is_empty() && self.rest.is_empty();
                return if is_all { Ok(Some(made.object)) } else { Err(Stop::NotPlain) };
            }
            op::PROTO if self.byte()? == 4 => {}
            op::FRAME => drop(self.take(8)?),
            op::MARK => self.marks.push(self.stack.len()),
            op::MEMOIZE => {
                let top = self.stack.last().ok_or(Stop::NotPlain)?;
                self.memo.push(top.is_constant.then(|| top.object.clone()));
            }
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,

            op::NONE => self.push(PyNone::get(py).to_owned().into_any())?,
            op::NEWTRUE => self.push(PyBool::new(py, true).to_owned().into_any())?,
            op::NEWFALSE => self.push(PyBool::new(py, false).to_owned().into_any())?,
            op::BININT1 => self.integer(1, false)?,
            op::BININT2 => self.integer(2, false)?,
            op::BININT => self.integer(4, true)?,
            op::LONG1 => {
                let len = self.length(1)?;
                self.integer(len, true)?;
            }
            op::LONG4 => {
                let len = self.length(4)?;
                self.integer(len, true)?;
            }
            op::BINFLOAT => {
                let bytes = self.take(8)?.try_into().map_err(|_| Stop::NotPlain)?;
                self.push(PyFloat::new(py, f64::from_be_bytes(bytes)).into_any())?;
            }
            op::SHORT_BINUNICODE => self.text(1)?,
            op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 => self.bytes(8)?,

            op::EMPTY_TUPLE => self.container(PyTuple::empty(py).into_any(), &[])?,
            op::TUPLE1 => self.tuple(Some(1))?,
            op::TUPLE2 => self.tuple(Some(2))?,
            op::TUPLE3 => self.tuple(Some(3))?,
            op::TUPLE => self.tuple(None)?,
            op::FROZENSET => {
                let items = self.pop_from(None)?;
                let mut hashes = HashMap::new();
                self.count(&mut hashes, items.iter())?;
                let set = PyFrozenSet::new(py, items.iter().map(|item| &item.object))?;
                self.container(set.into_any(), &items)?;
            }
            op::EMPTY_LIST => self.container(PyList::empty(py).into_any(), &[])?,
            op::EMPTY_DICT => self.container(PyDict::new(py).into_any(), &[])?,
            op::EMPTY_SET => self.container(PySet::empty(py)?.into_any(), &[])?,
            op::APPEND => self.append(Some(1))?,
            op::APPENDS => self.append(None)?,
            op::SETITEM => self.set_items(Some(2))?,
            op::SETITEMS => self.set_items(None)?,
            op::ADDITEMS => self.add()?,
            _ => return Err(Stop::NotPlain),
        }
        Ok(None)
    }

    // ---- containers

    fn tuple(&mut self, count: Option<usize>) -> Stepped {
        let items = self.pop_from(count)?;
        let tuple = PyTuple::new(self.py, items.iter().map(|item| &item.object))?;
        self.container(tuple.into_any(), &items)
    }

    fn append(&mut self, count: Option<usize>) -> Stepped {
        let items = self.pop_from(count)?;
        self.hold(&items)?;
        let list = self.top::<PyList>()?;
        for item in items {
            list.append(item.object)?;
        }
        Ok(())
    }

    fn set_items(&mut self, count: Option<usize>) -> Stepped {
        let items = self.pop_from(count)?;
        if !items.len().is_multiple_of(2) {
            return Err(Stop::NotPlain);
        }
        self.hold(&items)?;
        self.count_in_top(items.iter().step_by(2))?;
        let dict = self.top::<PyDict>()?;
        for pair in items.chunks_exact(2) {
            dict.set_item(&pair[0].object, &pair[1].object)?;
        }
        Ok(())
    }

    fn add(&mut self) -> Stepped {
        let items = self.pop_from(None)?;
        self.hold(&items)?;
        self.count_in_top(items.iter())?;
        let set = self.top::<PySet>()?;
        for item in items {
            set.add(item.object)?;
        }
        Ok(())
    }

    /// Pushes a container that has these items.
    fn container(&mut self, object: Bound<'py, PyAny>, items: &[Made<'py>]) -> Stepped {
        self.charge(CONTAINER)?;
        let is_constant = (object.is_exact_instance_of::<PyTuple>()
            || object.is_exact_instance_of::<PyFrozenSet>())
            && items.iter().all(|item| item.is_constant);
        self.stack.push(Made { object, depth: 1, is_constant, hashes: HashMap::new() });
        self.hold(items)
    }

    /// Takes note of items that the container on top gets.
    fn hold(&mut self, items: &[Made<'py>]) -> Stepped {
        self.charge(items.len().saturating_mul(ITEM))?;
        let inside = items.iter().map(|item| item.depth).max().unwrap_or(0);
        let top = self.stack.last_mut().ok_or(Stop::NotPlain)?;
        top.depth = top.depth.max(inside + 1);
        if top.depth > self.depth {
            let max = self.depth;
            let text = format!("the value is nested more than {max} levels deep (limit max_depth)");
            return Err(PyRecursionError::new_err(text).into());
        }
        Ok(())
    }

    fn top<T: pyo3::PyTypeCheck>(&self) -> Stepped<Bound<'py, T>> {
        let top = self.stack.last().ok_or(Stop::NotPlain)?;
        top.object.cast::<T>().cloned().map_err(|_| Stop::NotPlain)
    }

    fn count_in_top<'m>(&mut self, items: impl Iterator<Item = &'m Made<'py>>) -> Stepped
    where
        'py: 'm,
    {
        let mut hashes = std::mem::take(&mut self.stack.last_mut().ok_or(Stop::NotPlain)?.hashes);
        self.count(&mut hashes, items)?;
        self.stack.last_mut().ok_or(Stop::NotPlain)?.hashes = hashes;
        Ok(())
    }

    /// Counts the hashes of items; but for those of text, which are a secret of this process.
    fn count<'m>(
        &mut self,
        hashes: &mut HashMap<isize, usize>,
        items: impl Iterator<Item = &'m Made<'py>>,
    ) -> Stepped
    where
        'py: 'm,
    {
        for item in items.filter(|item| !item.object.is_exact_instance_of::<PyString>()) {
            let hash = item.object.hash().map_err(|_| Stop::NotPlain)?;
            let count = hashes.entry(hash).or_default();
            *count += 1;
            if *count > self.collisions {
                let most = self.collisions;
                return Err(PyValueError::new_err(format!(
                    "more than {most} items of a set or dictionary have the same hash (limit max_set_collisions)"
                ))
                .into());
            }
        }
        Ok(())
    }

    // ---- the stack

    fn push(&mut self, object: Bound<'py, PyAny>) -> Stepped {
        self.charge(OBJECT)?;
        self.stack.push(Made { object, depth: 0, is_constant: true, hashes: HashMap::new() });
        Ok(())
    }

    /// The last so many, or those since the last mark.
    fn pop_from(&mut self, count: Option<usize>) -> Stepped<Vec<Made<'py>>> {
        let start = match count {
            Some(count) => self.stack.len().checked_sub(count).ok_or(Stop::NotPlain)?,
            None => self.marks.pop().ok_or(Stop::NotPlain)?,
        };
        // Nothing from before a mark is taken while it is set, so that there is always as much as a mark says.
        if self.marks.last().is_some_and(|mark| start < *mark) {
            return Err(Stop::NotPlain);
        }
        Ok(self.stack.split_off(start))
    }

    fn recall(&mut self, width: usize) -> Stepped {
        let number = self.length(width)?;
        let object = self.memo.get(number).and_then(Clone::clone).ok_or(Stop::NotPlain)?;
        self.push(object)
    }

    fn charge(&mut self, cost: usize) -> Stepped {
        let Some(left) = self.left.checked_sub(cost) else {
            let most = self.most;
            let text = format!("the copy takes more than {most} bytes (limit max_decoded)");
            return Err(PyValueError::new_err(text).into());
        };
        self.left = left;
        Ok(())
    }

    // ---- scalars

    fn integer(&mut self, len: usize, signed: bool) -> Stepped {
        let py = self.py;
        let bytes = self.take(len)?;
        let object = if len <= 8 {
            let mut wide =
                [if signed && bytes.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 }; 8];
            wide[..len].copy_from_slice(bytes);
            PyInt::new(py, i64::from_le_bytes(wide)).into_any()
        } else {
            let args = (new_bytes(py, bytes)?, "little");
            let kwargs = PyDict::new(py);
            kwargs.set_item("signed", true)?;
            py.get_type::<PyInt>().call_method(intern!(py, "from_bytes"), args, Some(&kwargs))?
        };
        self.charge(len)?;
        self.push(object)
    }

    fn text(&mut self, width: usize) -> Stepped {
        let len = self.length(width)?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| Stop::NotPlain)?;
        // Each character is as wide as the widest.
        self.charge(if text.is_ascii() { len } else { len.saturating_mul(4) })?;
        self.push(PyString::new(self.py, text).into_any())
    }

    fn bytes(&mut self, width: usize) -> Stepped {
        let len = self.length(width)?;
        let bytes = self.take(len)?;
        self.charge(len)?;
        let bytes = new_bytes(self.py, bytes)?;
        self.push(bytes.into_any())
    }

    fn length(&mut self, width: usize) -> Stepped<usize> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| Stop::NotPlain)
    }

    fn byte(&mut self) -> Stepped<u8> {
        Ok(self.take(1)?[0])
    }
}

impl<'a> Machine<'a, '_> {
    fn take(&mut self, len: usize) -> Stepped<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Stop::NotPlain)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Error(error)
    }
}
