"""
`Lash`: what opens and closes in which order, and what it says of what can't be.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import HostContext, SessionContext, TurnContext
from lash_sdk.errors import (
    InvalidInput,
    LashError,
    PluginConflict,
    PluginFault,
    SessionClosed,
    SessionDeleted,
    StoreBusy,
    StoreError,
    Unavailable,
)
from lash_sdk.hooks import Action, Directive
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Failure, Success
from lash_sdk.policy import Durability, Retry
from lash_sdk.ports import Model, ModelFactory, StoreFactory
from lash_sdk.testing import ScriptedModel, call, failure, reply


class Log(list[str]):
    """What happened, in order."""


class LoggedStore(MemoryStore):
    """A memory store that says when it's opened and closed, and may fail to."""

    def __init__(self, log: Log, fails: Exception | None = None) -> None:
        super().__init__()
        self._log = log
        self._fails = fails

    async def open(self) -> None:
        self._log.append("store opens")
        if self._fails is not None:
            raise self._fails

    async def close(self) -> None:
        self._log.append("store closes")


class LoggedModel(ScriptedModel):
    """A scripted model that says when it's closed."""

    def __init__(self, log: Log) -> None:
        super().__init__(["hi"] * 9)
        self._log = log

    async def close(self) -> None:
        self._log.append("model closes")


def shared(log: Log, *, breaks: str = "") -> type[Plugin]:
    """Return a plugin that logs its life, and brings the model scheme "logged"."""

    class Shared(Plugin):
        @hooks.around_app
        async def around(
            cls, ctx: HostContext, call_next: Callable[[Any], Awaitable[None]]
        ) -> None:
            log.append("app opens")
            if breaks == "early":
                raise OSError("no room")
            if breaks == "returns":
                return
            if breaks == "slow":
                await asyncio.sleep(10)
            await call_next("made")
            log.append("app closes")

        @hooks.model
        def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
            return {"logged": lambda name: LoggedModel(log)}

        @hooks.on_session_opened
        async def opened(self, ctx: SessionContext) -> None:
            log.append(f"session opens with {self.shared}")

        @hooks.on_session_closed
        async def closed(self, ctx: SessionContext) -> None:
            log.append("session closes")

    return Shared


def app(*script: Any, **options: Any) -> Lash:
    return Lash(model=ScriptedModel(script), autoload=False, **options)


# --- start and end -------------------------------------------------------------


async def test_an_app_starts_and_ends_in_order() -> None:
    """
    Sessions use what plugins share, and plugins what the store keeps.
    """
    log = Log()
    store, plugin = LoggedStore(log), shared(log)
    lash = Lash(model="logged:x", store=store, plugins=[plugin], autoload=False)
    assert [] == log
    async with lash:
        session = await lash.session("s")
        await session.run("go")

    assert [
        "app opens",
        "store opens",
        "session opens with made",
        "session closes",
        "app closes",
        "model closes",
        "store closes",
    ] == log


async def test_a_second_close_does_nothing() -> None:
    """
    `async with` and a signal handler may both close.
    """
    log = Log()
    lash = Lash(model=LoggedModel(log), store=LoggedStore(log), autoload=False)
    async with lash:
        await lash.close()
        await lash.close()

    assert ["store opens", "store closes"] == log


async def test_a_failing_session_does_not_keep_the_rest_open() -> None:
    """
    Everything is released, then the first error is told.
    """
    log = Log()

    class Stuck(LoggedModel):
        async def close(self) -> None:
            await super().close()
            raise OSError("stuck")

    class Brings(Plugin):
        @hooks.model
        def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
            return {"stuck": lambda name: Stuck(log), "fine": lambda name: LoggedModel(log)}

    lash = Lash(model="stuck:x", store=LoggedStore(log), plugins=[Brings], autoload=False)
    with pytest.raises(OSError, match="stuck"):
        async with lash:
            lash.model("fine:x")

    assert ["store opens", "model closes", "model closes", "store closes"] == log


@pytest.mark.parametrize(
    ("breaks", "store_fails", "error", "rest"),
    [
        ("", StoreBusy("locked"), StoreBusy, ["store opens", "model closes", "app closes"]),
        ("early", None, PluginFault, ["model closes"]),
        ("returns", None, LashError, ["model closes"]),
    ],
)
async def test_what_fails_to_start_leaves_nothing_open(
    breaks: str, store_fails: StoreError | None, error: type[Exception], rest: list[str]
) -> None:
    """
    A caller that got an exception has nothing to close.
    """
    log = Log()
    before = asyncio.all_tasks()
    lash = Lash(
        model="logged:x",
        store=LoggedStore(log, store_fails),
        plugins=[shared(log, breaks=breaks)],
        autoload=False,
    )
    with pytest.raises(error):
        async with lash:
            pytest.fail("it opened")
    await asyncio.sleep(0)

    assert ["app opens", *rest] == log
    assert not asyncio.all_tasks() - before
    with pytest.raises(SessionClosed):
        await lash.session("s")


async def test_a_start_that_is_cancelled_leaves_nothing_running() -> None:
    """
    Ctrl-C while a plugin loads a model must not hang.
    """
    log = Log()
    before = asyncio.all_tasks()
    lash = Lash(model="logged:x", plugins=[shared(log, breaks="slow")], autoload=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lash.__aenter__()
    for _ in range(3):
        await asyncio.sleep(0)

    assert ["app opens", "model closes"] == log
    assert not asyncio.all_tasks() - before


async def test_closing_an_app_settles_running_turns() -> None:
    """
    Nothing runs on in an app that's closed, and what was done is kept.
    """
    store = MemoryStore()
    reached = asyncio.Event()

    async def slow(request: Any) -> Any:
        reached.set()
        await asyncio.sleep(10)

    async with app(slow, store=store) as lash:
        session = await lash.session("s")
        task = asyncio.create_task(session.run("go"))
        await reached.wait()
    turn = await task

    assert turn.committed
    head = await store.head("s")
    assert head is not None
    assert 1 == head.revision
    with pytest.raises(SessionClosed):
        await session.run("more")


async def test_an_app_that_is_not_open_says_so() -> None:
    """
    The first mistake that everybody makes is to forget `async with`.
    """
    lash = app("hi")
    for use in (lambda: lash.session("s"), lambda: lash.sessions(), lambda: lash.delete("s")):
        with pytest.raises(SessionClosed, match="use 'async with Lash"):
            await use()


# --- models and stores by name -------------------------------------------------


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("anthropic:x", Unavailable, "install lash-model-anthropic"),
        ("nothing:x", Unavailable, "model scheme 'nothing' is unavailable"),
        ("gpt-5", InvalidInput, "model 'gpt-5': expected '<scheme>:<name>'"),
        ("openai:", InvalidInput, "expected '<scheme>:<name>'"),
        ("scripted:/no/such/file", InvalidInput, "/no/such/file"),
    ],
)
async def test_a_model_that_cannot_be_is_told_at_the_start(
    model: str, error: type[Exception], said: str
) -> None:
    """
    The message names the value, and the package that's missing.
    """
    with pytest.raises(error, match=said.replace("(", r"\(")):
        async with Lash(model=model, autoload=False):
            pytest.fail("it opened")


async def test_an_app_without_a_model_opens_and_its_turns_say_what_is_missing() -> None:
    """
    Sessions can be listed without a model; only a turn needs one.
    """
    async with Lash(autoload=False) as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match="no model: pass model="):
            await session.run("go")

        assert 0 == session.revision
        turn = await session.run("go", model=ScriptedModel(["hi"]))
        assert "hi" == turn.text


@pytest.mark.parametrize(
    ("store", "error", "said"),
    [
        ("app.db", InvalidInput, "store 'app.db': expected a URL"),
        ("", InvalidInput, "store '': expected a URL"),
        ("postgresql://x/y", Unavailable, "install lash-store-postgres"),
        ("redis://x", Unavailable, "store scheme 'redis' is unavailable"),
    ],
)
async def test_a_store_that_cannot_be_is_told_at_the_start(
    store: str, error: type[Exception], said: str
) -> None:
    """
    A path without a scheme is what people try first.
    """
    with pytest.raises(error, match=said):
        async with Lash(store=store, autoload=False):
            pytest.fail("it opened")


async def test_two_plugins_of_one_scheme_are_both_named() -> None:
    """
    Which of them would be used is anybody's guess.
    """

    def brings(called: str) -> type[Plugin]:
        class Brings(Plugin):
            name = called

            @hooks.store
            def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
                return {"mine": lambda url: MemoryStore()}

        return Brings

    lash = Lash(plugins=[brings("one"), brings("two")], autoload=False)
    with pytest.raises(PluginConflict, match=r"'one'.*'two'"):
        async with lash:
            pytest.fail("it opened")


async def test_a_spec_is_one_object() -> None:
    """
    A client's connections are shared by every session.
    """
    log = Log()
    lash = Lash(plugins=[shared(log)], autoload=False)
    async with lash:
        assert lash.model("logged:x") is lash.model("logged:x")
        assert lash.model("logged:x") is not lash.model("logged:y")
        own: Model = ScriptedModel([])
        assert own is lash.model(own)


@pytest.mark.parametrize(
    "options", [{"durability": "forever"}, {"on_busy": "wait"}, {"on_interrupted": "ignore"}]
)
def test_a_word_that_is_not_one_of_ours_is_refused(options: dict[str, Any]) -> None:
    """
    A typing mistake must not silently mean the default.
    """
    (name, value) = next(iter(options.items()))
    with pytest.raises(InvalidInput, match=f"{name}: expected one of .* found '{value}'"):
        Lash(**options)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": 5}, "model: expected '<scheme>:<name>' or Model, found 5"),
    ({"model": None}, "model: expected '<scheme>:<name>' or Model, found None"),
    ({"store": None}, "store: expected str | lash_sdk.ports.store.Store, found None"),
    ({"tools": 5}, "tools: expected Iterable, found 5"),
    ({"tools": ["x"]}, "tool: expected lash_sdk.tools.definition.Tool | collections.abc.Callable"),
    ({"plugins": None}, "plugins: expected Iterable, found None"),
    ({"plugins": "weather"}, "expected a Plugin class or a module, found 'w'"),
    ({"instructions": 5}, "instructions: expected Iterable, found 5"),
    ({"instructions": ["x"]}, "instructions[0]: expected PromptPart, found 'x'"),
    ({"limits": 5}, "limits: expected lash_sdk.policy.Limits | None, found 5"),
    ({"retry": 5}, "retry: expected lash_sdk.policy.Retry | None, found 5"),
    ({"config": [1]}, "config: expected collections.abc.Mapping | None, found [1]"),
]
"""What an app is made with of the wrong types, and what it says to that."""


@pytest.mark.parametrize(("options", "says"), WRONG)
async def test_an_argument_of_a_wrong_type_is_named(options: dict[str, Any], says: str) -> None:
    """
    A bare TypeError from deep inside says neither which argument nor what it should be.
    """
    given: dict[str, Any] = {"autoload": False, **options}
    with pytest.raises(InvalidInput, match=f"^{re.escape(says)}"):
        async with Lash(**given):
            pass


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": 5}, "model: expected '<scheme>:<name>' or Model, found 5"),
        ({"instructions": 5}, "instructions: expected str, found 5"),
        ({"limits": 5}, "limits: expected Limits, found 5"),
        ({"tools": 5}, "tools: expected collections.abc.Iterable | None, found 5"),
        ({"tools": [5]}, "tool: expected lash_sdk.tools.definition.Tool | collections.abc.Calla"),
    ],
)
async def test_a_session_names_an_argument_of_a_wrong_type(
    options: dict[str, Any], says: str
) -> None:
    """
    The same for what one session has of its own.
    """
    async with app("hi") as lash:
        with pytest.raises(InvalidInput, match=f"^{re.escape(says)}"):
            await lash.session("s", **options)


async def test_both_levels_of_durability_run() -> None:
    """
    Until there's a journal both commit once a turn.
    """
    levels: tuple[Durability, ...] = ("effect", "turn")
    for level in levels:
        async with app("hi", durability=level) as lash:
            session = await lash.session("s")
            turn = await session.run("go")
        assert 1 == turn.revision


# --- one store, two apps -------------------------------------------------------


async def test_of_two_apps_on_one_store_the_second_goes_on_from_the_first() -> None:
    """
    A turn begins where the session is, whoever brought it there.
    """
    store = MemoryStore()
    async with app("one", "three", store=store) as first, app("two", "four", store=store) as other:
        ours, theirs = await first.session("s"), await other.session("s")
        await ours.run("go")
        turn = await theirs.run("on")

        assert (2, 2) == (turn.index, turn.revision)
        assert ["go", "one", "on", "two"] == [m.text for m in theirs.messages]


async def test_what_others_committed_is_there_when_a_turn_begins() -> None:
    """
    Not history alone: plugin state, hidden tools and policy were changed as well.
    """
    from pydantic import BaseModel, ConfigDict

    class Count(BaseModel):
        model_config = ConfigDict(frozen=True)
        n: int = 0

    seen: list[int] = []

    class Counter(Plugin):
        State = Count

        @hooks.before_turn
        async def count(self, ctx: TurnContext) -> list[Directive]:
            seen.append(self.state.n)
            self.state = Count(n=self.state.n + 1)
            return []

    async def add() -> int:
        """Add."""
        return 1

    store = MemoryStore()
    options: dict[str, Any] = {"store": store, "plugins": [Counter], "tools": [add]}
    async with app(*["hi"] * 9, **options) as first, app(*["hi"] * 9, **options) as other:
        ours, theirs = await first.session("s"), await other.session("s")
        await ours.run("one")
        await ours.run("two")
        await ours.hide("add")
        await ours.configure(instructions="Be brief.")
        seen.clear()
        await theirs.run("three")

        assert [2] == seen
        assert "Be brief." == theirs.policy.instructions
        assert {"add": "hidden"} == dict(theirs.tool_state.overrides)


# --- sessions, listed and deleted ----------------------------------------------


async def test_sessions_are_listed_newest_first_and_a_page_at_a_time() -> None:
    """
    Opening one doesn't make it; its first commit does.
    """
    async with app(*["hi"] * 9) as lash:
        for id in ("a", "b", "ab"):
            async with lash.session(id) as session:
                await session.run("go")
        await lash.session("never")
        rows = await lash.sessions()

        assert ["ab", "b", "a"] == [row.id for row in rows]
        assert [(1, 1, None)] * 3 == [(row.revision, row.turns, row.parent) for row in rows]
        assert ["ab"] == [row.id for row in await lash.sessions(limit=1)]
        assert ["ab", "a"] == [row.id for row in await lash.sessions(prefix="a")]
        assert ["a"] == [row.id for row in await lash.sessions(before=rows[1].updated)]


async def test_a_deleted_session_is_gone_for_good() -> None:
    """
    Its handles are closed, a running turn is settled, its id isn't used again.
    """
    reached = asyncio.Event()

    async def slow(request: Any) -> Any:
        reached.set()
        await asyncio.sleep(10)

    async with app("hi", slow) as lash:
        session = await lash.session("s")
        await session.run("go")
        task = asyncio.create_task(session.run("more"))
        await reached.wait()
        assert await lash.delete("s")
        await task

        assert not await lash.delete("s")
        assert [] == list(await lash.sessions())
        with pytest.raises(SessionClosed):
            await session.run("go")
        with pytest.raises(SessionDeleted):
            await lash.session("s")


# --- actions -------------------------------------------------------------------


class Acts(Plugin):
    """Actions of every kind."""

    @hooks.provide_actions
    def actions(self, ctx: SessionContext) -> list[Action]:
        async def where() -> str:
            return ctx.session_id

        async def double(n: int) -> int:
            return n * 2

        async def fails() -> None:
            raise OSError("broken pipe")

        async def odd() -> object:
            return object()

        async def refuses() -> Failure:
            return Failure(reason="external", code="closed", message="closed today")

        return [
            Action(name="needs", run=where, session="required"),
            Action(name="takes", run=where, session="optional"),
            Action(name="alone", run=where, session="forbidden"),
            Action(name="double", run=double, session="optional"),
            Action(name="fails", run=fails, session="optional"),
            Action(name="odd value", run=odd, session="optional"),
            Action(name="refuses", run=refuses, session="optional"),
        ]


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("needs", True, "action 'needs' needs a session"),
        ("takes", True, True),
        ("alone", "action 'alone' takes no session", True),
    ],
)
async def test_an_action_says_whether_it_wants_a_session(
    name: str, inside: bool | str, outside: bool | str
) -> None:
    """
    Required, optional and forbidden, each asked in a session and outside of any.
    """
    async with app(plugins=[Acts]) as lash:
        session = await lash.session("s")

        async def asked(ask: Callable[[], Awaitable[object]]) -> bool | str:
            try:
                return isinstance(await ask(), Success)
            except InvalidInput as error:
                return str(error)

        assert inside == await asked(lambda: session.act(name))
        assert inside == await asked(lambda: lash.act(name, session="s"))
        assert outside == await asked(lambda: lash.act(name))


async def test_what_goes_wrong_in_an_action_has_three_messages() -> None:
    """
    The caller's mistake, the handler's failure and the author's mistake differ.
    """
    async with app(plugins=[Acts]) as lash:
        bad = await lash.act("double", n="two")
        failed = await lash.act("fails")
        odd = await lash.act("odd value")
        own = await lash.act("refuses")
        fine = await lash.act("double", n=2)

    assert isinstance(bad, Failure)
    assert isinstance(failed, Failure)
    assert isinstance(odd, Failure)
    assert ("invalid_request", "invalid_action_args") == (bad.reason, bad.code)
    assert bad.message.startswith("invalid double args: arguments.n: ")
    assert ("execution", "action_failed") == (failed.reason, failed.code)
    assert "fails failed: OSError: broken pipe" == failed.message
    assert ("internal", "invalid_action_output") == (odd.reason, odd.code)
    assert odd.message.startswith("invalid odd value output: ")
    assert Failure(reason="external", code="closed", message="closed today") == own
    assert Success(value=4) == fine


async def test_an_unknown_action_is_told_which_there_are() -> None:
    """
    A typing mistake is mended from the message.
    """
    async with app(plugins=[Acts]) as lash:
        with pytest.raises(InvalidInput, match="no action 'dubble'; actions: alone, double"):
            await lash.act("dubble")


async def test_two_actions_of_one_name_name_both_plugins() -> None:
    """
    Which of them would answer is anybody's guess.
    """

    class Twin(Plugin):
        @hooks.provide_actions
        def actions(self, ctx: SessionContext) -> list[Action]:
            async def run() -> None: ...

            return [Action(name="double", run=run)]

    async with app(plugins=[Acts, Twin]) as lash:
        with pytest.raises(PluginConflict, match=r"'double'.*'acts'.*'twin'"):
            await lash.session("s")


async def test_a_tool_call_and_an_action_need_no_turn_of_each_other() -> None:
    """
    Actions stand beside the conversation: nothing of them enters it.
    """
    async with app(reply(calls=[call("nothing")]), "done", plugins=[Acts]) as lash:
        session = await lash.session("s")
        await session.act("double", n=2)

        assert (0, ()) == (session.revision, session.messages)


async def test_an_application_says_how_often_a_model_is_asked_again() -> None:
    """
    A batch job waits longer than somebody who looks at a screen.
    """
    model = ScriptedModel(
        [failure("later", retryable=True), failure("later", retryable=True), "hi"]
    )
    retry = Retry(attempts=3, first=0.001)
    async with Lash(model=model, retry=retry, autoload=False) as lash:
        turn = await (await lash.session("s")).run("Hello?")

    assert ("hi", 3) == (turn.text, model.calls)
