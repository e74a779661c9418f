"""What can be set: where the models are, and how they're asked."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lash_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

Api: TypeAlias = Literal["chat", "responses", "auto"]

OFFICIAL_URL: Final = "https://api.openai.com/v1"
OFFICIAL_HOST: Final = "api.openai.com"
KEY_VARIABLE: Final = "OPENAI_API_KEY"


class OpenAIConfig(BaseModel):
    """
    The plugin's section of the configuration.

    Attributes:
        base_url: Where the API is; else OPENAI_BASE_URL, else OpenAI itself.
        api_key_env: The environment variable that holds the key. It's sent to
            `base_url`, whatever that is.
        organization: Whom OpenAI bills, where a key belongs to several.
        api: "auto" is "responses" for OpenAI itself, "chat" for anyone else.
        timeout: Seconds for which the server may stay silent.
        store: Whether OpenAI keeps the answers.
        headers: Sent with every request.
        body: Fields put into every request as they are, such as
            `{"temperature": 0}`; they win over ours.
        window: Tokens that a request may hold, where you know it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = None
    api_key_env: str = Field(default=KEY_VARIABLE, min_length=1)
    organization: str | None = None
    api: Api = "auto"
    timeout: float = Field(default=600.0, gt=0)
    store: bool = False
    headers: dict[str, str] = Field(default_factory=dict[str, str], repr=False)
    body: dict[str, Any] = Field(default_factory=dict[str, Any])
    window: int | None = Field(default=None, gt=0)

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("expected http(s)://host/…")
        return value


def read_config(raw: Mapping[str, object]) -> OpenAIConfig:
    """
    Return what *raw* says.

    Raises:
        ConfigError: It doesn't fit; every problem is listed.
    """
    try:
        return OpenAIConfig.model_validate(raw)
    except ValidationError as error:
        problems = [
            "openai." + ".".join([str(at) for at in each["loc"]]) + f": {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        ]
    raise ConfigError(problems)


def host_of(url: str) -> str:
    """Return the host of *url*, without its port or credentials."""
    return urlsplit(url).hostname or ""


def is_loopback(host: str) -> bool:
    """Return whether *host* is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
