"""
Holders of a claim that are stopped, lose it without knowing, and go on.

A stopped process lives, so its claim does too, until something takes the lock from it
behind its back. Then its journal has to be refused by its generation, before the effect
that the row is for; and its commit is the compare-and-swap's to decide.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from lash_sdk.testing.store_crew import Answer, Child, Crew
from lash_sdk.testing.store_place import Place


@dataclass(slots=True)
class Haunting:
    """
    What zombies did.

    Attributes:
        zombies: Those that lost their claim and tried to write and to commit.
        won: Those among them whose commit was the first.
        sleepers: Those that kept their claim all along.
    """

    zombies: int = 0
    won: int = 0
    sleepers: int = 0
    broken: list[str] = field(default_factory=list)

    def expect(self, what: str, wanted: str, answer: Answer) -> None:
        """Note where a command ended otherwise than it had to; "" for well."""
        if answer.error != wanted:
            found = answer.error or answer.value
            self.broken.append(f"{what}: expected {wanted or 'success'}, found {found!r}")


async def haunt(
    place: Place, sever: Callable[[], None], crew: Crew, rounds: int, dice: Random
) -> Haunting:
    """Return what came of so many stopped processes; *sever* takes every lock away."""
    seen = Haunting()
    for number in range(rounds):
        with crew.working(2) as (one, two):
            for child in (one, two):
                await child.enter(place)
            if dice.randrange(4):
                await _zombie(seen, (one, two), sever, f"z{number}", first=dice.randrange(2) == 1)
            else:
                await _sleeper(seen, (one, two), f"z{number}")
    return seen


async def _begin(seen: Haunting, child: Child, session: str) -> None:
    seen.expect("first commit", "", await child.ask("commit", session, 0))
    seen.expect("claim", "", await child.ask("claim", session))
    seen.expect("journal", "", await child.ask("journal_put", session, "before"))


async def _sleeper(seen: Haunting, children: tuple[Child, Child], session: str) -> None:
    """A stopped holder keeps its claim, and goes on with it."""
    sleeper, other = children
    await _begin(seen, sleeper, session)
    _signal(sleeper, signal.SIGSTOP)
    seen.expect("claim of a sleeper's", "SessionBusy", await other.ask("claim", session))
    _signal(sleeper, signal.SIGCONT)
    seen.expect("its journal", "", await sleeper.ask("journal_put", session, "after"))
    seen.expect("its commit", "", await sleeper.ask("commit", session, 1))
    seen.sleepers += 1


async def _zombie(
    seen: Haunting,
    children: tuple[Child, Child],
    sever: Callable[[], None],
    session: str,
    *,
    first: bool,
) -> None:
    """A holder whose lock was taken writes no journal; *first* it commits, or its heir."""
    zombie, heir = children
    await _begin(seen, zombie, session)
    _signal(zombie, signal.SIGSTOP)
    sever()
    zombie.tell("journal_put", session, "after")  # what it'll do first when it wakes up
    seen.expect("claim of a zombie's", "", await heir.ask("claim", session))
    seen.expect("the heir's journal", "", await heir.ask("journal_put", session, "heir"))
    if not first:
        seen.expect("the heir's commit", "", await heir.ask("commit", session, 1))
    _signal(zombie, signal.SIGCONT)
    seen.expect("a zombie's journal", "SessionBusy", await zombie.answer())
    late = await zombie.ask("commit", session, 1, f"{session} zombie")
    seen.expect("a zombie's commit", "" if first else "RevisionConflict", late)
    if first:
        refused = await heir.ask("commit", session, 1)
        seen.expect("the heir's late commit", "RevisionConflict", refused)
    seen.expect("a zombie's release", "", await zombie.ask("release", session))
    seen.expect("the heir's next row", "", await heir.ask("journal_put", session, "next"))
    seen.zombies += 1
    seen.won += first


def _signal(child: Child, number: int) -> None:
    os.kill(child._process.pid, number)  # pyright: ignore[reportPrivateUsage] - nobody else needs it
