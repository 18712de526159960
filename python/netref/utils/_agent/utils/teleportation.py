"""Functions that the peer sends here. See netref's module of this name."""

import builtins
import importlib
import sys
from types import CodeType, FunctionType

from ..core.netref import BaseNetref
from .classic import obtain

_CODE_MARK = "MAg1c J0hNNzo0hn ZqhuBP17LQk8"
#: How many attributes of a code object travel, and the place of the constants among them, by version of Python.
_LENGTH, _CONSTS = (18, 7) if sys.version_info >= (3, 11) else (16, 7) if sys.version_info >= (3, 8) else (15, 6)


def import_function(functup, globals=None, def_=True):
    """The function that the peer exported.

    :param functup: (name, module's name, defaults, keyword defaults, code)
    :param globals: the dictionary for its globals; by default that of its module here, or else of ``__main__``
    :param def_: whether to put the function into that dictionary under its name
    """
    name, module_name, defaults, keyword_defaults, code = functup
    if globals is None:
        try:
            globals = vars(importlib.import_module(module_name))
        except ImportError:
            globals = vars(sys.modules["__main__"])
    elif isinstance(globals, BaseNetref):
        globals = obtain(globals)
    globals.setdefault("__builtins__", builtins)
    function = FunctionType(_import_code(code), globals, name, defaults)
    if keyword_defaults is not None:
        function.__kwdefaults__ = dict(keyword_defaults)
    if def_:
        globals[name] = function
    return function


def _import_code(fields):
    if len(fields) != _LENGTH:
        raise ValueError("the function was compiled by another version of Python; this one is {}.{}".format(*sys.version_info))
    fields = list(fields)
    fields[_CONSTS] = tuple(
        _import_code(constant[1]) if type(constant) is tuple and len(constant) == 2 and constant[0] == _CODE_MARK else constant
        for constant in fields[_CONSTS]
    )
    return CodeType(*fields)
