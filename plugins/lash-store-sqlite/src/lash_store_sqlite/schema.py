"""
The tables, and how their keys fit together.

A session is a head over a chain of commits, each pointing to the one before it,
as a branch is in git. What a commit holds lies under keys that follow from the
commit's own: the part at index *i* has the key `commit << 20 | i`. So the rows of
a commit are one range, no row names its session, turn or commit, and the sha256
of a part is found in the commit's list of them.

- A node's id isn't stored: it's "<operation>:<index>", as the kernel makes it.
  Any other id stands in `aliases`.
- A commit's manifest is a row that it shares with the commits before it until a
  component changes; names map to keys of blobs.
- `parts` is the sha256 of every part, in order; `hash` chains them to the commit
  before. Vacuuming a node leaves its hash where it was.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x4C415348
"""What the file's header says it is: "LASH"."""

VERSION: Final = 1
"""The schema that this module writes, and the newest it reads."""

PAGE_SIZE: Final = 8192
"""Two messages of 2 KB don't fit in a page of 4 KB; three fit in this one."""

SHIFT: Final = 20
"""How many bits of a part's key are its index in the commit."""

PARTS: Final = 1 << SHIFT
"""How many parts a commit can have."""

TABLES: Final = """
create table sessions (
  key integer primary key,
  id text not null unique,
  head integer,           -- the commit it stands at; null once deleted
  updated real not null,
  deleted integer not null default 0
);
create table commits (
  key integer primary key,
  session integer not null,
  parent integer,         -- the commit before; null for a session's first
  revision integer not null,
  operation text not null,
  at real not null,
  turns integer not null,
  nodes integer not null, -- how many of its parts are nodes: the first ones
  leaf integer,           -- the key of a node
  manifest integer,
  hash blob not null,
  parts blob not null,
  unique (operation, session)
);
create table nodes (
  key integer primary key,
  parent integer,
  kind text not null,
  body blob not null
);
create table aliases (
  turn text not null,
  ordinal integer not null,
  key integer not null unique,
  primary key (turn, ordinal)
) without rowid;
create table usage (
  key integer primary key,
  session integer not null,
  id text not null,
  body blob not null,
  unique (session, id)
);
create table plugin_rows (
  key integer primary key,
  plugin text not null,
  name text not null,
  body blob not null
);
create table manifests (
  key integer primary key,
  body blob not null
);
create table attachments (
  key integer primary key,
  blob integer not null
);
create table blobs (
  key integer primary key,
  hash blob not null unique,
  body blob not null
);
"""
