//! Whether an attribute is looked up only to be called at once, as the method in `proxy.method(x)` is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// Code objects whose bytes are kept at most; with more, all are forgotten and met anew.
const MAX_CODES: usize = 1024;

/// The bytes of code objects by their address. Each is kept alive along with them, so that the address stays its own.
static CODES: Mutex<BTreeMap<usize, Code>> = Mutex::new(BTreeMap::new());

struct Code {
    _object: Py<PyAny>,
    bytes: Py<PyBytes>,
}

/// Whether the instruction that the calling Python code is at looks an attribute up in order to call it. False whenever
/// there is no telling: in calls from C, in versions of Python not known here.
pub(crate) fn is_looked_up_to_be_called(py: Python<'_>) -> bool {
    let Some(lookup) = Lookup::of_this_python(py) else { return false };
    instruction(py).is_some_and(|(opcode, argument)| lookup.matches(opcode, argument))
}

/// How this version of Python looks up what it is about to call.
#[derive(Clone, Copy, Debug)]
struct Lookup {
    opcode: u8,
    /// The instruction serves other look-ups too, which have an even argument.
    is_shared: bool,
}

impl Lookup {
    fn of_this_python(py: Python<'_>) -> Option<Self> {
        static LOOKUP: OnceLock<Option<Lookup>> = OnceLock::new();
        *LOOKUP.get_or_init(|| {
            let is_shared = match py.version_info() {
                version if version >= (3, 15) => return None,
                version => version >= (3, 12),
            };
            let name = if is_shared { "LOAD_ATTR" } else { "LOAD_METHOD" };
            let opcodes = py.import("opcode").and_then(|module| module.getattr("opmap")).ok()?;
            let opcode = opcodes.cast::<PyDict>().ok()?.get_item(name).ok()??.extract().ok()?;
            Some(Self { opcode, is_shared })
        })
    }

    fn matches(self, opcode: u8, argument: u8) -> bool {
        opcode == self.opcode && (!self.is_shared || argument % 2 == 1)
    }
}

/// The instruction that the innermost Python code is at: its opcode and the low byte of its argument.
fn instruction(py: Python<'_>) -> Option<(u8, u8)> {
    // SAFETY: the interpreter is attached. The first call returns a borrowed reference or null, to the frame of the code that
    // runs in this thread, which goes on running until we return. The second takes a valid frame and returns a new
    // reference to its code, never null.
    #[expect(unsafe_code, reason = "the safe API has no frames")]
    let (frame, code) = unsafe {
        let frame = ffi::PyEval_GetFrame();
        let frame = Bound::from_borrowed_ptr_or_opt(py, frame.cast())?;
        let code = ffi::PyFrame_GetCode(frame.as_ptr().cast());
        (frame, Bound::from_owned_ptr(py, code.cast()))
    };
    let at: usize = frame.getattr(intern!(py, "f_lasti")).ok()?.extract().ok()?;
    if let Some(code) = codes().get(&code.as_ptr().addr()) {
        return pair_at(code.bytes.as_bytes(py), at);
    }
    // Without the specialisations that the interpreter has made meanwhile.
    let bytes: Bound<'_, PyBytes> = code.getattr(intern!(py, "co_code")).ok()?.cast_into().ok()?;
    let found = pair_at(bytes.as_bytes(), at);
    // What is forgotten is dropped with the lock released: it may be the last reference.
    let forgotten = {
        let mut codes = codes();
        let forgotten = if codes.len() < MAX_CODES { BTreeMap::new() } else { std::mem::take(&mut *codes) };
        codes.insert(code.as_ptr().addr(), Code { _object: code.unbind(), bytes: bytes.unbind() });
        forgotten
    };
    drop(forgotten);
    found
}

fn codes() -> MutexGuard<'static, BTreeMap<usize, Code>> {
    CODES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pair_at(code: &[u8], at: usize) -> Option<(u8, u8)> {
    Some((*code.get(at)?, *code.get(at + 1)?))
}
