"""
Files of older versions, brought up to date.

A file says in its header which version of the tables it has. Each step makes one
version out of the one before; a file takes all the steps that it lacks in one
transaction, so that it's never left between two versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

STEPS: Final[Mapping[int, str]] = {}
"""
The SQL that makes each version out of the one before it, by the version it makes.

There's none yet: versions count from the first release that's tagged.
"""


def migrate(db: apsw.Connection, version: int, steps: Mapping[int, str]) -> None:
    """
    Bring the tables of *db* up to *version*, or change nothing.

    Whoever comes second finds it done.

    Raises:
        apsw.Error: A step failed, or somebody else holds the lock.
    """
    db.execute("begin immediate")
    try:
        for number in range(db.pragma("user_version") + 1, version + 1):
            db.execute(steps[number])
            db.pragma("user_version", number)
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise
