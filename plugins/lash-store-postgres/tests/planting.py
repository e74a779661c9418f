"""Errors planted in a server: a real one raises them, in the middle of a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from lash_store_postgres.address import Address


def plant(place: Address, table: str, body: str) -> None:
    """
    Have *body* run in the server before each row that's inserted into a table.

    It's PL/pgSQL. A sequence `planted` is at hand, which no rollback takes back.
    """
    names = {
        "schema": sql.Identifier(place.schema),
        "table": sql.Identifier(place.schema, table),
        "body": sql.SQL(body),  # pyright: ignore[reportArgumentType]
    }
    with psycopg.connect(place.conninfo) as db:
        db.execute(sql.SQL("create sequence if not exists {schema}.planted").format(**names))
        db.execute(
            sql.SQL(
                "create or replace function {schema}.planted() returns trigger language plpgsql"
                " as $$ begin {body} return new; end $$"
            ).format(**names)
        )
        db.execute(
            sql.SQL(
                "create or replace trigger planted before insert on {table}"
                " for each row execute function {schema}.planted()"
            ).format(**names)
        )


def pull_out(place: Address, table: str) -> None:
    """Let inserts into a table be again."""
    with psycopg.connect(place.conninfo) as db:
        db.execute(
            sql.SQL("drop trigger planted on {}").format(sql.Identifier(place.schema, table))
        )
