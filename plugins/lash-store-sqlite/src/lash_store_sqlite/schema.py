"""
The tables, and how their keys fit together.

A session is a head over a chain of commits, each pointing to the one before it,
as a branch is in git. What a commit holds lies under keys that follow from the
commit's own: the part at index *i* has the key `commit << 20 | i`. So the rows of
a commit are one range, no row names its session, turn or commit, and the sha256
of a part is found in the commit's list of them.

- A fork is a session whose first commit has another session's for its parent. It
  sees what that one saw, and nothing is copied.
- A node's id isn't stored: it's "<operation>:<index>", as the kernel makes it.
  Any other id stands in `aliases`. A commit's nodes are one chain, so that its
  `base` says the parents of all of them.
- A commit's manifest is a row that it shares with the commits before it until a
  component changes; names map to keys of blobs.
- `parts` is the sha256 of every part, in order; `hash` chains them to the commit
  before. Vacuuming a node leaves its hash where it was.
- A commit's key is greater than that of every commit before it in the store, those
  that were deleted included: a deleted session keeps the key of its last one.
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

NAMED: Final = 0
"""
State of a session that isn't made yet: a parent's id, or a first turn's journal.

It's `updated` when a claim begins to write that journal.
"""

MADE: Final = 1
"""State of a session that's there."""

DELETED: Final = 2
"""State of a session that's gone; its id stays."""

TABLES: Final = """
create table sessions (
  key integer primary key,
  id text not null unique,
  state integer not null, -- 0 named, 1 made, 2 deleted
  head integer,           -- the commit it stands at, or stood at once deleted
  origin integer,         -- the commit that it's a fork of
  updated real,
  parent integer,         -- the session that made it
  pending text,           -- the parent's turn that has to be committed first
  generation integer not null default 0, -- of the newest claim that wrote a journal
  holder text
);
create index pending_sessions on sessions (pending) where pending is not null;
create index forks on sessions (origin) where origin is not null;
create index deleted_heads on sessions (head) where state = 2;
create table commits (
  key integer primary key,
  session integer not null,
  parent integer,         -- the commit before; null for a session's first
  revision integer not null,
  operation text,         -- null for a fork's first
  at real not null,
  turns integer not null,
  nodes integer not null, -- how many of its parts are nodes: the first ones
  base integer,           -- the node that the first of them stands on
  leaf integer,           -- the key of a node
  manifest integer,
  maker integer,          -- what `parent` and `pending` of its session were then
  pending text,
  hash blob not null,
  parts blob not null,
  unique (session, revision),
  unique (operation, session)
);
create index bases on commits (base) where base is not null;
create table nodes (
  key integer primary key,
  kind text not null,
  body blob not null
);
create table hidden (     -- nodes with a tombstone; their body is null once vacuumed
  key integer primary key,
  kind text not null,
  body blob
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
  hash blob not null,
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
create table journal (
  place integer primary key,
  session integer not null,
  turn text not null,
  key text not null,
  kind text not null,
  body blob not null,
  blobs blob,             -- what the body refers to; null if nothing
  hash blob not null,
  unique (session, turn, key, kind)
);
create table inbox (
  session integer not null,
  key text not null,
  place integer not null,
  hash blob not null,
  body blob,              -- null once a turn has used it
  primary key (session, key)
) without rowid;
create index waiting on inbox (session, place) where body is not null;
"""
