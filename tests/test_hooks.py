"""
Hooks: what the kernel calls, and how an author says that a function is one.
"""

from __future__ import annotations

import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy
import pytest

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import HostContext, SessionContext, TurnContext
from lash_sdk.errors import PluginFault
from lash_sdk.hooks import HOOKS, Directive, EmitTrace, EnqueueMessages, Hook, hookimpl
from lash_sdk.messages import note
from lash_sdk.ports import StoreFactory

from .hooking import context, opened, plugin, registry

ROOT = Path(__file__).parent.parent
TYPING = Path(__file__).parent / "typing"

# The table of the design: kind, colour, context, what a fault does, and its life.
SPECS: Final = {
    "store": ("supply", "sync", "HostContext", "abort", "host"),
    "model": ("supply", "sync", "HostContext", "abort", "host"),
    "effect_host": ("supply", "sync", "HostContext", "abort", "host"),
    "session_manager": ("supply", "sync", "HostContext", "abort", "host"),
    "protocol": ("supply", "sync", "SessionContext", "abort", "session"),
    "tool_projector": ("supply", "sync", "SessionContext", "abort", "session"),
    "around_app": ("wrap", "async", "HostContext", "abort", "host"),
    "on_session_opened": ("listen", "async", "SessionContext", "isolate", "session"),
    "on_session_closed": ("listen", "async", "SessionContext", "isolate", "session"),
    "provide_tools": ("collect", "sync", "SessionContext", "abort", "session"),
    "provide_prompt": ("collect", "sync", "PromptContext", "isolate", "session"),
    "provide_actions": ("collect", "sync", "SessionContext", "abort", "session"),
    "provide_availability": ("collect", "sync", "SessionContext", "closed", "session"),
    "before_turn": ("directives", "async", "TurnContext", "abort", "session"),
    "at_checkpoint": ("directives", "async", "TurnContext", "abort", "session"),
    "after_turn": ("directives", "async", "TurnContext", "abort", "session"),
    "before_tool": ("directives", "async", "ToolContext", "abort", "session"),
    "after_tool": ("directives", "async", "ToolContext", "abort", "session"),
    "transform_context": ("transform", "async", "TurnContext", "abort", "session"),
    "transform_request": ("transform", "async", "ModelContext", "abort", "session"),
    "transform_response": ("transform", "async", "ModelContext", "abort", "session"),
    "transform_chunk": ("transform", "sync", "ModelContext", "abort", "session"),
    "transform_policy": ("transform", "sync", "SessionContext", "keep", "session"),
    "transform_history": ("transform", "async", "SessionContext", "keep", "session"),
    "decide_tool": ("gate", "async", "ToolContext", "deny", "session"),
    "decide_approval": ("decide", "async", "ToolContext", "deny", "session"),
    "decide_spend": ("gate", "async", "ModelContext", "deny", "session"),
    "decide_price": ("decide", "sync", "UsageContext", "isolate", "session"),
    "around_turn": ("wrap", "async", "TurnContext", "abort", "session"),
    "around_model": ("wrap", "async", "ModelContext", "abort", "session"),
    "around_tool": ("wrap", "async", "ToolContext", "abort", "session"),
    "around_commit": ("wrap", "async", "CommitContext", "abort", "session"),
    "on_usage": ("listen", "sync", "UsageContext", "isolate", "session"),
    "provide_commit": ("collect", "sync", "CommitContext", "abort", "session"),
    "on_event": ("listen", "sync", "EventContext", "isolate", "session"),
    "on_turn_committed": ("listen", "async", "TurnContext", "isolate", "session"),
    "on_config_changed": ("listen", "async", "ConfigContext", "isolate", "session"),
    "on_fault": ("listen", "async", "FaultContext", "isolate", "session"),
    "provide_commands": ("collect", "sync", "CliContext", "isolate", "host"),
}


# --- the table ---------------------------------------------------------------------


def test_there_are_these_hooks_and_no_others() -> None:
    """
    Their names are a promise: one more or less is a decision, not an accident.
    """
    assert sorted(SPECS) == sorted(HOOKS)


@pytest.mark.parametrize("name", SPECS)
def test_a_hook_is_as_the_table_says(name: str) -> None:
    """
    Kind, colour, context and fault are what authors build on.
    """
    hook = HOOKS[name]

    colour = "async" if hook.awaits else "sync"

    assert SPECS[name] == (hook.kind, colour, hook.context, hook.fault, hook.life)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_takes_its_context_and_says_what_it_is_for(name: str) -> None:
    """
    One context is what lets hooks grow without breaking plugins.
    """
    hook = HOOKS[name]

    assert hook.arguments == tuple(inspect.signature(hook.spec).parameters)
    assert "ctx" == hook.arguments[0]
    assert hook.spec.__doc__
    assert hook is getattr(hooks, name)
    assert f"<{hook.kind} hook {name}>" == repr(hook)


# --- what a decorator does -----------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SPECS if HOOKS[name].life == "session"])
def test_a_decorated_function_is_marked_for_pluggy_and_is_otherwise_itself(name: str) -> None:
    """
    pluggy finds it under the spec's name, whatever the method is called.
    """

    def method(self: Any, ctx: Any) -> None: ...

    marked: Any = getattr(hooks, name)(method)

    assert marked is method
    options: Any = pluggy.PluginManager("lash").parse_hookimpl_opts(_holding(marked), "it")
    assert name == options["specname"]


@pytest.mark.parametrize("name", [name for name in SPECS if HOOKS[name].life == "host"])
def test_a_host_hook_becomes_a_class_method(name: str) -> None:
    """
    It's called before there's any session, and so any instance.
    """

    def method(cls: Any, ctx: Any) -> Any:
        return cls

    made = type("Made", (Plugin,), {"it": getattr(hooks, name)(method)})

    assert made is made.it(None)  # type: ignore[attr-defined]


def _holding(function: Callable[..., Any]) -> object:
    return type("Holder", (), {"it": staticmethod(function)})


async def test_a_plain_module_with_plain_functions_is_a_plugin() -> None:
    """
    A function named like its spec is enough where there's nothing to remember.
    """
    module = ModuleType("greeter")
    seen: list[str] = []

    @hookimpl
    async def before_turn(ctx: TurnContext) -> list[Directive]:
        return [EnqueueMessages(messages=(note("be kind"),))]

    @hookimpl
    def on_event(ctx: Any) -> None:
        seen.append(type(ctx.event).__name__)

    @hookimpl
    def store(ctx: HostContext) -> dict[str, StoreFactory]:
        seen.append("store")
        return {}

    for function in (before_turn, on_event, store):
        setattr(module, function.__name__, function)
    async with opened(module) as session:
        turn = await session.run("hello")

    assert ["hello", "be kind", "hi"] == [message.text for message in turn.messages]
    assert "greeter" == turn.messages[1].origin
    assert ["store", "TurnStarted"] == seen[:2]


# --- what's refused at once ----------------------------------------------------------


def refused(made: object) -> PluginFault:
    with pytest.raises(PluginFault) as caught:
        registry(made)
    return caught.value


def test_an_async_function_for_a_sync_hook_is_refused() -> None:
    """
    The kernel would never await it; the author must hear that now.
    """

    async def tools(self: Plugin, ctx: SessionContext) -> None: ...

    fault = refused(plugin("slow", provide_tools=tools))

    assert ("slow", "1", "provide_tools") == (fault.plugin, fault.version, fault.hook)
    assert "expected a sync function, found async" in str(fault)
    assert f"{__file__}:{tools.__code__.co_firstlineno}" == fault.where


def test_a_parameter_too_many_is_refused_and_named() -> None:
    """
    What the kernel can't hand over can't be asked for.
    """

    def prompt(self: Plugin, ctx: SessionContext, extra: int) -> None: ...

    fault = refused(plugin("greedy", provide_prompt=prompt))

    assert "greedy" == fault.plugin
    assert "extra" in str(fault)


def test_parameters_of_other_names_are_refused() -> None:
    """
    They're handed over by position; names out of order would be silent chaos.
    """

    def change(self: Plugin, value: Any, ctx: Any) -> None: ...

    fault = refused(plugin("crossed", transform_policy=change))

    assert "expected parameters ('ctx', 'value'), found ('value', 'ctx')" in str(fault)


def test_a_hook_that_does_not_exist_is_refused_by_name() -> None:
    """
    A plain pluggy mark isn't checked at the desk, so it is at registration.
    """
    module = ModuleType("typo")

    @hookimpl
    def befor_turn(ctx: TurnContext) -> None: ...

    module.befor_turn = befor_turn  # type: ignore[attr-defined]
    fault = refused(module)

    assert ("typo", "registration") == (fault.plugin, fault.hook)
    assert "befor_turn" in str(fault)
    assert "before_turn" in str(fault)
    assert "" == fault.where


def test_a_host_hook_as_a_plain_method_is_refused() -> None:
    """
    There's no instance that it could be called on.
    """

    class Lost(Plugin):
        @hookimpl
        def store(self, ctx: HostContext) -> dict[str, StoreFactory]:
            return {}

    assert "expected a class method" in str(refused(Lost))


def test_a_pluggy_wrapper_is_refused() -> None:
    """
    Plans call functions, not generators: it would be dropped without a word.
    """

    class Old(Plugin):
        @hookimpl(wrapper=True, specname="on_usage")
        def around(self, ctx: Any) -> Any:
            return (yield)

    assert "around_" in str(refused(Old))


def test_a_marked_thing_that_is_no_function_is_refused() -> None:
    """
    pluggy would pass over it without a word, and its author would wait for a call.
    """
    module = ModuleType("partly")
    module.on_usage = hookimpl(functools.partial(print, "used"))  # type: ignore[attr-defined]

    assert "on_usage: expected a function, found functools.partial" in str(refused(module))


def test_a_hook_that_this_sdk_lacks_may_be_optional() -> None:
    """
    One plugin can serve two releases of the SDK.
    """
    module = ModuleType("ahead")

    @hookimpl(optionalhook=True)
    def on_something_new(ctx: SessionContext) -> None: ...

    module.on_something_new = on_something_new  # type: ignore[attr-defined]

    assert ["ahead"] == [each.name for each in registry(module).plugins]


def test_a_deprecated_hook_warns_who_implements_it() -> None:
    """
    By the plugin's name: its user must know whom to tell.
    """

    def ask_old(ctx: SessionContext) -> int:  # type: ignore[empty-body]
        """Spec of a hook on its way out."""

    old: Any = Hook("collect", ask_old, deprecated="use provide_prompt; gone in 0.3")

    class Slow(Plugin):
        specs = (old,)

        @old  # type: ignore[untyped-decorator]
        def asked(self, ctx: SessionContext) -> int:
            return 1

    with pytest.warns(DeprecationWarning) as caught:
        registry(Slow)

    told = "plugin 'slow' implements ask_old: use provide_prompt; gone in 0.3"
    assert [told] == [str(each.message) for each in caught]


# --- every form of a function -------------------------------------------------------------


class Adds:
    """A callable object, sync or async."""

    def __call__(self, plugin: object, ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="object")]


class AddsLater:
    async def __call__(self, plugin: object, ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="object")]


def trace(name: str, plugin: object, ctx: TurnContext) -> list[Directive]:
    return [EmitTrace(name=name)]


async def trace_later(name: str, plugin: object, ctx: TurnContext) -> list[Directive]:
    return [EmitTrace(name=name)]


class Forms(Plugin):
    object = hooks.before_turn(Adds())
    object_async = hooks.before_turn(AddsLater())
    partial = hooks.before_turn(functools.partial(trace, "partial"))
    partial_async = hooks.before_turn(functools.partial(trace_later, "partial"))

    @hooks.before_turn  # type: ignore[arg-type]
    @staticmethod
    async def static(ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="static")]

    @classmethod
    @hooks.before_turn
    def of_class(cls, ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="class")]

    @hooks.before_turn
    async def method(self, ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="method")]


async def test_a_hook_may_be_any_kind_of_function_in_either_colour() -> None:
    """
    Who awaits is decided once, so every form must be told apart then.
    """
    found = registry(Forms)
    directives: Any = await found.plans.before_turn(context(found))

    names = ["class", "method", "object", "object", "partial", "partial", "static"]
    assert names == sorted(each.name for _plugin, each in directives)


# --- static types ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good.py, and bad.py without what keeps checkers quiet about it."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("good.py", "bad.py"):
        text = (TYPING / name).read_text()
        (folder / name).write_text(re.sub(r"  # type: ignore\[.*?\]", "", text))
    return folder


def marked_lines() -> set[int]:
    lines = (TYPING / "bad.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# type: ignore" in line}


def flagged(command: list[str], desk: Path) -> dict[str, set[int]]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found: dict[str, set[int]] = {"good.py": set(), "bad.py": set()}
    for line in done.stdout.splitlines():
        if hit := re.search(r"(good|bad)\.py:(\d+)(?::\d+)?(?: -)?:? error", line):
            found[f"{hit[1]}.py"].add(int(hit[2]))
    assert found["bad.py"], done.stdout + done.stderr
    return found


def mypy(desk: Path) -> list[str]:
    options = ["--strict", "--no-error-summary", "--config-file", "pyproject.toml"]
    return [sys.executable, "-m", "mypy", *options, str(desk / "good.py"), str(desk / "bad.py")]


def pyright(desk: Path) -> list[str]:
    config = desk / "pyrightconfig.json"
    config.write_text(
        '{"typeCheckingMode": "strict", "pythonVersion": "3.11", "reportUnusedFunction": "none"}'
    )
    options = ["--pythonpath", sys.executable, "--project", str(config)]
    return [sys.executable, "-m", "basedpyright", *options]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_wrong_hook_is_a_type_error_at_the_authors_desk(
    checker: Callable[[Path], list[str]], desk: Path
) -> None:
    """
    Plain checkers, no add-on: each bad line is flagged, and no good one is.
    """
    found = flagged(checker(desk), desk)

    assert {"good.py": set(), "bad.py": marked_lines()} == found
