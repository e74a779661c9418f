"""
What observers see, as JSON for a machine to read.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from lash_sdk import events
from lash_sdk.events import SessionEvent, event_to_json
from lash_sdk.json import encode
from lash_sdk.messages import Image, user
from lash_sdk.outcomes import Cancelled, Finished, Stopped, ToolRecord
from lash_sdk.usage import Usage, UsageRow

ROW = UsageRow(id="t/2", turn="t", session="s", source="turn", model="m", usage=Usage(input=1))
RECORD = ToolRecord(call="c", name="n", arguments={}, outcome=Cancelled())
SAMPLES: dict[str, Any] = {
    "row": ROW,
    "record": RECORD,
    "messages": (user("hi"), user([Image.of(b"pixel")])),
    "outcome": Stopped(reason="cancelled"),
    "body": {"a": [1, None]},
    "seconds": 1.5,
    "off": True,
    "of": events.Gap(dropped=1),
    "committed": True,
}
NUMBERS = frozenset({"index", "attempt", "attempts", "revision", "dropped"})


def sample(kind: type[Any]) -> Any:
    """Return an event of *kind* with every field filled in."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        default = 7 if field.name in NUMBERS else field.name
        values[field.name] = SAMPLES.get(field.name, default)
    return kind(**values)


@pytest.mark.parametrize("kind", get_args(SessionEvent), ids=lambda kind: kind.__name__)
def test_every_event_can_be_said_in_json(kind: type[Any]) -> None:
    """
    `--json` prints one event a line: none may be left out, or break the line.
    """
    body = event_to_json(sample(kind))

    assert kind.__name__ == body["event"]
    assert {"event", *(field.name for field in fields(kind))} == set(body)
    assert b"pixel" not in encode(body)


def test_an_outcome_says_its_kind() -> None:
    """
    A reader tells a finished turn from a stopped one by it.
    """
    ended = events.TurnEnded(
        turn="t", session="s", outcome=Finished(text="a"), revision=1, committed=True
    )
    body: Any = event_to_json(ended)["outcome"]

    assert ("finished", "a") == (body["kind"], body["text"])
