"""Functions on their way to another process: their code travels as data, and becomes a function there.

Both sides need the same version of Python, because its bytecode is what travels. Peers find this module under its stock name.
"""

import builtins
import dis
import importlib
import sys
from types import CodeType, FunctionType

from netref.core import brine
from netref.core.netref import BaseNetref

#: Marks code among constants: a function inside the function.
CODEOBJ_MAGIC = "MAg1c J0hNNzo0hn ZqhuBP17LQk8"

#: Has no meaning, and had none in RPyC for any Python that is in use.
CODE_HAVEARG_SIZE = 3

#: Attributes of a code object in the order in which they travel and in which ``CodeType`` takes them.
_CODE_FIELDS = """
    co_argcount co_posonlyargcount co_kwonlyargcount co_nlocals co_stacksize co_flags co_code co_consts co_names co_varnames
    co_filename co_name co_qualname co_firstlineno co_linetable co_exceptiontable co_freevars co_cellvars
""".split()
if sys.version_info < (3, 11):
    _CODE_FIELDS = [field for field in _CODE_FIELDS if field not in ("co_qualname", "co_exceptiontable")]
_CONSTS = _CODE_FIELDS.index("co_consts")


def export_function(func):
    """A function as plain data, for :func:`import_function` on the other side.

    Its defaults and constants must be plain data; it must use no variables of a function around it. Globals do not travel.

    :raises TypeError: if it cannot travel
    """
    if func.__closure__:
        raise TypeError("Cannot export a function closure")
    keyword_defaults = None if func.__kwdefaults__ is None else tuple(func.__kwdefaults__.items())
    for name, defaults in (("__defaults__", func.__defaults__), ("__kwdefaults__", keyword_defaults)):
        if not brine.dumpable(defaults):
            raise TypeError(f"Cannot export a function with non-brinable defaults ({name})")
    return func.__name__, func.__module__, func.__defaults__, keyword_defaults, _export_code(func.__code__)


def import_function(functup, globals=None, def_=True):
    """The function that the other side exported.

    :param functup: what :func:`export_function` returned
    :param globals: the dictionary for its globals; by default that of its module here, or else of ``__main__``. A proxy of one is
        copied, which takes ``allow_pickle``
    :param def_: whether to put the function into that dictionary under its name
    :raises ValueError: if it was compiled by a Python whose code this one cannot run, as far as that can be told
    """
    name, module_name, defaults, keyword_defaults, code = functup
    if globals is None:
        globals = _module_globals(module_name)
    elif isinstance(globals, BaseNetref):
        from netref.utils.classic import obtain  # which offers teleport_function

        globals = obtain(globals)  # a function's globals have to be a real dictionary
    globals.setdefault("__builtins__", builtins)
    function = FunctionType(_import_code(code), globals, name, defaults)
    if keyword_defaults is not None:
        function.__kwdefaults__ = dict(keyword_defaults)
    if def_:
        globals[name] = function
    return function


def decode_codeobj(codeobj):
    """The instructions of a code object: pairs (name, argument)."""
    for instruction in dis.get_instructions(codeobj):
        yield instruction.opname, instruction.argval


def _export_code(code):
    fields = [getattr(code, field) for field in _CODE_FIELDS]
    fields[_CONSTS] = tuple(map(_export_constant, code.co_consts))
    return tuple(fields)


def _export_constant(constant):
    if isinstance(constant, CodeType):
        return CODEOBJ_MAGIC, _export_code(constant)
    if not brine.dumpable(constant):
        raise TypeError(f"Cannot export a function with non-brinable constants: {constant!r}")
    return constant


def _import_code(fields):
    if len(fields) != len(_CODE_FIELDS):
        # Running it all the same could crash the interpreter.
        compiled_by = "older than 3.11" if len(fields) < 18 else "from 3.11 on"
        raise ValueError("the function was compiled by a Python {}; this one is {}.{}".format(compiled_by, *sys.version_info))
    fields = list(fields)
    fields[_CONSTS] = tuple(map(_import_constant, fields[_CONSTS]))
    return CodeType(*fields)


def _import_constant(constant):
    if isinstance(constant, tuple) and len(constant) == 2 and constant[0] == CODEOBJ_MAGIC:
        return _import_code(constant[1])
    return constant


def _module_globals(name):
    try:
        module = importlib.import_module(name)
    except ImportError:
        module = sys.modules["__main__"]
    return vars(module)
