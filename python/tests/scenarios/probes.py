"""Expressions about proxies of all kinds of objects. What comes of them is compared with what comes of them in stock."""

import collections
import collections.abc
import contextlib
import datetime
import decimal
import importlib
import io
import itertools
import numbers
import os
import re
import tempfile
import types
import typing

from scenarios import objects

#: Modules that the expressions use.
MODULES = """
    bisect contextlib copy dataclasses datetime decimal fractions functools heapq inspect io itertools json math numbers operator
    os pathlib pickle pprint pydoc re statistics string struct sys threading types typing urllib.parse weakref
""".split()

# ---- what is asked of each. `p` is the proxy, `q` one of an object made alike, `make` makes more.

EXPRESSIONS = """
p
type(p)
type(p).__name__
type(p).__mro__[-2:]
type(p).__module__
p.__class__
isinstance(p, rpyc.BaseNetref)
kinds(p, BUILTIN)
kinds(p, ABSTRACT)
kinds(p, OTHER)
kinds(p, OURS)
isinstance(5, p)
isinstance(p, p)
isinstance(p, type(p))
isinstance(q, type(p)), type(p) is type(q)
isinstance(make('child'), p)
issubclass(type(p), rpyc.BaseNetref)
issubclass(p, object)
issubclass(p, p)
repr(p)
str(p)
ascii(p)
format(p)
format(p, '>10')
f'{p!r}'
'%s %r' % (p, p)
'{}'.format(p)
'{0.value}'.format(p)
dir(p)
sorted(set(dir(type(p))) & MAGIC)
hash(p) == hash(p)
id(p) == id(p)
bool(p)
not p
p == p
p == q
p != q
p == 5
p == None
p is p
p == make_local()
make_local() == p
p < q
p <= q
p > 5
p >= 5
p in [q]
p in (p,)
{p: 1}[p]
len({p, q})
len(p)
operator.length_hint(p)
iter(p)
list(p)
tuple(p)
sorted(set(p))
sorted(p)
dict(p)
[*p]
{**p}
function(*p)
function(1, **p)
next(p)
next(iter(p))
list(reversed(p))
sum(p)
max(p)
any(p)
all(p)
list(zip(p, p))
list(map(str, p))
list(enumerate(p))
list(itertools.islice(p, 2))
''.join(p)
''.join(map(str, p))
b''.join(p)
1 in p
'a' in p
p[0]
p[-1]
p['a']
p['zz']
p[99]
p[:2]
p[1:]
p[::2]
p[1:2, 3]
p[...]
p[None]
p.__getitem__(0)
p + p
p + q
p + 1
1 + p
p + [1]
[1] + p
'x' + p
p - 1
p - q
p * 2
2 * p
p / 2
p // 2
p % 2
p @ p
p ** 2
pow(p, 2, 7)
divmod(p, 2)
p << 1
p & 1
p | 1
p ^ 1
p | p
p & q
2 / p
2 ** p
-p
+p
~p
abs(p)
round(p)
round(p, 2)
math.floor(p)
math.ceil(p)
math.trunc(p)
int(p)
float(p)
complex(p)
operator.index(p)
bytes(p)
bytearray(p)
memoryview(p)
chr(p)
[10, 11, 12, 13, 14, 15][p]
range(p)
p()
p(1)
p(1, 2, 3, third=4, fourth=5)
p(self=1)
p(wrong=1)
callable(p)
p.__name__
p.__qualname__
p.__module__
p.__doc__
p.__dict__
vars(p)
p.__init__
p.__call__
p.__len__
p.__wrapped__
p.__self__
p.__func__
p.__code__
p.__code__.co_varnames
p.__defaults__
p.__mro__
p.__bases__
p.__slots__
p.__hash__
p.__eq__
p.__str__
p.__repr__()
p.__str__()
p.__sizeof__()
p.__dir__()
p.__reduce__
p.__reduce_ex__(2)
p.__format__('')
p.__iter__()
p.__contains__(1)
p.__new__
p.__eq__(p)
p.__ne__(5)
p.__bool__()
p.__class__.__name__
p.__class__(1)
p.____id_pack__[0]
p.____id_pack__[2] == 0
p.____conn__ is conn
p.____refcount__ > 0
[name for name in ATTRIBUTES if hasattr(p, name)]
getattr(p, 'nothing')
getattr(p, 'nothing', 'default')
getattr(p, 'value', 'default')
p.value
p.broken
p.doubled
p.shared
p.class_method(1)
p.static_method(1)
p.method(1, x=2)
p.method == p.method
p.append(4)
p.keys()
list(p.items())
p.get('a')
p.pop()
p.update({'x': 1})
p.a
p.args
p.code
p.read()
p.readline()
p.readlines()
p.group('letter')
p.elements()
p.most_common(1)
p.isoformat()
p.total_seconds()
p.parent
p.name
p.send(None)
p.throw(ValueError('thrown'))
p.throw(KeyError)
p.close()
p.cr_frame
p.gi_running
list(p.keys()) if hasattr(p, 'keys') else None
p.index(1)
p.sort()
p.copy()
p.count(1)
copy.copy(p)
copy.deepcopy(p)
pickle.dumps(p)[:2]
pickle.loads(pickle.dumps(p))
json.dumps(p)
rpyc.classic.obtain(p)
type(rpyc.classic.obtain(p)) is type(make_local())
list(rpyc.buffiter(p))
rpyc.restricted(p, ['value', '__len__']).value
weakref.ref(p)() is p
functools.partial(p, 1)(2)
functools.reduce(operator.add, p)
functools.wraps(p)(lambda: 1).__name__
inspect.signature(p)
inspect.getdoc(p)
[name for name, test in inspect.getmembers(inspect, inspect.isfunction) if name.startswith('is') and test(p)]
inspect.getmro(p)
inspect.unwrap(p) is p
len(inspect.getmembers(p)) > 0
pydoc.plaintext.document(p)
pydoc.describe(p)
dataclasses.is_dataclass(p)
dataclasses.asdict(p)
[f.name for f in dataclasses.fields(p)]
dataclasses.replace(p, a=5)
os.fspath(p)
pathlib.PurePosixPath(p)
os.path.join('/x', p)
str.__str__(p)
list.append(p, 1)
list.__len__(p)
type(p).__len__(p)
type(p)()
threading.Thread(target=p).run()
collections.Counter(p)
collections.OrderedDict(p)
collections.deque(p)
dict.fromkeys(p)
dict(a=p)['a'] is p
[].__class__(p)
datetime.date(2020, 3, 1) - p
datetime.date(2020, 3, 1) + p
datetime.date(2020, 3, 1) > p
decimal.Decimal(1) + p
fractions.Fraction(1, 2) + p
p == decimal.Decimal('1.5')
re.match(p, 'abc')
p.match('abc').group()
pprint.pformat(p)
statistics.mean(p)
bisect.bisect(p, 2)
heapq.nsmallest(2, p)
string.Template('$a').substitute(p)
urllib.parse.urlencode(p)
struct.pack('i', p)
print(p, file=io.StringIO())
exec(p)
eval('x', {}, p)
setattr(p, 'value', 9), p.value
setattr(p, 'fresh', 9), p.fresh
delattr(p, 'value'), hasattr(p, 'value')
delattr(p, 'nothing')
operator.setitem(p, 0, 'new'), p[0]
operator.setitem(p, slice(0, 1), [7, 8]), p[0]
operator.setitem(p, 'k', p), p['k'] is p
operator.delitem(p, 0), len(p)
operator.delitem(p, 'a')
operator.delitem(p, slice(0, 1)), list(p)
operator.iadd(p, [9]), list(p)
operator.iadd(p, 1)
sorted(map(str, operator.ior(p, {'z': 1})))
operator.imul(p, 2), list(p)
operator.concat(p, p)
operator.countOf(p, 1)
operator.attrgetter('value')(p)
operator.itemgetter(0)(p)
operator.methodcaller('method', 1)(p)
with_(p)
with_raising(p, ValueError('inside'))
raise_(p)
raise_from(p)
except_(p)
star_unpack(p)
match_(p)
for_loop(p)
yield_from(p)
await_(p)
subclass(p)
decorate(p)
conn.builtins.len(p)
conn.builtins.type(p)
conn.builtins.isinstance(p, conn.builtins.list)
conn.builtins.repr(p)
conn.builtins.list([p])[0] is p
conn.builtins.id(p) == conn.builtins.id(p)
conn.builtins.getattr(p, 'value', None)
conn.builtins.iter(p)
conn.builtins.sorted([p, p], key=lambda x: 1)[0] is p
conn.eval('lambda x: x')(p) is p
conn.eval('lambda x: (x, [x])')(p)[0] is p
rpyc.async_(p)
rpyc.async_(p)(1).value
rpyc.timed(p, 5)(1).value
""".strip().splitlines()

#: Names whose presence in a proxy's class decides what Python does with it.
MAGIC = set(
    """
    __abs__ __add__ __aenter__ __aiter__ __and__ __anext__ __await__ __bool__ __bytes__ __ceil__ __complex__
    __contains__ __delitem__ __divmod__ __enter__ __exit__ __float__ __floor__ __format__ __fspath__ __ge__ __get__ __getitem__
    __getnewargs__ __getstate__ __gt__ __iadd__ __index__ __init__ __instancecheck__ __int__ __invert__ __iter__ __le__
    __len__ __length_hint__ __lt__ __matmul__ __missing__ __mod__ __mul__ __neg__ __next__ __pos__ __pow__ __radd__
    __reduce__ __reduce_ex__ __reversed__ __round__ __set__ __setitem__ __setstate__ __sizeof__ __sub__
    __subclasshook__ __truediv__ __trunc__ __xor__ __array__ __array_interface__ __index__ __hash__
""".split()
)


BUILTIN = list, dict, set, tuple, str, int, float, type, Exception, types.FunctionType, types.GeneratorType, types.ModuleType
ABSTRACT = tuple(getattr(collections.abc, name) for name in collections.abc.__all__ if name not in ("ByteString", "Callable"))
OTHER = numbers.Number, numbers.Real, contextlib.AbstractContextManager, os.PathLike, io.IOBase, typing.SupportsInt
OURS = (
    *(objects.Plain, objects.Child, objects.Data, objects.Colour, objects.CustomError, objects.Point),
    *(collections.OrderedDict, collections.Counter, datetime.date, decimal.Decimal),
)
ATTRIBUTES = "value nothing __len__ __array_interface__ __array_struct__ __array__ _private __dict__ __module__".split()


def kinds(p, classes):
    return [cls.__name__ for cls in classes if isinstance(p, cls)]


def with_(p):
    with p as entered:
        return entered


def with_raising(p, error):
    with p:
        raise error
    return "suppressed"


def raise_(p):
    raise p


def raise_from(p):
    raise ValueError("new") from p


def except_(p):
    try:
        raise ValueError("of here")
    except p:
        return "caught"


def star_unpack(p):
    first, *rest = p
    return first, rest


def match_(p):
    match p:
        case {"a": value}:
            return "mapping", value
        case [first, *_]:
            return "sequence", first
        case objects.Plain(value=3):
            return "plain"
        case int():
            return "int"
        case str():
            return "str"
    return "nothing"


def for_loop(p):
    seen = []
    for item in p:
        seen.append(item)
        if len(seen) == 4:
            break
    else:
        seen.append("end")
    return seen


def yield_from(p):
    def outer():
        returned = yield from p
        yield ("returned", returned)

    return list(itertools.islice(outer(), 6))


def await_(p):
    async def main():
        return await p

    try:
        main().send(None)
    except StopIteration as end:
        return end.value
    return "waits"


def subclass(p):
    class Derived(p):
        def extra(self):
            return 1

    return Derived


def decorate(p):
    @p
    def decorated(*args):
        return args

    return decorated


# ---- how it is asked


def _classic(side, path):
    side.serve(side.rpyc.SlaveService, socket_path=path)
    return path


def _make(name):
    return objects.MAKERS[name]()


def outcomes(side, names):
    """What comes of each expression for each object: name, expression, outcome."""
    folder = side.cleanup.enter_context(tempfile.TemporaryDirectory())
    # Nagle's algorithm makes stock slow over TCP.
    conn = side.rpyc.classic.unix_connect(side.far(_classic, f"{folder}/socket"))
    side.cleanup.callback(conn.close)
    far_make = conn.modules["scenarios.probes"]._make
    space = {**vars(objects), **globals(), "rpyc": side.rpyc, "conn": conn, "abc_": collections.abc, "make": far_make}
    for name in MODULES:
        importlib.import_module(name)
        name = name.partition(".")[0]
        space[name] = importlib.import_module(name)
    found = []
    for name in names:
        for expression in EXPRESSIONS:
            proxies = {"p": far_make(name), "make_local": objects.MAKERS[name]}
            if "q" in expression:
                proxies["q"] = far_make(name)
            found.append((name, expression, _outcome(side.rpyc, expression, {**space, **proxies})))
    return found


def _outcome(rpyc, expression, space):
    try:
        return _describe(rpyc, eval(expression, space))
    except BaseException as error:
        text = str(error).partition("\n\n========= Remote Traceback")[0]
        cause = error.__cause__
        return f"{_stable(type(error).__module__)}.{type(error).__name__}: {_stable(text)}" + (
            f" from {type(cause).__name__}" if cause else ""
        )


def _describe(rpyc, value, depth=0):
    kind = type(value)
    if isinstance(value, rpyc.BaseNetref) and issubclass(kind, rpyc.BaseNetref):
        return f"proxy {kind.__name__} {_stable(_text(value))}"
    if kind in (list, tuple) and depth < 4:
        return f"{kind.__name__}({', '.join(_describe(rpyc, item, depth + 1) for item in value)})"
    if kind is dict and depth < 4:
        items = (f"{_describe(rpyc, k, depth + 1)}: {_describe(rpyc, v, depth + 1)}" for k, v in value.items())
        return f"dict({', '.join(items)})"
    return f"{_stable(kind.__module__)}.{kind.__name__} {_stable(_text(value))}"


def _text(value):
    try:
        return repr(value)
    except BaseException as error:
        return f"no repr, {type(error).__name__}"


def _stable(text):
    """Without what is different in each run or bears the name of the implementation."""
    text = re.sub(r"\b0x[0-9a-f]+", "0x", text)
    text = re.sub(r"\bnetref\.(core|utils|lib)\b|\b_netref\b", r"rpyc.\1", text)
    text = re.sub(r"-?\b\d{5,}\b", "N", text)  # an address, or made of one
    text = text.replace("builtins.str '__annotations__', ", "")  # a class has it once somebody has asked
    return text[:3000]
