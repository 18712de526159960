//! Large memory in huge pages, where the system has them: to find it in small ones takes longer than to fill it. NumPy asks for
//! them in the same way.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;

use bytes::Bytes;
use netref_core::payload::Place;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PySlice};

/// From this length on it pays.
const LARGE: usize = 4 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// The system's allocator.
struct HugePages;

// SAFETY: every call is passed on to the system's allocator unchanged, and what it returns is returned.
#[expect(unsafe_code, reason = "an allocator can be written in no other way")]
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = unsafe { System.alloc(layout) };
        advise(memory, layout.size());
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let memory = unsafe { System.alloc_zeroed(layout) };
        advise(memory, layout.size());
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let memory = unsafe { System.realloc(memory, layout, size) };
        advise(memory, size);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) };
    }
}

/// Bytes with this content.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn new_bytes<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let (bytes, room) = bytes_to_be_filled(py, content.len())?;
    advise(room, content.len());
    // SAFETY: there is room for as many bytes, in memory that is new, so that it is not the content's. To the object without any,
    // which is not new, none are written.
    #[expect(unsafe_code, reason = "PyO3 panics where memory is short")]
    unsafe {
        room.copy_from_nonoverlapping(content.as_ptr(), content.len());
    }
    Ok(bytes)
}

/// Bytes that are being received. Until all of them are there, nobody else has a reference to the object.
pub(crate) struct ReceivedBytes {
    object: Py<PyBytes>,
    data: *mut u8,
    len: usize,
    /// How many of them have been written to.
    written: usize,
}

// SAFETY: what the pointer points to belongs to the object, which nobody else has before all of it is written, and is changed
// through `&mut self` alone. The object is given back by who attaches to the interpreter for it.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Send for ReceivedBytes {}
// SAFETY: the same.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Sync for ReceivedBytes {}

impl ReceivedBytes {
    /// None if there is no memory for so many, or there are to be none at all: those there is one object of.
    pub(crate) fn new(len: usize) -> Option<Self> {
        if len == 0 {
            return None;
        }
        Python::attach(|py| {
            let (object, data) = bytes_to_be_filled(py, len).ok()?;
            Some(Self { object: object.unbind(), data, len, written: 0 })
        })
    }

    /// The object, once all of it has been received.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        (self.written == self.len).then(|| self.object.bind(py).clone())
    }
}

impl Place for ReceivedBytes {
    fn space(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= self.written && range.start <= range.end && range.end <= self.len);
        // Not from the start: a huge page is taken whole for its first byte, and perhaps no more will come.
        if self.written < LARGE && range.end >= LARGE {
            advise(self.data.wrapping_add(range.end), self.len - range.end);
        }
        // SAFETY: this is within the object's bytes, to which nobody else has a reference, and all of it has been written to.
        #[expect(unsafe_code, reason = "PyO3 has no bytes that can be written to later")]
        unsafe {
            if range.end > self.written {
                self.data.add(self.written).write_bytes(0, range.end - self.written);
                self.written = range.end;
            }
            std::slice::from_raw_parts_mut(self.data.add(range.start), range.len())
        }
    }
}

impl AsRef<[u8]> for ReceivedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: so many of the object's bytes have been written to; they change through `&mut self` alone.
        #[expect(unsafe_code, reason = "see above")]
        unsafe {
            std::slice::from_raw_parts(self.data, self.written)
        }
    }
}

/// A bytearray with this content.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn new_bytearray<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyByteArray>> {
    let (bytes, room) = bytearray_to_be_filled(py, content.len())?;
    // SAFETY: there is room for as many bytes, in memory that is new, so that it is not the content's.
    #[expect(unsafe_code, reason = "PyO3 panics where memory is short")]
    unsafe {
        room.copy_from_nonoverlapping(content.as_ptr(), content.len());
    }
    Ok(bytes)
}

/// A copy of the memory that a `memoryview` of bytes is of.
///
/// # Errors
/// `MemoryError`, or what is wrong with the view.
pub(crate) fn copy_of(memory: &Bound<'_, PyMemoryView>) -> PyResult<Bytes> {
    let py = memory.py();
    let len = memory.len()?;
    let (bytes, data) = bytearray_to_be_filled(py, len)?;
    PyMemoryView::from(&bytes)?.set_item(PySlice::full(py), memory)?;
    Ok(Bytes::from_owner(Filled { data, len, _bytes: bytes.unbind() }))
}

/// A bytearray that nobody else knows of.
struct Filled {
    data: *const u8,
    len: usize,
    _bytes: Py<PyByteArray>,
}

// SAFETY: nobody changes what the pointer points to, and it stays where it is for as long as the bytearray, whose memory is only
// given back by who attaches to the interpreter for it.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Send for Filled {}
// SAFETY: the same.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Sync for Filled {}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the pointer and the length are those of the bytearray, all of which is written and none of which changes any
        // more, for nobody else has a reference to it.
        #[expect(unsafe_code, reason = "see above")]
        unsafe {
            std::slice::from_raw_parts(self.data, self.len)
        }
    }
}

/// A bytearray, and where its content is to be written.
fn bytearray_to_be_filled(py: Python<'_>, len: usize) -> PyResult<(Bound<'_, PyByteArray>, *mut u8)> {
    // SAFETY: a null pointer instead of content makes for memory that is not written to; instead of an object, for an exception.
    #[expect(unsafe_code, reason = "PyO3 writes the bytes twice, or panics where memory is short")]
    unsafe {
        let object = ffi::PyByteArray_FromStringAndSize(std::ptr::null(), len.cast_signed());
        let bytes: Bound<'_, PyAny> = Bound::from_owned_ptr_or_err(py, object)?;
        let room: *mut u8 = ffi::PyByteArray_AsString(object).cast();
        advise(room, len);
        Ok((bytes.cast_into_unchecked(), room))
    }
}

/// Bytes, and where their content is to be written before anybody else has a reference to them.
fn bytes_to_be_filled(py: Python<'_>, len: usize) -> PyResult<(Bound<'_, PyBytes>, *mut u8)> {
    // SAFETY: a null pointer instead of content makes for memory that is not written to; instead of an object, for an exception.
    #[expect(unsafe_code, reason = "PyO3 writes the bytes twice, or panics where memory is short")]
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), len.cast_signed());
        let bytes: Bound<'_, PyAny> = Bound::from_owned_ptr_or_err(py, object)?;
        let room: *mut u8 = ffi::PyBytes_AsString(object).cast();
        Ok((bytes.cast_into_unchecked(), room))
    }
}

/// Asks for huge pages for this memory, if it is large.
fn advise(memory: *mut u8, len: usize) {
    #[cfg(target_os = "linux")]
    if len >= LARGE && !memory.is_null() {
        use rustix::mm::{Advice, madvise};

        const PAGE: usize = 4096;
        // Whole pages, with what the allocator has in front: a part of a mapping by itself could not grow any more.
        let before = memory.addr() % PAGE;
        let whole = (before + len).next_multiple_of(PAGE);
        // SAFETY: the advice changes neither what is in memory nor whether it can be used, whosever it is. A kernel that refuses,
        // for its pages are larger or there are no huge ones, is a slower one, no more.
        #[expect(unsafe_code, reason = "other advice than this can change what is in memory")]
        let _ = unsafe { madvise(memory.wrapping_sub(before).cast(), whole, Advice::LinuxHugepage) };
    }
}
