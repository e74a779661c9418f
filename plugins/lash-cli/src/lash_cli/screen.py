"""
Who is shown a turn: a person at a terminal, or a program that reads JSON lines.

The answer goes to standard output, all else to standard error, so that the answer
alone can be piped on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from lash_sdk import events
from lash_sdk.events import event_to_json
from lash_sdk.outcomes import Cancelled, Failure, Finished, HandedOff, Stopped, Success

from .words import arguments, clean, short, value

if TYPE_CHECKING:
    from lash_sdk.events import SessionEvent
    from lash_sdk.outcomes import ToolOutcome, ToolRecord
    from lash_sdk.session import TurnRecord

Watch = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""

MARKS: Final = {"success": "✓", "failure": "✗", "cancelled": "■"}


class Screen(Protocol):
    """Whoever is shown a turn."""

    def show(self, event: SessionEvent) -> None:
        """Take one event of the turn."""
        ...

    def finish(self, record: TurnRecord) -> None:
        """Take the turn as it went, once it's over."""
        ...

    def note(self, text: str) -> None:
        """Say something that's no part of the answer."""
        ...

    def progress(self, what: str) -> Any:
        """Return a context manager that gives a `Watch` and shows how far *what* is."""
        ...


class JsonLines:
    """One event a line; the last line is the turn's record, as "TurnRecord"."""

    def show(self, event: SessionEvent) -> None:
        """Print the event."""
        _print_json(event_to_json(event))

    def finish(self, record: TurnRecord) -> None:
        """Print the record."""
        _print_json({"event": "TurnRecord", **record.to_json()})

    def note(self, text: str) -> None:
        """Print it to standard error."""
        print(clean(text), file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, what: str) -> Generator[Watch]:
        """Show nothing."""
        yield lambda done, total: None


class Terminal:
    """Streamed text, tool calls as they run, and a line at the end."""

    def __init__(self) -> None:
        from rich.console import Console

        self._notes = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = self._notes.is_terminal
        self._spinner: Any = None
        self._running: dict[str, str] = {}
        self._said = ""
        self._started = time.monotonic()

    def show(self, event: SessionEvent) -> None:
        """Print what a person wants to see of the event."""
        match event:
            case events.TurnStarted():
                self._started = time.monotonic()
            case events.ModelStarted():
                self._said = ""
                self._spin(f"asking {event.model}")
            case events.TextDelta():
                self._spin("")
                self._write(event.text)
            case events.AnswerRetracted():
                self.note("(that answer broke off)", style="yellow")
                self._said = ""
            case events.RetryWaiting():
                tries = f"attempt {event.attempt} of {event.attempts}"
                text = f"{tries} failed, again in {event.seconds:g} s: {short(event.reason, 200)}"
                self.note(text, style="yellow")
            case events.ToolStarted():
                self._running[event.call] = f"{event.name}({arguments(event.arguments)})"
                self._show_running()
            case events.ToolProgressed():
                self._show_progress(event)
            case events.ToolEnded():
                self._running.pop(event.record.call, None)
                self.note(tool_line(event.record), style="dim")
                self._show_running()
            case events.PluginEmitted():
                self.note(f"{event.plugin}: {event.name} {value(event.body)}", style="dim")
            case events.PluginFailed():
                off = "; its hooks are off from now on" if event.off else ""
                self.note(f"warning: {event.message}{off}", style="yellow")
            case events.Gap():
                self.note(f"({event.dropped} events went by too fast to be shown)", style="dim")
            case _:
                return

    def finish(self, record: TurnRecord) -> None:
        """Print what wasn't streamed of the answer, how the turn ended, and its cost."""
        self._spin("")
        outcome = record.outcome
        if isinstance(outcome, Finished):
            whole = outcome.text
            if outcome.tool is not None and not whole:
                whole = value(outcome.value)
            if whole and whole != self._said:
                self._end_line()
                self._write(whole)
        self._end_line()
        failed = isinstance(outcome, Stopped) and outcome.reason == "provider_error"
        if not isinstance(outcome, Finished) and not failed:  # an error will say it
            self.note(ending_line(outcome), style="yellow")
        self.note(self._summary(record), style="dim")

    def note(self, text: str, *, style: str = "") -> None:
        """Print a line of its own to standard error."""
        self._spin("")
        self._end_line()
        self._notes.print(clean(text), style=style or None, markup=False)

    @contextmanager
    def progress(self, what: str) -> Generator[Watch]:
        """Show a bar at a terminal; elsewhere a line at each quarter."""
        if self._live:
            yield from self._bar(what)
            return
        shown = -1
        self.note(f"{what} …")

        def watch(done: int, total: int) -> None:
            nonlocal shown
            quarter = 4 * done // max(total, 1)
            if quarter > shown >= 0:
                self.note(f"{what} … {25 * quarter} %")
            shown = max(shown, quarter)

        yield watch

    def _bar(self, what: str) -> Iterator[Watch]:
        from rich.progress import Progress

        with Progress(console=self._notes, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _summary(self, record: TurnRecord) -> str:
        usage, calls = record.usage, len(record.tool_calls)
        parts = [
            f"session {record.session}, turn {record.index}",
            f"{usage.input + usage.cache_read + usage.cache_write} tokens in, {usage.output} out",
        ]
        if calls:
            parts.append(f"{calls} tool call{'s' if calls > 1 else ''}")
        parts.append(f"{time.monotonic() - self._started:.1f} s")
        return "— " + " · ".join(parts)

    def _show_running(self) -> None:
        if not self._running:
            self._spin("")
        elif self._live:
            self._spin("  ".join(self._running.values()))
        else:
            self.note(f"→ {list(self._running.values())[-1]}")

    def _show_progress(self, event: events.ToolProgressed) -> None:
        line = f"{event.name}: {short(event.text)}"
        if self._live:
            self._spin(line)
        else:
            self.note(f"  {line}")

    def _spin(self, text: str) -> None:
        """Show that something runs, at a terminal; nothing runs if *text* is empty."""
        if not self._live:
            return
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None
        if text:
            from rich.text import Text

            self._end_line()
            self._spinner = self._notes.status(Text(clean(text), style="dim"))
            self._spinner.start()

    def _write(self, text: str) -> None:
        self._said += text
        sys.stdout.write(clean(text))
        sys.stdout.flush()

    def _end_line(self) -> None:
        """Begin a new line if the text so far doesn't end with one."""
        if self._said and not self._said.endswith("\n"):
            self._said += "\n"
            sys.stdout.write("\n")
            sys.stdout.flush()


def tool_line(record: ToolRecord) -> str:
    """Return one call as it went, on a line."""
    mark = MARKS[record.outcome.kind]
    took = f"  ({record.seconds:.1f} s)" if record.seconds else ""
    said = outcome_text(record.outcome)
    return f"{mark} {record.name}({arguments(record.arguments)}) → {said}{took}"


def outcome_text(outcome: ToolOutcome) -> str:
    """Return what came of a call, on a line."""
    match outcome:
        case Success():
            return value(outcome.value)
        case Failure():
            return f"{outcome.reason}: {short(outcome.message, 120)}"
        case Cancelled():
            return outcome.message


def ending_line(outcome: Finished | HandedOff | Stopped) -> str:
    """Return how a turn ended, on a line."""
    match outcome:
        case Finished():
            by = f" by {outcome.tool}: {value(outcome.value)}" if outcome.tool else ""
            return f"finished{by}"
        case HandedOff():
            return f"handed off to session {outcome.session!r}"
        case Stopped():
            why = f": {short(outcome.message, 300)}" if outcome.message else ""
            return f"stopped ({outcome.reason}){why}"


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()
