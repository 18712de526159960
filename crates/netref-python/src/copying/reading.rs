//! Copies to Python objects.

use netref_core::brine::{self, DecodeError, Reader, Token};
use netref_core::copy::{
    BYTEARRAY, DICT, FROZENSET, LIST, MAX_SHAPES, NAMED, RECORD, SET, SHAPE, SLICE, TUPLE,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PySlice, PyString, PyTuple};

use crate::errors::WorldError;
use crate::memory::new_bytearray;
use crate::world::{Objects, check_collisions};

type Built<'py> = Result<Bound<'py, PyAny>, WorldError>;

/// What a dictionary takes in memory, and each of its items beside the key and the value: CPython's sizes.
const DICT_COST: (usize, usize) = (160, 64);
const SET_COST: (usize, usize) = (200, 64);

/// Builds one copy.
pub(super) struct Builder<'a, 'c, 'py> {
    world: &'a Objects<'c, 'py>,
    py: Python<'py>,
    shapes: Vec<Vec<Bound<'py, PyString>>>,
}

impl<'a, 'c, 'py> Builder<'a, 'c, 'py> {
    pub(super) fn new(world: &'a Objects<'c, 'py>) -> Self {
        Self { world, py: world.py, shapes: Vec::new() }
    }

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Built<'py> {
        match reader.token()? {
            Token::Tuple(len) => self.read_node(len, reader),
            Token::Bytes(value) => brine::read_bytes(self.world, reader, value),
            token => brine::scalar(self.world, token),
        }
    }

    /// What is not one token.
    fn read_node(&mut self, len: usize, reader: &mut Reader<'_>) -> Built<'py> {
        reader.enter()?;
        let kind = reader.int("what a copy is of")?;
        let len = len.checked_sub(1).ok_or(WRONG)?;
        let object = match kind {
            RECORD => self.read_record(len, reader)?,
            DICT => self.read_dict(len, reader)?,
            LIST => PyList::new(self.py, self.read_items(len, reader)?)?.into_any(),
            TUPLE => PyTuple::new(self.py, self.read_items(len, reader)?)?.into_any(),
            SHAPE => self.read_shape(len, reader)?,
            SET => PySet::new(self.py, self.read_distinct(len, reader)?)?.into_any(),
            FROZENSET => PyFrozenSet::new(self.py, self.read_distinct(len, reader)?)?.into_any(),
            BYTEARRAY if len == 1 => match reader.token()? {
                Token::Bytes(bytes) => new_bytearray(self.py, bytes)?.into_any(),
                _ => return Err(WRONG.into()),
            },
            SLICE if len == 3 => {
                let parts = self.read_items(len, reader)?;
                self.py.get_type::<PySlice>().call1(PyTuple::new(self.py, parts)?)?
            }
            NAMED if len >= 1 => {
                let parts = PyTuple::new(self.py, self.read_items(len, reader)?)?;
                let module = self.py.import(intern!(self.py, "netref.core.values"))?;
                module.call_method1(intern!(self.py, "_put_together"), parts)?
            }
            _ => return Err(WRONG.into()),
        };
        reader.leave();
        Ok(object)
    }

    fn read_items(
        &mut self,
        len: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<Bound<'py, PyAny>>, WorldError> {
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.read(reader)?);
        }
        Ok(items)
    }

    fn read_distinct(
        &mut self,
        len: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<Bound<'py, PyAny>>, WorldError> {
        charge(reader, SET_COST, len)?;
        let items = self.read_items(len, reader)?;
        check_collisions(&items, self.world.most_collisions())?;
        Ok(items)
    }

    fn read_dict(&mut self, len: usize, reader: &mut Reader<'_>) -> Built<'py> {
        if !len.is_multiple_of(2) {
            return Err(WRONG.into());
        }
        charge(reader, DICT_COST, len / 2)?;
        let parts = self.read_items(len, reader)?;
        // Hashes of strings are a secret of this process.
        let keys: Vec<_> =
            parts.iter().step_by(2).filter(|key| !key.is_exact_instance_of::<PyString>()).cloned().collect();
        check_collisions(&keys, self.world.most_collisions())?;
        let dict = PyDict::new(self.py);
        for pair in parts.chunks_exact(2) {
            dict.set_item(&pair[0], &pair[1])?;
        }
        Ok(dict.into_any())
    }

    fn read_shape(&mut self, len: usize, reader: &mut Reader<'_>) -> Built<'py> {
        let count = reader.tuple("keys")?;
        if count + 1 != len || self.shapes.len() >= MAX_SHAPES {
            return Err(WRONG.into());
        }
        reader.enter()?;
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            keys.push(PyString::new(self.py, reader.str("a key")?));
        }
        reader.leave();
        self.shapes.push(keys);
        self.read_values(self.shapes.len() - 1, reader)
    }

    fn read_record(&mut self, len: usize, reader: &mut Reader<'_>) -> Built<'py> {
        let number = usize::try_from(reader.int("the number of keys known")?).map_err(|_| WRONG)?;
        match self.shapes.get(number) {
            Some(keys) if keys.len() + 1 == len => self.read_values(number, reader),
            _ => Err(WRONG.into()),
        }
    }

    fn read_values(&mut self, number: usize, reader: &mut Reader<'_>) -> Built<'py> {
        let count = self.shapes[number].len();
        charge(reader, DICT_COST, count)?;
        let dict = PyDict::new(self.py);
        for index in 0..count {
            let value = self.read(reader)?;
            dict.set_item(&self.shapes[number][index], value)?;
        }
        Ok(dict.into_any())
    }
}

const WRONG: DecodeError = DecodeError::Expected { expected: "a copy" };

fn charge(reader: &mut Reader<'_>, (cost, item): (usize, usize), items: usize) -> Result<(), DecodeError> {
    reader.charge(items.saturating_mul(item).saturating_add(cost))
}
