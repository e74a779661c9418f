"""S9: a durable turn on a PostgreSQL of the run's own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks.environments import BARE, LASH, SAVERS, System
from benchmarks.scenarios import ROUNDS, Form, Laps, compared
from benchmarks.script import ON_POSTGRES
from benchmarks.workers import started
from tests.batteries.postgres_server import PostgresServer

TURNS = 5


def run_postgres(peers: tuple[System, ...], form: Form) -> dict[str, Any]:
    """Return each system's times on one server, each session in a database of its own."""
    systems = (BARE, LASH, *[peer for peer in peers if peer.name in SAVERS])
    laps: Laps = []
    server = PostgresServer()
    try:
        server.start()
        with started(systems) as workers:
            for _ in range(ROUNDS):
                laps.append([])
                for _ in range(form.sessions):
                    with ExitStack() as stack:
                        for worker in workers:
                            url = server.database()
                            stack.enter_context(worker.session(ON_POSTGRES, server=url))
                        laps[-1] += [
                            {worker.system.name: worker.run(TURNS) for worker in workers}
                            for _ in range(form.laps)
                        ]
    finally:
        server.remove()
    return compared(laps, [system.name for system in systems])
