"""URLs: what they may say, and that their password is never said again."""

from __future__ import annotations

import logging
import traceback

import pytest

from lash_sdk.errors import InvalidInput, StoreError
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address
from tests.batteries.postgres_server import PostgresServer

CANARY = "c4nary-s3cret"


@pytest.mark.parametrize(
    ("url", "schema", "text"),
    [
        ("postgresql://h/app", "lash", "postgresql://h/app?schema=lash"),
        ("postgres://h/app", "lash", "postgresql://h/app?schema=lash"),
        ("postgresql:///app", "lash", "postgresql:///app?schema=lash"),
        ("postgresql://u:p@h:5433/app?schema=x", "x", "postgresql://u@h:5433/app?schema=x"),
        (
            "postgresql://h/app?schema=agents_2&sslmode=require",
            "agents_2",
            "postgresql://h/app?schema=agents_2",
        ),
        (
            "postgresql://h1,h2:5433/app?target_session_attrs=read-write",
            "lash",
            "postgresql://h1,h2:,5433/app?schema=lash",
        ),
    ],
)
def test_a_url_says_where(url: str, schema: str, text: str) -> None:
    """
    It's the driver's own, and one parameter is ours.
    """
    address = Address(url)

    assert (schema, text) == (address.schema, address.text)
    assert "schema" not in address.conninfo


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{CANARY}@h:port/app",
        f"postgresql://u:{CANARY}@[h/app",
        f"postgresql://u:{CANARY}@h/app?nonsense=1",
        f"postgresql://u:{CANARY}@h/app?schema=",
        f"postgresql://u:{CANARY}@h/app?schema=Upper",
        f"postgresql://u:{CANARY}@h/app?schema=pg_catalog",
        f"postgresql://u:{CANARY}@h/app?schema=x;y",
        f"postgresql://u:{CANARY}@h/app?schema=a%22b",
        f"postgresql://u:{CANARY}@h/%00",
        f"mysql://u:{CANARY}@h/app",
        f"host=h password={CANARY}",
        "",
    ],
)
def test_what_is_no_url_is_refused_without_being_repeated(url: str) -> None:
    """
    Whoever mistypes a URL shows the message to others.
    """
    with pytest.raises(InvalidInput) as refused:
        PostgresStore(url)

    shown = "".join(traceback.format_exception(refused.value, chain=True))
    assert CANARY not in str(refused.value)
    assert CANARY not in shown.replace(f"{url!r}", "")


async def test_a_password_is_in_nothing_that_is_shown(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Not in a `repr`, an error, a log, or the variables that a tracer prints with it.
    """
    caplog.set_level(logging.DEBUG)
    store = PostgresStore(server.url(password=CANARY))
    also = PostgresStore(f"{server.url(user='nobody')}?password={CANARY}")
    shown = [repr(store), repr(also), repr(store.address)]
    for each in (store, also):
        with pytest.raises(StoreError, match="password authentication failed") as refused:
            await each.open()
        told = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
        ours = [frame for frame in told.stack if not frame.filename.endswith("test_address.py")]
        told.stack = traceback.StackSummary.from_list(ours)
        shown += ["".join(told.format()), str(refused.value)]
        await each.close()

    assert CANARY not in "".join([*shown, *caplog.messages])


async def test_no_server_is_told_at_once() -> None:
    """
    With the driver's reason, which says what to mend.
    """
    store = PostgresStore("postgresql://127.0.0.1:1/app")

    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1.*[Cc]onnection refused"):
        await store.open()
    await store.close()
