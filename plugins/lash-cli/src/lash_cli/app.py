"""
The commands and their options, for typer; each loads what it needs when it runs.

Exit codes: 0 well done · 1 the turn stopped or failed, or there are problems · 2 the
command line or the configuration doesn't fit · 3 a package isn't installed · 4 the
store can't be used · 130 Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, Optional

import typer

from .settings import Options
from .words import PLUGINS

CODES: Final = (
    "Exit codes: 0 well done, 1 the turn stopped or failed, 2 the command line or the"
    " configuration doesn't fit, 3 a package isn't installed, 4 the store can't be used,"
    " 130 Ctrl-C. Settings: options, then LASH_MODEL and LASH_STORE, then lash.toml here"
    " or above, then lash/config.toml in ~/.config. Plugins may add commands of their own."
    " `lash --version` says which SDK this is."
)


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join([f"  {line}" for line in lines])


app = typer.Typer(
    name="lash",
    help="Durable sessions with language models: run turns, and look at what they left.",
    epilog=CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
sessions = typer.Typer(
    help="List, show, fork, export, import, verify and delete sessions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
models = typer.Typer(
    help="Fetch the weights of models that run on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(sessions, name="sessions")
app.add_typer(models, name="models")

# typer looks annotations up at run time, so options that commands share stand here.
Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What to say to the model.")]
SessionId = Annotated[str, typer.Argument(metavar="ID", help="The session's id.")]
Json = Annotated[bool, typer.Option("--json", help="For a machine to read.")]
Events = Annotated[bool, typer.Option("--json", help="Print one event a line, as JSON.")]
Model = Annotated[
    Optional[str],  # noqa: UP045 - read at run time, by any typer
    typer.Option("--model", "-m", metavar="SCHEME:NAME", help="Such as local:smollm2."),
]
Store = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--store",
        metavar="URL",
        help="Such as sqlite:///app.db; without one, lash/sessions.db in ~/.local/share.",
    ),
]
Session = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--session", "-s", metavar="ID", help="Go on with it, or make it."),
]
Which = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--session", "-s", metavar="ID", help="Of this session alone."),
]
Tools = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--tool", "-t", metavar="MODULE:NAME", help="Or path/to/file.py:NAME; repeat."),
]
Instructions = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--instructions", metavar="TEXT", help="The application's part of the prompt."),
]
Iterations = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--max-iterations", min=1, metavar="N", help="Model calls in a turn, at most."),
]
Plugins = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--plugin", metavar="MODULE:NAME", help="Beside those installed; repeat."),
]
NoPlugins = Annotated[
    bool,
    typer.Option("--no-plugins", help="Leave installed plugins out; the store is then in memory."),
]


@app.command(
    epilog=_examples(
        'lash run "How much is 17 times 23?" -m local:smollm2 -t lash_cli.tools:calculate',
        'lash run "And times two?" --session sums',
        'lash run "Hello" --json | jq -r .event',
    )
)
def run(
    prompt: Prompt,
    json: Events = False,
    model: Model = None,
    store: Store = None,
    session: Session = None,
    tool: Tools = None,
    instructions: Instructions = None,
    max_iterations: Iterations = None,
    plugin: Plugins = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Run one turn and print its answer."""
    from . import turns

    options = Options(
        model=model,
        store=store,
        session=session,
        instructions=instructions,
        tools=tuple(tool or ()),
        plugins=tuple(plugin or ()),
        autoload=not no_plugins,
        max_iterations=max_iterations,
    )
    return turns.run(prompt, options, as_json=json)


@app.command(
    epilog=_examples(
        "lash chat --session notes",
        "lash chat -m openai:gpt-5.2 -t tools.py:search",
        "lash chat < questions.txt",
    )
)
def chat(
    model: Model = None,
    store: Store = None,
    session: Session = None,
    tool: Tools = None,
    instructions: Instructions = None,
    max_iterations: Iterations = None,
    plugin: Plugins = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Run a turn on each line; Ctrl-C stops a turn, Ctrl-D ends."""
    from . import turns

    options = Options(
        model=model,
        store=store,
        session=session,
        instructions=instructions,
        tools=tuple(tool or ()),
        plugins=tuple(plugin or ()),
        autoload=not no_plugins,
        max_iterations=max_iterations,
    )
    return turns.chat(options)


@app.command(
    epilog=_examples(
        "lash resume sums",
        "lash resume sums -m openai:gpt-5.2 -t tools.py:search",
        "lash resume sums --discard",
    )
)
def resume(
    id: SessionId,
    discard: Annotated[
        bool, typer.Option("--discard", help="Settle the turn as it is, and run nothing.")
    ] = False,
    json: Events = False,
    model: Model = None,
    store: Store = None,
    tool: Tools = None,
    plugin: Plugins = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Finish the turn that a process left behind; what it has done isn't done again."""
    from . import turns

    options = Options(
        model=model,
        store=store,
        session=id,
        tools=tuple(tool or ()),
        plugins=tuple(plugin or ()),
        autoload=not no_plugins,
    )
    return turns.resume(id, options, discard=discard, as_json=json)


@sessions.command("list", epilog=_examples("lash sessions list", "lash sessions list --json"))
def list_sessions(
    store: Store = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    prefix: Annotated[str, typer.Option(help="Only ids that begin so.")] = "",
    json: Json = False,
) -> int:
    """List sessions, newest first."""
    from .sessions import list_sessions

    return list_sessions(Options(store=store), limit=limit, prefix=prefix, as_json=json)


@sessions.command("show", epilog=_examples("lash sessions show sums"))
def show_session(id: SessionId, store: Store = None, json: Json = False) -> int:
    """Print a conversation: turns, tool calls, outcomes."""
    from .sessions import show_session

    return show_session(id, Options(store=store), as_json=json)


@sessions.command("tree", epilog=_examples("lash sessions tree sums"))
def show_tree(id: SessionId, store: Store = None, json: Json = False) -> int:
    """Print the turns on all branches; * is where the session stands."""
    from .sessions import show_tree

    return show_tree(id, Options(store=store), as_json=json)


@sessions.command(
    "fork",
    epilog=_examples(
        "lash sessions fork sums --as sums-2",
        "lash sessions fork sums --at $(lash sessions tree sums --json | jq -r '.[0].leaf')",
    ),
)
def fork_session(
    id: SessionId,
    store: Store = None,
    at: Annotated[str, typer.Option(metavar="NODE", help="Up to it; else the whole.")] = "",
    name: Annotated[str, typer.Option("--as", metavar="ID", help="The new session's id.")] = "",
    json: Json = False,
) -> int:
    """Make another session on the same history, and print its id; nothing is copied."""
    from .sessions import fork_session

    return fork_session(id, Options(store=store), at=at, name=name, as_json=json)


@sessions.command(
    "export",
    epilog=_examples(
        "lash sessions export sums > sums.jsonl",
        "lash sessions export sums --json | tail -1 | jq .sha256",
    ),
)
def export_session(
    id: SessionId,
    store: Store = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE")] = "-",
    json: Annotated[bool, typer.Option("--json", help="As it is anyway: JSON Lines.")] = False,
) -> int:
    """Write a session as one file of JSON Lines that any store reads back."""
    from .sessions import export_session

    return export_session(id, Options(store=store), output=output)


@sessions.command(
    "import",
    epilog=_examples(
        "lash sessions import sums.jsonl --store sqlite:///other.db",
        "lash sessions export sums | lash sessions import - --store sqlite:///other.db",
    ),
)
def import_session(
    file: Annotated[str, typer.Argument(metavar="FILE", help="- is standard input.")],
    store: Store = None,
    json: Json = False,
) -> int:
    """
    Read an exported session into a store, after checking all of the file.

    A session that's there already is never written over.
    """
    from .sessions import import_session

    return import_session(file, Options(store=store), as_json=json)


@sessions.command("verify", epilog=_examples("lash sessions verify", "lash sessions verify sums"))
def verify_sessions(
    ids: Annotated[
        Optional[list[str]],  # noqa: UP045 - read at run time, by any typer
        typer.Argument(metavar="[ID]...", help="Without one: every session."),
    ] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Check every stored part of sessions against its hash; 4 if one isn't whole."""
    from .sessions import verify_sessions

    return verify_sessions(ids or [], Options(store=store), as_json=json)


@sessions.command("delete", epilog=_examples("lash sessions delete sums --yes"))
def delete_session(
    id: SessionId,
    store: Store = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> int:
    """Delete a session for good; its id is never used again."""
    from .sessions import delete_session

    return delete_session(id, Options(store=store), sure=yes)


@app.command(epilog=_examples("lash usage", "lash usage --session sums --json"))
def usage(store: Store = None, session: Which = None, json: Json = False) -> int:
    """Print tokens by session, source and model."""
    from .sessions import show_usage

    return show_usage(Options(store=store, session=session), as_json=json)


@models.command("pull", epilog=_examples("lash models pull smollm2"))
def pull(name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """Fetch a model's weights, checked by their hash; a second time does nothing."""
    from .models import pull

    return pull(name)


@app.command("plugins", help=PLUGINS, add_help_option=False)
def _plugins() -> int:
    """Only for the list of commands: `main` runs `lash_cli.plugins` itself."""
    from .plugins import main

    return main([])


def run_app(argv: Sequence[str]) -> int:
    """Run a command; return its exit code."""
    from .failures import INTERRUPTED, USAGE, report

    known = {command.name or _name(command.callback) for command in app.registered_commands}
    known |= {group.name or "" for group in app.registered_groups}
    if argv and not argv[0].startswith("-") and argv[0] not in known:
        _ask_plugins()
    try:
        code = app(list(argv), prog_name="lash", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        say = getattr(error, "format_message", None)
        if say is None:  # not typer's
            return report(error)
        message = str(say())
        if type(error).__name__ == "NoArgsIsHelpError":  # the help itself: nothing went wrong yet
            print(message, file=sys.stderr)
            return USAGE
        if message:
            print(f"error: {message}", file=sys.stderr)
        context = getattr(error, "ctx", None)
        print(f"try: {context.command_path if context else 'lash'} --help", file=sys.stderr)
        return USAGE
    return code if isinstance(code, int) else 0


def _ask_plugins() -> None:
    """Let installed plugins add their commands: this one isn't ours."""
    from lash_sdk.contexts import CliContext
    from lash_sdk.hooks import HOOKS
    from lash_sdk.plugins.discovery import SDK_VERSION
    from lash_sdk.plugins.loading import gather
    from lash_sdk.plugins.registry import Registry

    from .settings import read_settings

    found, _broken = gather((), autoload=True, config=read_settings().sections)
    Registry(found).ask_host(HOOKS["provide_commands"], CliContext(app, SDK_VERSION))


def _name(callback: object) -> str:
    return str(getattr(callback, "__name__", "")).strip("_")
