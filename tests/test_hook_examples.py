"""
The examples in the reference of hooks do what they show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

from lash_sdk import Lash, Plugin
from lash_sdk.contexts import CliContext, HostContext, UsageContext
from lash_sdk.errors import PluginFault
from lash_sdk.events import PluginEmitted
from lash_sdk.hooks import HOOKS, Ask, Money
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Message
from lash_sdk.plugins.registered import register
from lash_sdk.policy import Limits
from lash_sdk.testing import HookRecorder, ScriptedModel, call, reply
from lash_sdk.tools import tool
from lash_sdk.usage import Usage, UsageRow

from . import hook_examples
from .hooking import Bare, plugin, registry


def example(hook: str) -> type[Plugin]:
    """Return the example of *hook*."""
    found: type[Plugin] = getattr(hook_examples, f"{hook.title().replace('_', '')}Example")
    return found


def implemented(form: type[Plugin]) -> list[str]:
    """Return the hooks that a plugin implements."""
    return [name for name, impls in registry(form).impls.items() if impls]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_of_its_own(hook: str) -> None:
    """
    A hook without one is a riddle.
    """
    assert [hook] == implemented(example(hook))


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


class Watch:
    """What a run of the scenario shows."""

    def __init__(self) -> None:
        self.recorder = HookRecorder()
        self.faults: list[PluginFault] = []
        self.asked: list[Any] = []
        self.events: list[Any] = []
        self.turns: list[Any] = []
        self.limits: Limits | None = None
        self.messages: Sequence[Message] = ()


async def played(hook: str, *others: type[Plugin]) -> Watch:
    """Let everything happen that a session can do, with the example of *hook* in it."""
    watch = Watch()

    async def hears(self: Any, ctx: Any) -> None:
        watch.faults.append(ctx.fault)

    def sees(request: Any) -> Any:
        watch.asked.append(request)
        return reply(calls=[call("echo", text=" a ")])

    model = ScriptedModel([sees, "  done  ", "again", "more"])
    plugins = [example(hook), plugin("hearing", on_fault=hears), *others]
    async with Lash(
        model=model, store=MemoryStore(), plugins=plugins, tools=[echo], autoload=False
    ) as lash:
        lash.registry.observe(watch.recorder.around)
        session = await lash.session("s")
        stop = session.listen(watch.events.append)
        watch.turns.append(await session.run("go"))
        await session.configure(limits=Limits(iterations=20))
        live = session._lane.live  # pyright: ignore[reportPrivateUsage] - nothing else tells
        watch.limits = live.policy.limits
        watch.turns.append(await session.run("on"))
        await session.rewrite()
        watch.messages = session.messages
        watch.turns.append(await session.run("on"))
        stop()
        await session.close()
    return watch


def breaks(self: Any, ctx: Any) -> Any:
    raise ValueError("broken")


async def asks(self: Any, ctx: Any) -> Ask:
    return Ask()


HELPERS: Final[dict[str, type[Plugin]]] = {
    "on_fault": plugin("breaking", on_usage=breaks),
    "decide_approval": plugin("asking", decide_tool=asks),
}
"""What it takes for a hook to be called at all."""


EFFECTS: Final[dict[str, Callable[[Watch], bool]]] = {
    "protocol": lambda watch: "Answer in one sentence." in watch.asked[0].system,
    "tool_projector": lambda watch: "echo: a" in shown(watch).replace("  ", " "),
    "provide_tools": lambda watch: "reverse" in [each.name for each in watch.asked[0].tools],
    "transform_policy": lambda watch: watch.limits == Limits(iterations=8),
    "transform_history": lambda watch: "left out" in watch.messages[0].text,
    "before_turn": lambda watch: "Monday" in watch.asked[0].history[-1].text,
    "at_checkpoint": lambda watch: ("calls", 1) in emitted(watch),
    "after_turn": lambda watch: "ended" in dict(emitted(watch)),
    "provide_prompt": lambda watch: "metric system" in watch.asked[0].system,
    "transform_request": lambda watch: "Attempt 1." in watch.asked[0].system,
    "transform_response": lambda watch: watch.turns[0].text == "done",
    "before_tool": lambda watch: watch.turns[0].tool_calls[0].outcome.value == "a",
}
"""What shows that an example did what it says; the others only look."""


def shown(watch: Watch) -> str:
    """Return what the model was shown of its call."""
    return " ".join([str(message) for message in watch.messages])


def emitted(watch: Watch) -> list[tuple[str, Any]]:
    """Return the events that plugins showed."""
    return [(each.name, each.body) for each in watch.events if isinstance(each, PluginEmitted)]


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if HOOKS[hook].life == "session"])
async def test_an_example_is_called_and_does_what_it_shows(hook: str) -> None:
    """
    Whoever copies it begins with something that works.
    """
    if hook == "decide_price":  # of a report, which is asked for
        return await prices()
    watch = await played(hook, *[form for name, form in HELPERS.items() if name == hook])

    mine = [each for each in watch.recorder.of(hook) if each.plugin == named(hook)]
    assert mine
    assert "raised" not in {each.did for each in mine}
    assert {"breaking"} >= {fault.plugin for fault in watch.faults}
    assert ["done", "again", "more"] == [turn.text.strip() for turn in watch.turns]
    assert hook not in EFFECTS or EFFECTS[hook](watch)
    return None


def named(hook: str) -> str:
    """Return the name of the example of *hook*."""
    return register(example(hook)).name


async def prices() -> None:
    """Ask the example what a row cost."""
    found = registry(example("decide_price"))
    row = UsageRow(id="r", turn="t", session="s", source="own", model="house:small", usage=SPENT)
    answer = found.plans.decide_price(UsageContext(Bare(found), row))

    assert Money(amount=10 * 0.000_002) == answer[1]


SPENT: Final = Usage(input=5, output=10)


async def test_the_examples_of_stores_and_models_are_found_by_their_schemes() -> None:
    """
    A host hook is asked once, when the app opens.
    """
    plugins = [example("store"), example("model"), example("around_app")]
    async with Lash(model="parrot:Polly", store="shelf:x", plugins=plugins, autoload=False) as lash:
        turn = await (await lash.session("s")).run("who are you?")

        assert "I'm Polly" == turn.text
        assert [[]] == list(lash.registry.shared.values())


async def test_the_example_of_a_session_manager_is_the_apps() -> None:
    """
    Without a role to give out it does no harm either.
    """
    plugins = [example("session_manager")]
    async with Lash(model=ScriptedModel(["hi"]), plugins=plugins, autoload=False) as lash:
        session = await lash.session("s")

        assert "hi" == (await session.run("go")).text
        assert session.children is None


def test_the_example_of_an_effect_host_is_supplied_by_name() -> None:
    """
    What would perform a turn's effects in the kernel's place.
    """
    found = registry(example("effect_host")).supplied(HOOKS["effect_host"], HostContext("1", {}))

    assert ["engine"] == list(found)


def nothing() -> None:
    """Do nothing."""


def test_the_example_of_commands_adds_one() -> None:
    """
    The command line asks for it.
    """
    app = typer.Typer()
    app.command("other")(nothing)
    registry(example("provide_commands")).ask_host(HOOKS["provide_commands"], CliContext(app, "1"))

    assert "hello, you\n" == CliRunner().invoke(app, ["greet", "you"]).output


@pytest.mark.parametrize("hook", HOOKS)
def test_the_reference_shows_the_example(hook: str) -> None:
    """
    It's made from the code that runs here; `make docs` writes it.
    """
    page = (Path(__file__).parent.parent / "docs" / "hooks.md").read_text(encoding="utf-8")
    entry = page.partition(f"### `{hook}`\n")[2].partition("\n### ")[0]

    code = entry.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, f"docs/hooks.md, {hook}", "exec"), names)  # with its own imports alone

    assert [hook] == implemented(names[example(hook).__name__])
