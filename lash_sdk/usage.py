"""
Tokens: what one call used, and the ledger rows that a session keeps.

Sums are exact integers. `input` never includes cached tokens and `reasoning`
is a part of `output`, so that `total` counts each token once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar, overload

from .errors import InvalidInput
from .json import Value, frozen

K = TypeVar("K", str, tuple[str, str])


@frozen
class Usage(Value):
    """
    Tokens, by kind; each a whole number of at least zero.

    Attributes:
        input: Prompt tokens that weren't read from a cache.
        output: Answer tokens, reasoning included.
        cache_read: Prompt tokens read from the provider's cache.
        cache_write: Prompt tokens written to the provider's cache.
        reasoning: The part of `output` that was reasoning.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        counts = (self.input, self.output, self.cache_read, self.cache_write, self.reasoning)
        for name, count in zip(_BUCKETS, counts, strict=True):
            if type(count) is not int or count < 0:
                raise InvalidInput(f"usage.{name}: expected an int >= 0, found {count!r}")

    @property
    def total(self) -> int:
        """Every token, counted once."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def context(self) -> int:
        """How many tokens the prompt held, cached or not."""
        return self.input + self.cache_read + self.cache_write

    def __bool__(self) -> bool:
        input, output, reasoning = self.input, self.output, self.reasoning
        return bool(input or output or self.cache_read or self.cache_write or reasoning)

    def __add__(self, other: Usage) -> Usage:
        if self is NOTHING or other is NOTHING:
            return other if self is NOTHING else self
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            reasoning=self.reasoning + other.reasoning,
        )


_BUCKETS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")

NOTHING: Final = Usage()
"""No tokens at all."""


@frozen
class UsageRow(Value, title="usage row"):
    """
    One row of a session's ledger: who spent what, on which model.

    Attributes:
        id: The same on every replay; a store keeps a row once.
        turn: The turn it was spent in.
        source: "turn", a child's label, or a plugin's.
        model: The model that was really called.
        estimated: Whether the provider gave no figures and ours stand in.
    """

    id: str
    turn: str
    session: str
    source: str
    model: str
    usage: Usage
    estimated: bool = False


class Unread(Sequence[UsageRow]):
    """Rows out of a store, which *read* returns once somebody looks at them."""

    __slots__ = ("_read", "_rows")

    def __init__(self, read: Callable[[], Sequence[UsageRow]]) -> None:
        self._read = read
        self._rows: Sequence[UsageRow] | None = None

    @overload
    def __getitem__(self, at: int) -> UsageRow: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[UsageRow]: ...
    def __getitem__(self, at: int | slice) -> UsageRow | Sequence[UsageRow]:
        return self._all()[at]

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def _all(self) -> Sequence[UsageRow]:
        if self._rows is None:
            self._rows = self._read()
        return self._rows


class Ledger:
    """
    A session's rows by id, with their sum.

    A row that's there already is not counted again. Rows are only looked at when
    somebody asks; asking raises what reading one out of a store does.
    """

    def __init__(self, rows: Sequence[UsageRow] = ()) -> None:
        self._rows: dict[str, UsageRow] = {}
        self._total = NOTHING
        self._unread: list[Sequence[UsageRow]] = []
        self.add(rows)

    @property
    def total(self) -> Usage:
        """What all rows come to."""
        self._read()
        return self._total

    @property
    def rows(self) -> tuple[UsageRow, ...]:
        """Every row, oldest first."""
        return tuple(self._read().values())

    def __contains__(self, id: str) -> bool:
        return id in self._read()

    def add(self, rows: Sequence[UsageRow]) -> None:
        """Take in *rows*; those without a token and those already here are left."""
        self._unread.append(rows)

    def _read(self) -> dict[str, UsageRow]:
        for rows in self._unread:
            for row in rows:
                if row.usage and row.id not in self._rows:
                    self._rows[row.id] = row
                    self._total += row.usage
        self._unread.clear()
        return self._rows

    def report(self) -> UsageReport:
        """Return the rows summed by source and model."""
        by = _sums(((row.source, row.model), row.usage) for row in self.rows)
        return UsageReport(usage=self.total, rows=self.rows, by=by)


@frozen
class UsageReport:
    """
    A ledger, summed.

    Attributes:
        usage: What all rows come to; its fields can be read here as well.
        rows: The rows that went into it, oldest first.
        by: The sums, by (source, model).
    """

    usage: Usage
    rows: tuple[UsageRow, ...]
    by: dict[tuple[str, str], Usage]

    @property
    def total(self) -> int:
        """Every token, counted once."""
        return self.usage.total

    @property
    def input(self) -> int:
        """Prompt tokens that weren't read from a cache."""
        return self.usage.input

    @property
    def output(self) -> int:
        """Answer tokens, reasoning included."""
        return self.usage.output

    @property
    def by_source(self) -> dict[str, Usage]:
        """The sums, by source."""
        return _sums((source, usage) for (source, _), usage in self.by.items())

    @property
    def by_model(self) -> dict[str, Usage]:
        """The sums, by model."""
        return _sums((model, usage) for (_, model), usage in self.by.items())


def _sums(spent: Iterable[tuple[K, Usage]]) -> dict[K, Usage]:
    sums: dict[K, Usage] = {}
    for key, usage in spent:
        sums[key] = sums.get(key, NOTHING) + usage
    return sums
