CREATE TABLE sessions (
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
CREATE INDEX pending_sessions on sessions (pending) where pending is not null;
CREATE INDEX forks on sessions (origin) where origin is not null;
CREATE INDEX deleted_heads on sessions (head) where state = 2;
CREATE TABLE commits (
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
CREATE INDEX bases on commits (base) where base is not null;
CREATE TABLE nodes (
  key integer primary key,
  kind text not null,
  body blob not null
);
CREATE TABLE hidden (     -- nodes with a tombstone; their body is null once vacuumed
  key integer primary key,
  kind text not null,
  body blob
);
CREATE TABLE aliases (
  turn text not null,
  ordinal integer not null,
  key integer not null unique,
  primary key (turn, ordinal)
) without rowid;
CREATE TABLE usage (
  key integer primary key,
  session integer not null,
  id text not null,
  body blob not null,
  unique (session, id)
);
CREATE TABLE plugin_rows (
  key integer primary key,
  plugin text not null,
  name text not null,
  body blob not null
);
CREATE TABLE manifests (
  key integer primary key,
  hash blob not null,
  body blob not null
);
CREATE TABLE attachments (
  key integer primary key,
  blob integer not null
);
CREATE TABLE blobs (
  key integer primary key,
  hash blob not null unique,
  body blob not null
);
CREATE TABLE journal (
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
CREATE TABLE inbox (
  session integer not null,
  key text not null,
  place integer not null,
  hash blob not null,
  body blob,              -- null once a turn has used it
  primary key (session, key)
) without rowid;
CREATE INDEX waiting on inbox (session, place) where body is not null;
