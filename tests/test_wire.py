"""A bad answer is an error, never half an answer: a server that answers in every bad way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from lash_model_openai import OpenAIConfig, OpenAIModel

from . import planted_models as planted
from .batteries.report import Report
from .batteries.wire import KEY, Seen, Socket, run
from .batteries.wire_cases import cases
from .batteries.wire_forms import FORMS, Form

FAULTS: Final[Mapping[type[OpenAIModel], str]] = {
    planted.FillsIn: "E53",
    planted.GuessesNames: "E64",
    planted.HasNoTime: "E29",
    planted.TakesAnyEnd: "E7",
    planted.TakesCutsForEnds: "E54",
    planted.TriesAgainItself: "E5 ",
    planted.TriesAnything: "E23",
}
"""Those that have to be caught, and by which cases."""


async def played(form: Form, kind: type[OpenAIModel] = OpenAIModel, which: str = "") -> list[Seen]:
    """Return what came of the cases whose names begin so, with one model of that kind."""
    chosen = [case for case in cases() if case.only in ("", form.name)]
    async with Socket() as socket:
        settings: dict[str, Any] = {"base_url": socket.url, "api": form.name, "timeout": 1.0}
        config = OpenAIConfig.model_validate(settings)
        model = kind("wire", api_key=KEY, config=config)
        try:
            return [
                await run(case, form, model, socket)
                for case in chosen
                if case.name.startswith(which)
            ]
        finally:
            await model.close()


async def caught(kind: type[OpenAIModel], which: str) -> bool:
    """Return whether those cases show, in each form, what's wrong with models of that kind."""
    found = [await played(form, kind, which) for form in FORMS]
    return all(any(seen.wrong for seen in each) for each in found)


async def test_a_bad_answer_is_an_error_and_never_half_an_answer() -> None:
    """
    A tool that's run on half a call, or half an answer that's kept, can't be taken back.
    """
    start = time.monotonic()
    found = [seen for form in FORMS for seen in await played(form)]
    planned = sum([len(FORMS) if not case.only else 1 for case in cases()])
    Report(
        battery="wire",
        cases=len(found),
        planned=planned,
        operations=sum([len(seen.bodies) for seen in found]),
        floor=2 * planned,
        faults=len(found),
        violations=tuple([wrong for seen in found for wrong in seen.wrong]),
        caught=sum([await caught(kind, which) for kind, which in FAULTS.items()]),
        planted=len(FAULTS),
        seconds=time.monotonic() - start,
        figures={
            "forms": len(FORMS),
            "tried again": sum([len(seen.bodies) > 2 for seen in found]),
            "tools run": sum([len(seen.ran) for seen in found]),
        },
    ).publish()
