"""What netref promises, as tables of ratios that one run can check."""

from dataclasses import dataclass

from .operations import OPERATIONS
from .ratios import Ratio

TIMES = "\N{MULTIPLICATION SIGN}"
#: The figures of summaries that promises are about, and how they are read.
FIGURES = {
    "times_floor": f"{TIMES} floor",
    "wall_vs_stock": f"{TIMES} stock",
    "cpu_vs_stock": f"{TIMES} stock (CPU)",
    "times_slower_pure": f"{TIMES} the slower pure pairing",
    "slowest_ms": "ms at worst",
    "bytes_client": "bytes, client",
    "bytes_server": "bytes, server",
    "left_client": "left, client",
    "left_server": "left, server",
}
BY_CPU = {"times_floor": "cpu_times_floor", "wall_vs_stock": "cpu_vs_stock", "times_slower_pure": "cpu_times_slower_pure"}


@dataclass(frozen=True)
class Bound:
    figure: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def text(self):
        sign, value = ("≥", self.at_least) if self.at_most is None else ("≤", self.at_most)
        return f"{sign} {value:g} {FIGURES[self.figure]}"

    def met_by(self, measured):
        return measured >= self.at_least if self.at_most is None else measured <= self.at_most


@dataclass(frozen=True)
class Row:
    operation: str
    pairing: str
    bounds: tuple[Bound, ...]
    placement: str = "pinned"


@dataclass(frozen=True)
class Table:
    key: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Verdict:
    row: Row
    measured: tuple[float | None, ...]  # one for each bound
    by_cpu: tuple[float | None, ...]  # the same ratios of CPU time, which others on the machine disturb less
    stock_times_floor: float | None

    @property
    def word(self):
        if None in self.measured:
            return "UNMEASURED"
        met = all(bound.met_by(value) for bound, value in zip(self.row.bounds, self.measured, strict=True))
        return "PASS" if met else "FAIL"


def floor(value):
    return Bound("times_floor", at_most=value)


def stock(value):
    return Bound("wall_vs_stock", at_least=value)


NOT_SLOWER = stock(1)

PYTHON = (
    Row("echo", "netref", (floor(1.1), stock(15))),
    Row("method", "netref", (floor(1.1), stock(15))),
    Row("bound", "netref", (floor(1.05), stock(5))),
    Row("callback", "netref", (floor(1.05), stock(6))),
    Row("iterate", "netref", (floor(5), stock(600))),
    Row("lines", "netref", (floor(1.2), stock(10))),
    Row("new-object", "netref", (floor(1.3), stock(25))),
    Row("async", "netref", (floor(1.0), stock(28))),
    Row("batch", "netref", (floor(0.8),)),
    Row("bytes-random", "netref", (floor(1.3), stock(50))),
    Row("bytes-text", "netref", (floor(1.3), stock(10))),
    Row("copy", "netref", (floor(1.0), stock(4.8))),
    Row("array", "netref", (floor(1.3),)),
    Row("connect", "netref", (floor(1.6), stock(3.3))),
    Row("connections", "netref", (floor(1.5), stock(8))),
    Row("references", "netref", (Bound("bytes_client", at_most=200), Bound("bytes_server", at_most=350))),
    Row("references", "netref", (Bound("left_client", at_most=0.1), Bound("left_server", at_most=0.1))),
)

RUST = (
    Row("echo", "rust", (floor(1.1),)),
    Row("echo", "rust-tokio", (floor(1.5),)),
    Row("callback", "rust", (floor(1.1),)),
    Row("callback", "rust-tokio", (floor(1.5),)),
    Row("async", "rust-tokio", (floor(1.5),)),
    Row("bytes-random", "rust", (floor(1.15),)),
    Row("connect", "rust", (floor(0.9),)),
    Row("lines", "rust", (floor(1.1),)),
    Row("connections", "rust", (floor(0.9),)),
    *(
        Row(operation, pairing, (Bound("times_slower_pure", at_most=1),))
        for pairing in ("rust:netref", "netref:rust")
        for operation in ("echo", "callback", "bytes-random", "lines", "connect")
    ),
)

TIMED = [key for key, operation in OPERATIONS.items() if not operation.takes_memory]
HAVE_STOCK = [key for key in TIMED if key not in ("batch", "array")]


def factor(operation, wanted):
    return next((bound.at_least for row in wanted if row.operation == operation for bound in row.bounds if bound.at_least), 1)


AGAINST_STOCK = (
    Row("echo", "netref:stock", (stock(7),)),
    Row("callback", "netref:stock", (stock(2.3),)),
    Row("iterate", "netref:stock", (stock(40),)),
    *(Row(key, "netref:stock", (NOT_SLOWER,)) for key in HAVE_STOCK if key not in ("echo", "callback", "iterate")),
    Row("churn", "netref:stock", (Bound("slowest_ms", at_most=5),)),
    Row("echo", "stock:netref", (stock(2),)),
)

UNPINNED = (
    *(Row(key, "netref", (NOT_SLOWER, Bound("cpu_vs_stock", at_least=factor(key, PYTHON))), "unpinned") for key in HAVE_STOCK),
    *(Row(key, "netref:stock", (NOT_SLOWER,), "unpinned") for key in HAVE_STOCK),
)

#: A bare program that blocks, with the same neighbour, is the floor here.
CONTENDED = (
    *(Row(key, "netref", (floor(1.1), NOT_SLOWER), "contended") for key in ("bound", "callback")),
    Row("echo", "netref", (NOT_SLOWER,), "contended"),
    *(Row(key, "netref:stock", (NOT_SLOWER,), "contended") for key in ("echo", "bound", "callback")),
    *(Row(key, "rust", (floor(1.1),), "contended") for key in ("echo", "callback")),
    Row("busy", "netref", (floor(1.1), NOT_SLOWER)),
)

TABLES = (
    Table("python", "Python at both ends", PYTHON),
    Table("rust", "Rust", RUST),
    Table("stock", "Against stock RPyC", AGAINST_STOCK),
    Table("unpinned", "Not pinned", UNPINNED),
    Table("contended", "Beside something that computes", CONTENDED),
)


def judge(summaries):
    """`summaries` maps placement to operation key to pairing key to Summary. Table key -> a verdict for each row whose
    operation was to be measured in its placement."""
    return {
        table.key: [
            verdict(row, summaries[row.placement]) for row in table.rows if row.operation in summaries.get(row.placement, ())
        ]
        for table in TABLES
    }


def verdict(row, operations):
    pairings = operations.get(row.operation, {})
    measured = tuple(value_of(pairings.get(row.pairing), bound.figure) for bound in row.bounds)
    by_cpu = tuple(value_of(pairings.get(row.pairing), BY_CPU.get(bound.figure, "")) for bound in row.bounds)
    return Verdict(row, measured, by_cpu, value_of(pairings.get("stock"), "times_floor"))


def value_of(summary, figure):
    value = getattr(summary, figure, None)
    return value.median if isinstance(value, Ratio) else value


def lines(verdicts):
    """The tables, in Markdown."""
    for table in TABLES:
        if verdicts[table.key]:
            yield f"**{table.title}**"
            yield ""
            yield f"| work | client and server | stock, {TIMES} floor | measured | by CPU time | required | |"
            yield "|---|---|--:|---|---|---|---|"
            yield from map(line, verdicts[table.key])
            yield ""


def line(verdict):
    row = verdict.row
    measured = ", ".join(
        f"{number(value)} {FIGURES[bound.figure]}" for bound, value in zip(row.bounds, verdict.measured, strict=True)
    )
    by_cpu = ", ".join(number(value) for value in verdict.by_cpu if value is not None)
    required = ", ".join(bound.text for bound in row.bounds)
    stock_figure = number(verdict.stock_times_floor) if verdict.stock_times_floor else ""
    title = OPERATIONS[row.operation].title
    return f"| {title} | {row.pairing} | {stock_figure} | {measured} | {by_cpu} | {required} | {verdict.word} |"


def number(value):
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
