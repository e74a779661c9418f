"""
Writes the pages of `docs/` that are made from the code: `make docs`.

A page is a function that returns its text. `tests/test_docs_generated.py` fails while
a page in the folder isn't what its function returns.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

import reliability  # noqa: E402 - the page beside this script

from lash_sdk import contexts  # noqa: E402 - the kernel beside this folder
from lash_sdk.hooks import HOOKS, Hook  # noqa: E402 - the kernel beside this folder
from lash_sdk.turn import TABLE, Phase  # noqa: E402 - the kernel beside this folder
from lash_sdk.turn.machine import CORRECTIONS  # noqa: E402

TURN: Final = """\
<!-- Made by `make docs` from `lash_sdk.turn.TABLE`. Change docs/generate.py instead. -->

# The turn machine

A turn is a value. `lash_sdk.turn.advance(turn, event)` takes one event, something that has
happened, and returns the turn after it and its effects, what it wants done. It looks at nothing
else: no clock, no file, no chance. Whoever drives a turn performs the effects and feeds back what
came of them; a turn that was stored in between goes on in another process as if nothing had been.

## Phases

```mermaid
{diagram}
```

## What each phase takes

{table}

An event that isn't listed is a defect of whoever drives the turn: `ProtocolError`.

## What each phase asks for

| phase | effect | answered by |
|---|---|---|
| preparing | `Prepare`: prompt and tools, and `before_turn` the first time | `TurnPrepared`, or \
`TurnAborted` the first time |
| asking the model | `AskModel`, with all that the turn has added | `ModelAnswered`, `ModelFailed` |
| calling tools | `CallTools`: the calls of the last answer | `ToolsFinished`: a record and a \
result for each, in order |
| at a checkpoint | `PassCheckpoint`: after work, or before completion | `CheckpointPassed`, \
`CheckpointAborted` |
| settling | `WriteCommit` | `CommitAccepted`, once the turn is durable |

There is one effect at a time. Its key is `<turn id>/<step>`, where a step is an event taken in:
the same on every replay, and never used again.

## Rules that stand above the table

- **Late is nothing.** An event that answers an effect carries its key. If the turn no longer
  waits for that key, the event changes nothing, whatever it says.
- **Completion wins.** `TurnStopped` comes from outside, at any time: cancelled, out of time, out
  of budget. It ends the turn unless the commit was asked for already.
- **Calls and results pair.** A batch is answered whole, or the event is refused. When a turn is
  stopped while tools run, each open call gets a *cancelled* result and record.
- **An answer is kept whole or not at all.** A failed, cut or cancelled one leaves no message; what
  it cost is in the books all the same.
- **The limit of model calls holds.** When the tools of the last call are done, the turn stops with
  *max_turns*. Input that comes before completion, at the limit, earns one call more, in which the
  model is told to answer now: once. An answer that doesn't fit the structure asked for is sent back
  at most {corrections} times, within the limit.
- **A turn has one outcome.** It is known when the turn settles and never changes; *done* comes
  after the commit, or, for a turn that a plugin refused before it began, instead of one.
"""


def turn_page() -> str:
    """Return the page on the turn machine."""
    return TURN.format(
        diagram="\n".join(diagram()), table="\n".join(table()), corrections=CORRECTIONS
    )


def diagram() -> Iterator[str]:
    """Yield the lines of a Mermaid state diagram."""
    yield "stateDiagram-v2"
    for phase in Phase:
        yield f'    state "{phase.value}" as {phase.name}'
    yield f"    [*] --> {Phase.READY.name}"
    for phase, rows in TABLE.items():
        arrows: dict[Phase, list[str]] = {}
        for event, (_, phases) in rows.items():
            for after in phases:
                arrows.setdefault(after, []).append(event.__name__)
        for after, events in arrows.items():
            if after is not phase:  # what is ignored is in the table
                yield f"    {phase.name} --> {after.name}: {', '.join(events)}"
    yield f"    {Phase.DONE.name} --> [*]"


def table() -> Iterator[str]:
    """Yield the lines of a table: phase, event, next phases."""
    yield "| phase | event | next phase |"
    yield "|---|---|---|"
    for phase, rows in TABLE.items():
        for event, (_, phases) in rows.items():
            ignored = phases == (phase,)
            after = "no change" if ignored else ", ".join(after.value for after in phases)
            yield f"| {phase.value} | `{event.__name__}` | {after} |"


HOOKS_PAGE: Final = """\
<!-- Made by `make docs` from `lash_sdk.hooks`. Change docs/generate.py instead. -->

# Hooks

A plugin is a class with methods that carry these decorators. Each takes one context; a transform
takes the value as well, a wrap the next call. Their types are checked by plain mypy and pyright:
a misspelt hook is an import error, a wrong signature a type error.

```python
from lash_sdk import Plugin, hooks
from lash_sdk.contexts import TurnContext


class Log(Plugin):
    @hooks.on_turn_committed
    async def note(self, ctx: TurnContext) -> None:
        self.log.info("revision %d", ctx.receipt.revision)
```

## Kinds

| kind | rule |
|---|---|
| listen | all hear; what they return is dropped |
| collect | all are asked; the answers are kept with their plugins, in order |
| directives | a collect of directives; which are legal depends on the hook |
| transform | each gets the previous value and returns the next; None keeps it |
| decide | the first answer that isn't None counts |
| gate | all are asked; the strongest of allow, ask, deny and abort counts |
| wrap | each runs around the next |
| supply | exactly one plugin owns each name; two are an error that names both |

Plugins are called by phase (early, normal, late), then by their `before` and `after`, then by
name; the order of installation doesn't matter.

## Faults

| fault | what a failing implementation does |
|---|---|
| isolate | it's left out; the rest goes on |
| keep | the previous value is kept |
| deny | the answer is no |
| closed | only the application's own tools stay, less what was hidden before |
| abort | the call it's a part of ends: an open fails, a tool call fails, a turn isn't kept |

A hook's context gives out its session roles, `ctx.role("graph")`, and no others; the ten are in
`lash_sdk.ports.roles`. Each example stands alone and is run by our tests.

A fault names the plugin, its version, the hook, the file and the line; `on_fault` hears of it.
After five in a row a plugin's listen, collect and transform hooks are switched off in that session;
what guards it goes on denying. `LASH_STRICT_PLUGINS=1` makes every fault abort.

{index}
"""


def hooks_page() -> str:
    """Return the reference of all hooks."""
    parts = []
    for life, title in (("host", "Once per `Lash`"), ("session", "In each session")):
        found = [hook for hook in HOOKS.values() if hook.life == life]
        parts.append(f"## {title}\n\n" + "\n\n".join(map(hook_entry, found)))
    parts.append(
        "## Contexts\n\n"
        + "\n\n".join(map(context_entry, sorted({hook.context for hook in HOOKS.values()})))
    )
    return HOOKS_PAGE.format(index="\n\n".join(parts))


def context_entry(name: str) -> str:
    """Return the entry of a context: what can be read of it."""
    given = getattr(contexts, name)
    inner = {"scope", "instances", "roles"}  # for plans, not for plugins
    plain = [each.name for each in fields(given)]
    *above, own = [vars(each) for each in reversed(given.__mro__)]
    every = [key for each in above for key, of in each.items() if isinstance(of, property)]
    every += plain + [key for key, of in own.items() if isinstance(of, property)]
    found = [each for each in every if each not in inner]
    return f"### `{name}`\n\n" + ", ".join(f"`{each}`" for each in found)


LOOKING: Final = ("lifecycle", "trace")
RECALLING: Final = ("direct", "graph", "lifecycle", "snapshot", "tasks", "turns")
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "before_turn": ("lifecycle", "snapshot", "tool_state", "trace"),
    "provide_prompt": ("catalogue", "direct", "snapshot", "tasks"),
    "at_checkpoint": LOOKING,
    "after_turn": LOOKING,
    "transform_context": RECALLING,
    "transform_history": RECALLING,
    "on_turn_committed": RECALLING,
    "transform_policy": ("tasks",),
    "on_config_changed": ("tasks",),
    **dict.fromkeys(
        ("before_tool", "decide_tool", "decide_approval", "around_tool", "after_tool"), ("all",)
    ),
}
"""The session roles of each hook that has any; `tests/test_every_hook.py` holds them to a run."""

EXAMPLES: Final = FOLDER.parent / "tests" / "hook_examples.py"


def hook_entry(hook: Hook[Any]) -> str:
    """Return the entry of one hook: its rule in a line, its docstring, its example."""
    colour = "may be async" if hook.awaits else "sync"
    rule = (
        f"*{hook.kind}*, {colour}, a fault: {hook.fault} · takes `{hook.context}`"
        f" · roles: {roles_of(hook)} · since {hook.since}"
    )
    lines = [line.strip() for line in (hook.__doc__ or "").strip().splitlines()]
    words = "\n".join(lines)
    return f"### `{hook.name}`\n\n{rule}\n\n{words}\n\n```python\n{example(hook.name)}\n```"


def roles_of(hook: Hook[Any]) -> str:
    """Return the session roles that a hook's context gives out."""
    found = ROLES.get(hook.name, ("none",))
    return ", ".join([name if name in ("all", "none") else f"`{name}`" for name in found])


def example(hook: str) -> str:
    """
    Return the example of a hook, with what it imports.

    Raises:
        KeyError: There's none: every hook has one.
    """
    text, tree = _examples()
    forms = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    form = forms[f"{hook.title().replace('_', '')}Example"]
    used = {each.id for each in ast.walk(form) if isinstance(each, ast.Name)}
    imports = []
    for each in tree.body:
        if isinstance(each, ast.ImportFrom) and each.module != "__future__":
            names = [name.name for name in each.names if name.name in used]
            if names:
                imports.append(f"from {each.module} import {', '.join(names)}")
    source = ast.get_source_segment(text, form)
    return "\n".join(imports) + f"\n\n\n{source}".replace("  # type: ignore[untyped-decorator]", "")


@cache
def _examples() -> tuple[str, ast.Module]:
    """Return the file of examples, and its tree."""
    text = EXAMPLES.read_text(encoding="utf-8")
    return text, ast.parse(text)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "hooks.md": hooks_page,
    "reliability.md": reliability.page,
    "turn.md": turn_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
