"""Run by stock's interpreter: every public name of rpyc, what it is and how it is called, and every private one, as JSON.

A name is public if neither it nor what it belongs to begins with an underscore, and it is the module's own: what a module imports
is not, but for what a package takes from its modules, and what gets another name.
"""

import ast
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import sys
import types


def signature(thing):
    """The parameters as (name, kind, default), or None where there is no telling."""
    if not callable(thing):
        return None
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (ValueError, TypeError):
        return None
    return [[p.name, p.kind.name, None if p.default is p.empty else plain(p.default)] for p in parameters]


def plain(value):
    """The text of a default, the same wherever and under whichever name the package is."""
    return re.sub(r"\b(rpyc|netref)\.", "", re.sub(r" at 0x[0-9a-f]+", "", repr(value)))


def constant(value):
    """The text of a constant, or None where that says little."""
    if isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, dict):
        value = tuple(value.items())
    if not isinstance(value, (tuple, frozenset)):
        return None
    items = [constant(item) for item in value]
    return None if None in items else f"{type(value).__name__}: {', '.join(items if type(value) is tuple else sorted(items))}"


def kind(thing):
    if isinstance(thing, types.ModuleType):
        return "module"
    if isinstance(thing, type):
        return "class"
    return "function" if callable(thing) else "value"


def is_optional_import(statement):
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "safe_import"


def statements(tree):
    """The statements of a module, also those under conditions, but none of functions and classes."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.expr)):
            yield from statements(node)


def names_made_by(module):
    """Names that statements of the module make, imports left out but for those said above."""
    is_package = hasattr(module, "__path__")
    made = set()
    imported = set()
    for node in statements(ast.parse(pathlib.Path(module.__file__).read_text())):
        if isinstance(node, ast.ImportFrom):
            inner = (node.module or "").split(".")[0] == "rpyc" or node.level
            for alias in node.names:
                is_made = (is_package and inner) or alias.asname not in (None, alias.name)
                (made if is_made else imported).add(alias.asname or alias.name)
        elif isinstance(node, ast.Assign) and not is_optional_import(node):
            names = (n for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
            made |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return made - imported


def members(cls):
    """Public attributes of the class's own, and those that its methods give to instances."""
    found = {name: member for name, member in vars(cls).items() if not name.startswith("_")}
    for name in instance_attributes(cls):
        if not name.startswith("_"):
            found.setdefault(name, None)
    for name, member in found.items():
        is_slot = isinstance(member, types.MemberDescriptorType) or (member is None and name not in vars(cls))
        if is_slot or isinstance(member, property):
            yield name, "attribute", None
        else:
            thing = getattr(cls, name)
            is_method = inspect.isroutine(thing)
            yield name, "method" if is_method else "attribute", signature(thing) if is_method else constant(thing)


def instance_attributes(cls):
    """What methods assign to attributes of their first argument."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = {}
    for node in ast.walk(tree):
        is_self = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
        if is_self and node.value.id == "self":
            found[node.attr] = None
    return list(found)


def names_of(module):
    """(name, kind, signature) of everything public in a module."""
    made = names_made_by(module)
    for name, thing in vars(module).items():
        origin = str(getattr(thing, "__module__", "")) if isinstance(thing, (type, types.FunctionType)) else ""
        own = origin == module.__name__
        taken = hasattr(module, "__path__") and origin.startswith("rpyc.")
        if name.startswith("_") or not (own or taken or name in made):
            continue
        if isinstance(thing, types.ModuleType) and (not thing.__name__.startswith("rpyc.") or is_submodule(thing, module)):
            continue
        what = kind(thing)
        yield name, what, constant(thing) if what == "value" else signature(thing)
        if own and isinstance(thing, type) and thing.__qualname__ == name:
            for member, what, how in members(thing):
                yield f"{name}.{member}", what, how


def is_submodule(thing, module):
    """Those are listed as modules."""
    return thing.__name__.rpartition(".")[0] == module.__name__


def private_names_of(module):
    """Names with one underscore: of the module, of its classes, and of their instances."""
    made = names_made_by(module)
    for name, thing in vars(module).items():
        own = getattr(thing, "__module__", None) == module.__name__
        if is_private(name) and (own or name in made):
            yield name
        if own and isinstance(thing, type):
            for member in dict.fromkeys([*vars(thing), *instance_attributes(thing)]):
                if is_private(member) and not member.startswith(f"_{name}__"):
                    yield f"{name}.{member}"


def is_private(name):
    return re.match("_[^_]", name)


def modules(package):
    top = importlib.import_module(package)
    for name in [package] + sorted(m.name for m in pkgutil.walk_packages(top.__path__, package + ".")):
        yield name, importlib.import_module(name)


def walk(package):
    for module_name, module in modules(package):
        yield module_name, "module", None
        for name, what, how in names_of(module):
            yield f"{module_name}.{name}", what, how


def walk_private(package):
    for module_name, module in modules(package):
        for name in private_names_of(module):
            yield f"{module_name}.{name}"


if __name__ == "__main__":
    json.dump({"public": list(walk("rpyc")), "private": list(walk_private("rpyc"))}, sys.stdout)
