"""Every planted fault by its name, so that it can be planted in another process too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from . import planted, planted_sql

Plant = Callable[[], AbstractContextManager[None]]

FAULTS: Final[dict[str, Plant]] = {
    "inbox apart": planted.inbox_apart,
    "intent late": planted.intent_late,
    "report runs again": planted.report_runs_again,
    "no operation id": planted.no_operation_id,
    "not shielded": planted.not_shielded,
    "not asked again": planted.not_asked_again,
    "journal kept": planted.journal_kept,
    "told first": planted.told_first,
    "sql: parts apart": planted_sql.parts_apart,
    "sql: journal apart": planted_sql.journal_cleared_apart,
    "sql: told first": planted_sql.told_before_it_is_written,
    "sql: full is any error": planted_sql.full_is_any_error,
    "sql: journal not written": planted_sql.journal_not_written,
    "sql: not flushed": planted_sql.not_flushed,
    "sql: never flushed": planted_sql.never_flushed,
    "sql: blind rollback": planted_sql.blind_rollback,
    "sql: written anywhere": planted_sql.written_anywhere,
}

FAILING: Final = (
    "inbox apart",
    "no operation id",
    "not shielded",
    "not asked again",
    "journal kept",
    "told first",
)
"""Those that A1 has to find, on every store."""

KILLED: Final = {
    "inbox apart": "journal_put#5.before",
    "intent late": "tool.note#1.effect",
    "report runs again": "journal_put#4.before",
    "no operation id": "commit#1.inside",
    "journal kept": "commit#1.inside",
    "told first": "commit#1.inside",
}
"""Those that A2 has to find, each with a point at which it shows; slow lanes look for one."""
