-- The tables of version 1. "@schema@" stands for the schema's name, quoted.
--
-- A session is a head over a chain of commits, each pointing to the one before it,
-- as a branch is in git. A commit's parts are rows under its key and their place in it;
-- the sha256 of each is in the commit's list of them, and `hash` chains the lists.
--
-- A fork is a session whose first commit has another session's for its parent. It sees
-- what that one saw, and nothing is copied. A commit's nodes are one chain, so that its
-- base says the parents of all of them.
--
-- A commit's key comes from a sequence that's asked inside the gate, so that the key is
-- its place in the feed of changes: see `settled`.

create table @schema@.about (
  product text not null,
  version integer not null
);
-- Never written: whoever changes anything holds a lock on it that others who change
-- something share. Whoever removes something, or waits for those who write, keeps all out.
create table @schema@.gate ();
create sequence @schema@.places;
create table @schema@.sessions (
  key bigint generated always as identity primary key,
  id text collate "C" not null unique,
  state smallint not null,       -- 0 named, 1 made, 2 deleted
  revision bigint not null default 0,
  head bigint,                   -- the commit it stands at, or stood at once deleted
  origin bigint,                 -- the commit that it's a fork of
  updated double precision,      -- as its head says; before one, when its journal was begun
  parent bigint,                 -- the session that made it
  pending text collate "C",      -- the parent's turn that has to be committed first
  generation bigint not null default 0, -- of the newest claim that wrote a journal
  holder text collate "C"
) with (fillfactor = 70);        -- room for the new version of a row in its own page
create index pending_sessions on @schema@.sessions (parent, pending) where pending is not null;
create index forks on @schema@.sessions (origin) where origin is not null;
create table @schema@.commits (
  key bigint primary key,
  session bigint not null,
  parent bigint,                 -- the commit before; null for a session's first
  revision bigint not null,
  operation text collate "C",    -- null for a fork's first
  at double precision not null,
  turns bigint not null,
  nodes integer not null,        -- how many of its parts are nodes: the first ones
  base_commit bigint,            -- the node that the first of them stands on
  base_place integer,
  leaf_commit bigint,
  leaf_place integer,
  manifest bigint,
  maker bigint,                  -- what `parent` and `pending` of its session were then
  pending text collate "C",
  hash bytea not null,
  parts bytea not null,
  unique (session, revision),
  unique (session, operation)
);
create index bases on @schema@.commits (base_commit, base_place) where base_commit is not null;
create table @schema@.nodes (
  commit bigint not null,
  place integer not null,
  id text collate "C" not null unique,
  kind text collate "C" not null,
  hidden boolean not null default false,
  body bytea,                    -- null once vacuumed
  primary key (commit, place)
);
create table @schema@.usage (
  commit bigint not null,
  place integer not null,
  session bigint not null,
  id text collate "C" not null,
  body bytea not null,
  primary key (commit, place),
  unique (session, id)
);
create table @schema@.plugin_rows (
  commit bigint not null,
  place integer not null,
  plugin text collate "C" not null,
  name text collate "C" not null,
  body bytea not null,
  primary key (commit, place)
);
-- Component names, in order, and the hashes of their blobs.
create table @schema@.manifests (
  key bigint generated always as identity primary key,
  names bytea[] not null,
  refs bytea[] not null,
  hash bytea not null
);
create table @schema@.attachments (
  commit bigint not null,
  place integer not null,
  blob bytea not null,
  primary key (commit, place)
);
create table @schema@.blobs (
  hash bytea primary key,
  body bytea not null
);
create table @schema@.journal (
  place bigint generated always as identity primary key,
  session bigint not null,
  turn text collate "C" not null,
  key text collate "C" not null,
  kind text collate "C" not null,
  body bytea not null,
  blobs bytea,                   -- what the body refers to; null if nothing
  refs bytea[],                  -- the hashes of those
  hash bytea not null,
  unique (session, turn, key, kind)
);
create table @schema@.inbox (
  session bigint not null,
  key text collate "C" not null,
  place bigint generated always as identity,
  hash bytea not null,
  body bytea,                    -- null once a turn has used it
  primary key (session, key)
);
create index waiting on @schema@.inbox (session, place) where body is not null;
