"""
What every plugin that counts tokens must keep, as a pytest class.

    class TestBudget(UsageContract):
        @pytest.fixture
        def plugin(self) -> type[Plugin]:
            return Budget

        def counted(self, plugin: Plugin) -> Usage:
            return plugin.state.used
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ..app import Lash
from ..errors import ModelError
from ..hooks import Plugin
from ..memory import MemoryStore
from ..usage import Usage
from .scripted import ScriptedModel, call, failure, reply
from .states import instance_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..session import Session

ONE, TWO = Usage(input=10, output=5), Usage(input=7, cache_read=3, output=2, reasoning=1)


@pytest.mark.asyncio
class UsageContract:
    """
    Subclass it with a fixture `plugin` and a method `counted`.

    What's counted belongs to one session, and is what its ledger says.
    """

    @pytest.fixture
    def plugin(self) -> type[Plugin]:
        """Return the plugin under test, as a class."""
        raise NotImplementedError("the subclass has a fixture `plugin`")

    def counted(self, plugin: Any) -> Usage:
        """Return what *plugin*, the session's instance, has counted."""
        raise NotImplementedError("the subclass has a method `counted`")

    async def test_nothing_is_counted_before_anything_was_used(self, plugin: type[Plugin]) -> None:
        """Zero is a number too."""
        async with _opened(plugin, []) as session:
            assert Usage() == self.counted(instance_of(session, plugin))

    async def test_each_row_is_counted_once(self, plugin: type[Plugin]) -> None:
        """Whatever the model was asked for: an answer, calls, an answer again."""
        script = [reply(calls=[call("none")], usage=ONE), reply("a", usage=TWO)]
        async with _opened(plugin, [*script, reply("b", usage=ONE)]) as session:
            await session.run("one")
            await session.run("two")

            assert ONE + TWO + ONE == self.counted(instance_of(session, plugin))
            assert session.usage().usage == self.counted(instance_of(session, plugin))

    async def test_a_turn_whose_model_failed_counts_what_it_used(
        self, plugin: type[Plugin]
    ) -> None:
        """It's paid for all the same."""
        script = [reply(calls=[call("none")], usage=ONE), failure("down")]
        async with _opened(plugin, script) as session:
            with pytest.raises(ModelError):
                await session.run("one")

            assert session.usage().usage == self.counted(instance_of(session, plugin))

    async def test_two_sessions_are_counted_apart(self, plugin: type[Plugin]) -> None:
        """A budget of one conversation isn't everybody's."""
        model = ScriptedModel([reply("a", usage=ONE), reply("b", usage=TWO)])
        async with Lash(model=model, plugins=[plugin], autoload=False) as lash:
            first, second = await lash.session("first"), await lash.session("second")
            await first.run("one")
            await second.run("two")

            assert ONE == self.counted(instance_of(first, plugin))
            assert TWO == self.counted(instance_of(second, plugin))

    async def test_a_session_that_is_opened_again_goes_on_counting(
        self, plugin: type[Plugin]
    ) -> None:
        """What's kept anywhere but in the plugin's state is gone with the process."""
        store, total = MemoryStore(), Usage()
        for usage in (ONE, TWO):
            async with _opened(plugin, [reply("a", usage=usage)], store) as session:
                await session.run("more")
                total = self.counted(instance_of(session, plugin))

        assert ONE + TWO == total


@asynccontextmanager
async def _opened(
    plugin: type[Plugin], script: Sequence[Any], store: MemoryStore | None = None
) -> AsyncGenerator[Session, None]:
    model = ScriptedModel(script)
    async with Lash(
        model=model, store=store or MemoryStore(), plugins=[plugin], autoload=False
    ) as lash:
        yield await lash.session("contract")
