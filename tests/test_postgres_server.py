"""The server of the batteries: what it's told, it keeps, and it doesn't outlive us."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.batteries.postgres_server import PostgresServer

CHILD = """
import sys
from tests.batteries.postgres_server import PostgresServer
server = PostgresServer()
server.start()
print(server.url(), server.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Yield a server that's running."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def test_what_was_acknowledged_survives_each_end(server: PostgresServer) -> None:
    """
    Stopped or killed, it comes back on its port with all it had.
    """
    url = server.database()
    server.execute(sql.SQL("create table kept (number integer)"), url=url)
    server.execute(sql.SQL("insert into kept values (1)"), url=url)
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        server.execute(sql.SQL("select 1"))
    server.start()
    server.execute(sql.SQL("insert into kept values (2)"), url=url)
    server.restart()

    rows = server.execute(sql.SQL("select number from kept order by number"), url=url)
    assert [(1,), (2,)] == rows


def test_it_flushes_and_wants_its_password(server: PostgresServer) -> None:
    """
    A crash test on a server that doesn't flush proves nothing.
    """
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert [("on",)] == server.execute(sql.SQL("show {}").format(sql.SQL(setting)))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        server.execute(sql.SQL("select 1"), url=server.url(password="wrong"))


def test_a_database_is_new_and_may_be_a_copy(server: PostgresServer) -> None:
    """
    Tests that share a server share nothing else.
    """
    first = server.database()
    server.execute(sql.SQL("create table mine (a integer)"), url=first)
    copy = server.database(first.rpartition("/")[2])

    assert [] == server.execute(sql.SQL("select * from mine"), url=copy)
    with pytest.raises(psycopg.errors.UndefinedTable):
        server.execute(sql.SQL("select * from mine"), url=server.database())
    server.drop(first)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        server.execute(sql.SQL("select 1"), url=first)


def test_it_ends_with_whoever_started_it() -> None:
    """
    A run of the tests that's killed leaves no server behind.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    url, folder = child.stdout.readline().split()
    with psycopg.connect(url) as db:
        child.send_signal(signal.SIGKILL)
        child.communicate()
        with pytest.raises(psycopg.OperationalError):
            db.execute("select pg_sleep(60)")

    lock = Path(folder, "data", "postmaster.pid")
    deadline = time.monotonic() + 60
    while lock.exists() and time.monotonic() < deadline:  # it removes that last
        time.sleep(0.01)
    assert not lock.exists()
    shutil.rmtree(folder)
