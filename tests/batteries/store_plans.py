"""What the state machine asks of its stores: commits, whole and broken, drawn from bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from lash_sdk.commits import Commit, Component, PluginRow
from lash_sdk.graph import Content, Node, Note, Raw, chain
from lash_sdk.json import Json
from lash_sdk.messages import Blob, assistant, user
from lash_sdk.usage import Usage, UsageRow

from .store_model import Model, canonical

T = TypeVar("T")

VALUES: Final[tuple[Content, ...]] = (
    user("hello"),
    assistant("hello yourself"),
    user("\ud800 \0 \u2028 é"),
    Note(plugin="p", type="t", body={"b": [1, True, None], "a": 1.0}),
    Raw(kind="later", body={"unknown": "kind"}),
)
BODIES: Final[tuple[Json, ...]] = ({"a": 1, "b": 2}, "two", 1, True, 1.0, "", [], {"lc": 2}, None)
BLOBS: Final = tuple([Blob.of(b"blob %d" % n * (n + 1), "text/plain") for n in range(4)])
UNKNOWN: Final = replace(Blob.of(b"nobody has these bytes", "text/plain"), data=None)
NAMES: Final = ("policy", "tools", "plugin/p")
KEYS: Final = ("k9", "k1", "k5", "%", "a")


class Dice:
    """Choices from bytes; zeros choose what's simplest, so that failures shrink to it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        """Return the next byte."""
        at, self._at = self._at, self._at + 1
        return self._data[at % len(self._data)] + at // len(self._data)

    def of(self, choices: Sequence[T]) -> T:
        """Return one of *choices*."""
        return choices[self.number() % len(choices)]

    def once_in(self, times: int) -> bool:
        """Return True that often."""
        return self.number() % times == times - 1

    def some(self, choices: Sequence[T]) -> list[T]:
        """Return a few of *choices*, each at most once, in their order."""
        return [each for each in choices if self.once_in(3)]

    def __repr__(self) -> str:
        return f"Dice({self._data!r})"


@dataclass(slots=True)
class Plans:
    """
    Makes up commits that fit, or nearly fit, what the model knows.

    Attributes:
        next: The number of the next turn.
        due: The turn that a session's next commit is for, where something waits for it.
        landed: Every commit that was taken, by session and operation.
        lines: What forks come from, those included that are gone.
    """

    model: Model
    next: int
    due: dict[str, str]
    landed: dict[tuple[str, str], Commit]
    lines: dict[str, set[str]]

    def turn(self) -> str:
        """Return a turn id that nobody has."""
        self.next += 1
        return f"t{self.next}"

    def due_of(self, session: str) -> str:
        """Return the turn that the session's next commit is for."""
        return self.due.setdefault(session, self.turn())

    def fresh_id(self, dice: Dice) -> str:
        """Return a session id that nobody has had."""
        self.next += 1
        return f"{dice.of(('a_', 'a%', 'A_', 'b', 'é'))}{self.next}"

    def commit(self, session: str, dice: Dice) -> Commit:
        """Return a commit that has to land on the session's head."""
        model = self.model
        found = model.sessions.get(session)
        head = found.head if found else None
        operation, prefix = self._operation(session, dice)
        ends, told = model.ends(session), model.told(session)
        leaf = head.leaf if head else None
        restore = dice.of(ends) if ends and dice.once_in(6) else None
        if restore is not None:
            leaf = restore
        elif told and dice.once_in(4):
            leaf = dice.of(told)
        elif dice.once_in(20):
            leaf = None
        nodes = chain(prefix, leaf, [dice.of(VALUES) for _ in range(dice.of((1, 2, 3, 0)))])
        turns = head.turns if head else 0
        return Commit(
            session=session,
            expected=head.revision if head else 0,
            operation=operation,
            turns=turns + 1,
            nodes=nodes,
            leaf=nodes[-1].id if nodes else leaf,
            components=self._components(dice),
            blobs=self._blobs(dice),
            usage=self._usage(session, operation, dice),
            consumed=tuple(dice.some(list(found.waiting)) if found else ()),
            children=tuple(dice.some(model.children(session, operation))),
            rows=tuple(
                [PluginRow(plugin="p", name=n, body=dice.of(BODIES)) for n in dice.some("xy")]
            ),
            restore=restore,
            turn=operation if dice.once_in(2) else dice.of([*self._turns(session), None]),
        )

    def _operation(self, session: str, dice: Dice) -> tuple[str, str]:
        """Return an operation id that's new to the session, and its nodes' prefix."""
        mine = {operation for owner, operation in self.landed if owner == session}
        due = [turn for owner, turn in self.due.items() if owner != session]
        others = [operation for owner, operation in self.landed if owner != session]
        foreign = [pool for ids in (due, others) if (pool := [id for id in ids if id not in mine])]
        if foreign and dice.once_in(8):
            return dice.of(dice.of(foreign)), self.turn()
        operation = self.due.get(session) or self.turn()
        return operation, self.turn() if dice.once_in(8) else operation

    def _turns(self, session: str) -> list[str]:
        return sorted({turn for turn, _, _ in self.model.journals.get(session, ())})

    def _components(self, dice: Dice) -> tuple[Component, ...]:
        return tuple(
            Component(name=name, version=1 + dice.number() % 2, value=dice.of(BODIES))
            for name in dice.some(NAMES)
        )

    def _blobs(self, dice: Dice) -> tuple[Blob, ...]:
        known = self.model.blobs
        return tuple(
            replace(blob, data=None) if blob.sha256 in known and dice.once_in(2) else blob
            for blob in dice.some(BLOBS)
        )

    def _usage(self, session: str, operation: str, dice: Dice) -> tuple[UsageRow, ...]:
        found = self.model.sessions.get(session)
        again = dice.some(found.usage[-2:]) if found else []
        fresh = [f"{operation}/{n}" for n in dice.some("12")]
        return (*again, *[spent(id, operation, session, dice.number()) for id in fresh])

    def remember(self, commit: Commit) -> None:
        """Note a commit that was taken."""
        self.landed[commit.session, commit.operation] = commit
        if self.due.get(commit.session) == commit.operation:
            del self.due[commit.session]

    def past(self, dice: Dice) -> Commit | None:
        """Return a commit that was taken, of a session that's there."""
        alive = [c for (owner, _), c in self.landed.items() if owner in self.model.sessions]
        return dice.of(alive[-20:]) if alive else None

    def broken(self, commit: Commit, dice: Dice) -> Iterator[Commit]:
        """Yield *commit* with one thing wrong, for each thing that can be here."""
        session, nodes = commit.session, commit.nodes
        taken = list(self.model.nodes)
        base = nodes[0].parent if nodes else commit.leaf
        if taken:
            node = Node.of(dice.of(taken), base, VALUES[0])
            yield replace(commit, nodes=(node,), leaf=node.id, restore=None)
        for above in ("nowhere:0", *self._unseen(session)[-2:]):
            lost = chain(self.turn(), above, VALUES[:1])
            yield replace(commit, nodes=lost, leaf=lost[0].id, restore=None)
            yield replace(commit, restore=above)
            yield replace(commit, nodes=(), leaf=above, restore=None)
        inside = [id for id in self.model.told(session) if id not in self.model.ends(session)]
        if inside:
            yield replace(commit, restore=dice.of(inside))
        yield replace(commit, leaf="nowhere:0" if nodes else "nowhere:1")
        yield replace(commit, consumed=(*commit.consumed, "never sent"))
        if commit.consumed:
            yield replace(commit, consumed=commit.consumed * 2)
        children = self.model.children(session, commit.operation)
        strangers = [id for id in self.model.sessions if id not in children]
        yield replace(commit, children=(*commit.children, dice.of([*strangers, "nobody"])))
        yield replace(commit, blobs=(*commit.blobs, UNKNOWN))
        nan = float("nan")
        yield replace(commit, components=(Component(name="nan", version=1, value=[nan]),))
        yield replace(commit, rows=(PluginRow(plugin="p", name="nan", body={"a": nan}),))

    def _unseen(self, session: str) -> list[str]:
        """Return nodes of sessions that this one doesn't come from."""
        line = self.lines.get(session, {session})
        nodes = self.model.nodes.items()
        return [id for id, written in nodes if written.head.session not in line]


def spent(id: str, turn: str, session: str, tokens: int) -> UsageRow:
    """Return a ledger row."""
    usage = Usage(input=tokens + 1)
    return UsageRow(id=id, turn=turn, session=session, source="turn", model="m", usage=usage)


def turned(value: Json) -> Json:
    """Return the same JSON with its keys in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(list(value))}
    return value


def same(commit: Commit, dice: Dice) -> Commit:
    """Return the same commit in other words: what isn't in its body, and orders of keys."""
    components = tuple([replace(c, value=turned(c.value)) for c in commit.components])
    rows = tuple([replace(row, body=turned(row.body)) for row in commit.rows])
    expected = commit.expected + dice.number() % 3
    return replace(commit, components=components, rows=rows, expected=expected, at=9.0, turn=None)


def other(commit: Commit, dice: Dice) -> Commit:
    """Return another commit under the same operation id."""
    changes: list[Callable[[], Commit]] = [
        lambda: replace(commit, turns=commit.turns + 1),
        lambda: replace(commit, leaf="elsewhere:0"),
        lambda: replace(commit, consumed=(*commit.consumed, "more")),
        lambda: replace(commit, usage=(*commit.usage, spent("more", "t", "s", 1))),
        lambda: replace(commit, blobs=(*commit.blobs, UNKNOWN)),
        lambda: replace(commit, components=tuple(map(_otherwise, commit.components))),
        lambda: replace(commit, rows=tuple([replace(r, body=like(r.body)) for r in commit.rows])),
    ]
    changed = dice.of(changes)()
    return changed if canonical(changed) != canonical(commit) else changes[0]()


def _otherwise(component: Component) -> Component:
    return replace(component, value=like(component.value))


def like(value: Json) -> Json:
    """Return JSON that Python takes for equal, where there is any."""
    if value is True or isinstance(value, float):
        return 1
    return True if value == 1 else [value]
