"""
Configuration: a section per plugin, every mistake told at once, no value told.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import TurnContext
from lash_sdk.errors import ConfigError
from lash_sdk.hooks import Directive, EnqueueMessages
from lash_sdk.messages import note
from lash_sdk.plugins.config import configured
from lash_sdk.plugins.registered import Registered, register

from .hooking import opened, plugin


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    city: str = "Oslo"


class Settings(BaseModel):
    units: str = "C"
    days: int = Field(default=3, gt=0)
    key: SecretStr | None = None
    inner: Inner = Inner()
    renamed: int = Field(default=1, alias="re-named")


class Weather(Plugin):
    Config = Settings

    @hooks.before_turn
    def say(self, ctx: TurnContext) -> list[Directive]:
        text = f"{self.config.units} {self.config.days} {self.config.key}"
        return [EnqueueMessages(messages=(note(text),))]


WEATHER = register(Weather)
PLAIN = register(plugin("plain"))


def problems(config: dict[str, Any], *plugins: Registered, known: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        configured(plugins or (WEATHER, PLAIN), config, frozenset(filter(None, [known])))
    assert "; ".join(caught.value.problems) == str(caught.value)
    return caught.value.problems


def test_a_section_is_parsed_by_its_plugins_own_model() -> None:
    """
    What an instance finds in `self.config` has the types its author wrote.
    """
    sections = {"weather": {"days": "5", "key": "s3cret", "re-named": 2}}
    weather, plain = configured((WEATHER, PLAIN), sections)

    assert 5 == weather.config.days
    assert "C" == weather.config.units
    assert 2 == weather.config.renamed
    assert "s3cret" == weather.config.key.get_secret_value()
    assert None is plain.config


def test_without_a_section_the_defaults_count() -> None:
    """
    Installing a plugin must not need a configuration file.
    """
    sections: list[dict[str, Any]] = [{}, {"weather": None}, {"weather": {}}]
    for section in sections:
        (weather,) = configured((WEATHER,), section)

        assert Settings() == weather.config


def test_a_ready_made_section_is_taken_as_it_is() -> None:
    """
    In Python one hands over the model itself.
    """
    mine = Settings(units="F")
    (weather,) = configured((WEATHER,), {"weather": mine})

    assert mine is weather.config


def test_every_problem_is_told_at_once() -> None:
    """
    Mending one only to meet the next is the worst way to configure anything.
    """
    found = problems(
        {
            "wether": {},
            "weather": {"unit": "C", "days": "many", "inner": {"citty": "Oslo"}},
            "plain": {"x": 1},
            "mail": {},
        }
    )

    assert (
        "plugins.mail: no such plugin",
        "plugins.wether: no such plugin (did you mean 'weather'?)",
        "plugins.weather.unit: unknown (did you mean 'units'?)",
        "plugins.weather.days: Input should be a valid integer,"
        " unable to parse string as an integer",
        "plugins.weather.inner.citty: Extra inputs are not permitted",
        "plugins.plain: takes no configuration",
    ) == found


def test_unknown_keys_are_refused_whatever_the_model_says() -> None:
    """
    A key that nobody reads is a mistake of whoever wrote it.
    """

    class Loose(BaseModel):
        model_config = ConfigDict(extra="allow")

    loose = register(type("Loose", (Plugin,), {"Config": Loose}))

    assert ("plugins.loose.anything: unknown",) == problems({"loose": {"anything": 1}}, loose)


def test_a_required_key_that_is_missing_is_named() -> None:
    """
    Also where there's no section at all.
    """

    class Needs(BaseModel):
        url: str

    needs = register(type("Needs", (Plugin,), {"Config": Needs}))

    assert ("plugins.needs.url: Field required",) == problems({}, needs)


@pytest.mark.parametrize("section", [3, "units=C", ["units"], True])
def test_a_section_must_be_a_table(section: object) -> None:
    """
    The message says what stands there by its type, not by its value.
    """
    found = f"plugins.weather: expected a table, found {type(section).__name__}"

    assert (found,) == problems({"weather": section})


def test_a_section_of_a_plugin_that_does_not_take_part_waits() -> None:
    """
    Disabling a plugin must not turn its section into a mistake.
    """
    (weather,) = configured((WEATHER,), {"gone": {"x": 1}}, frozenset(("gone",)))

    assert Settings() == weather.config
    assert ("plugins.gon: no such plugin (did you mean 'gone'?)",) == problems(
        {"gon": {}}, known="gone"
    )


SECRET = "hunter2"


class Guarded(BaseModel):
    password: SecretStr = Field(default=SecretStr(""), max_length=3)
    port: int = 0
    mode: str = ""

    @field_validator("mode")
    @classmethod
    def check(cls, value: str) -> str:
        if value == SECRET:
            raise ValueError(f"bad mode {value}")
        return value


class Choosy(BaseModel):
    one: str = ""

    @model_validator(mode="before")
    @classmethod
    def check(cls, values: Any) -> Any:
        raise LookupError(f"not in the table: {values}")


@pytest.mark.parametrize(
    ("form", "section"),
    [
        (Guarded, {"password": SECRET}),
        (Guarded, {"port": SECRET}),
        (Guarded, {"port": [SECRET]}),
        (Guarded, SECRET),
        (Guarded, {"mode": SECRET}),
        (Choosy, {"one": SECRET}),
    ],
)
def test_no_value_is_ever_printed(form: type[BaseModel], section: Any) -> None:
    """
    Configuration holds keys and passwords; error messages end up in tickets.
    """
    (found,) = problems({"p": section}, register(type("P", (Plugin,), {"Config": form})))

    assert found.startswith("plugins.p")
    assert SECRET not in found


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"disabel": ["x"]}, "plugins.disabel: unknown (did you mean 'disable'?)"),
        ({"disable": "weather"}, "plugins.disable: expected a list of names, found str"),
        ({"disable": [1]}, "plugins.disable: expected a list of names, found list"),
        ({"disable": 3}, "plugins.disable: expected a list of names, found int"),
        (["weather"], "plugins: expected a table, found list"),
        (None, "plugins: expected a table, found NoneType"),
    ],
)
def test_the_section_for_all_plugins_is_checked_as_well(section: Any, problem: str) -> None:
    """
    A misspelt "disable" would leave on what somebody turned off.
    """
    assert (problem,) == problems({"plugins": section})


async def test_the_configuration_reaches_the_instance() -> None:
    """
    Ready before any hook of a session is called.
    """
    config = {"weather": {"units": "F", "days": 7, "key": SECRET}}
    async with opened(Weather, config=config) as session:
        turn = await session.run("hello")

    assert "F 7 **********" == turn.messages[1].text


async def test_a_bad_configuration_keeps_the_app_from_opening() -> None:
    """
    Before anything is opened or any hook is called.
    """
    called: list[str] = []

    def store(cls: Any, ctx: Any) -> dict[str, Any]:
        called.append("store")
        return {}

    with pytest.raises(ConfigError, match=r"plugins\.weather\.unit: unknown"):
        async with Lash(
            plugins=[Weather, plugin("early", store=store)],
            autoload=False,
            config={"weather": {"unit": 1}},
        ):
            pass

    assert [] == called
