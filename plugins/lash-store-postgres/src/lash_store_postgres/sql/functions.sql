-- What changes anything, each in one call: so a commit is one round trip.
--
-- Every function begins with `enter`. The server runs them in read committed, where each
-- statement sees what was committed before it began: whoever waited for a row reads it as
-- it is now. What a caller did wrong is raised under a state of ours, "LA" and three digits.

-- Have what this transaction does flushed, and keep out whoever mustn't be there meanwhile.
create or replace function @schema@.enter(p_alone boolean) returns void
language plpgsql as $$
begin
  -- a role or a database may have turned it off; what waits for more than a flush stays
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if p_alone then
    lock table @schema@.gate in share row exclusive mode;
  else
    lock table @schema@.gate in row exclusive mode;
  end if;
end $$;

-- Wait for those who are writing now; return the newest key that any of them has. Null if
-- they take long: others who want to write mustn't be kept waiting by a reader.
create or replace function @schema@.settled() returns bigint
language plpgsql as $$
declare
  v_newest bigint;
begin
  perform set_config('lock_timeout', '250ms', true);
  begin
    lock table @schema@.gate in share row exclusive mode;
  exception when lock_not_available then
    return null;
  end;
  select case when is_called then last_value else 0 end into v_newest from @schema@.places;
  return v_newest;
end $$;

-- Return the number of the lock that whoever waits for a session's commits shares.
create or replace function @schema@.watch(p_id text) returns bigint
language sql immutable as $$
  select hashtextextended('lash:@name@:' || p_id, 20)
$$;

-- Tell of a session whose head has moved, or that's gone, if anybody waits for that.
create or replace function @schema@.tell(p_id text) returns void
language plpgsql as $$
begin
  -- whoever shares the lock only now waits until this transaction is committed
  if not pg_try_advisory_xact_lock(@schema@.watch(p_id)) then
    perform pg_notify('lash:@name@', p_id);
  end if;
end $$;

-- Return the sha256 that chains a commit to the one before it.
create or replace function @schema@.chained(p_parent bytea, p_tail bytea) returns bytea
language sql immutable as $$
  select sha256(
    case when p_parent is null then '0:'::bytea
      else convert_to('64:' || encode(p_parent, 'hex'), 'UTF8') end || p_tail)
$$;

-- Return the key of a session's row, which needn't be there yet.
create or replace function @schema@.named(p_id text) returns bigint
language plpgsql as $$
declare
  v_key bigint;
begin
  select key into v_key from @schema@.sessions where id = p_id;
  if not found then
    insert into @schema@.sessions (id, state) values (p_id, 0)
      on conflict do nothing returning key into v_key;
    if not found then
      select key into v_key from @schema@.sessions where id = p_id;
    end if;
  end if;
  return v_key;
end $$;

-- Return a session's row, locked; make it if there's none and that's wanted.
create or replace function @schema@.locked(p_id text, p_make boolean) returns @schema@.sessions
language plpgsql as $$
declare
  v_row @schema@.sessions;
begin
  select * into v_row from @schema@.sessions where id = p_id for update;
  if not found and p_make then
    insert into @schema@.sessions (id, state) values (p_id, 0) on conflict do nothing;
    select * into v_row from @schema@.sessions where id = p_id for update;
  end if;
  return v_row;
end $$;

-- Find a node that a session sees: its own, or its origin's. All null if it sees none.
create or replace function @schema@.seen(
  p_session bigint, p_id text,
  out o_commit bigint, out o_place integer, out o_ends boolean, out o_manifest bigint
) language plpgsql as $$
declare
  v_node record;
  v_at bigint := p_session;
  v_last bigint := 9223372036854775807;
begin
  select n.commit, n.place, c.session, c.revision, c.nodes, c.manifest into v_node
    from @schema@.nodes n join @schema@.commits c on c.key = n.commit
    where n.id = p_id and not n.hidden;
  if not found then
    return;
  end if;
  while v_at is not null loop
    if v_node.session = v_at and v_node.revision <= v_last then
      o_commit := v_node.commit;
      o_place := v_node.place;
      o_ends := v_node.place = v_node.nodes - 1;
      o_manifest := v_node.manifest;
      return;
    end if;
    select o.session, o.revision into v_at, v_last
      from @schema@.sessions s join @schema@.commits o on o.key = s.origin where s.key = v_at;
  end loop;
end $$;

-- Keep blobs that bring their bytes.
create or replace function @schema@.keep(p_hashes bytea[], p_bodies bytea[]) returns void
language plpgsql as $$
begin
  insert into @schema@.blobs (hash, body)
    select distinct on (b.hash) b.hash, b.body
    from unnest(p_hashes, p_bodies) as b (hash, body)
    where b.body is not null and not exists (select from @schema@.blobs o where o.hash = b.hash)
    order by b.hash  -- in one order, or two commits would wait for each other
    on conflict do nothing;
end $$;

-- Return the key of a manifest with components taken in; one without a ref is removed.
create or replace function @schema@.merged(
  p_before bigint, p_names bytea[], p_refs bytea[]
) returns bigint language plpgsql as $$
declare
  v_old record;
  v_names bytea[];
  v_refs bytea[];
  v_key bigint;
begin
  select names, refs into v_old from @schema@.manifests where key = p_before;
  select coalesce(array_agg(c.name order by c.name), '{}'),
         coalesce(array_agg(c.ref order by c.name), '{}')
    into v_names, v_refs
    from (
      select o.name, o.ref from unnest(v_old.names, v_old.refs) as o (name, ref)
        where o.name <> all (p_names)
      union all
      select n.name, n.ref from unnest(p_names, p_refs) as n (name, ref) where n.ref is not null
    ) c;
  if v_names = coalesce(v_old.names, '{}') and v_refs = coalesce(v_old.refs, '{}') then
    return p_before;
  end if;
  insert into @schema@.manifests (names, refs, hash)
    values (v_names, v_refs, sha256(array_send(v_names) || array_send(v_refs)))
    returning key into v_key;
  return v_key;
end $$;

-- Make a commit its session's head, or say why not.
create or replace function @schema@.commit(
  p_session text, p_expected bigint, p_operation text, p_at double precision, p_turns bigint,
  p_base text, p_ids text[], p_kinds text[], p_bodies bytea[],
  p_names bytea[], p_refs bytea[], p_values bytea[],
  p_blobs bytea[], p_bytes bytea[],
  p_usage_ids text[], p_usage bytea[],
  p_consumed text[], p_children text[],
  p_plugins text[], p_row_names text[], p_rows bytea[],
  p_restore text, p_parent text, p_pending text, p_turn text,
  p_hashes bytea, p_tail bytea, p_faulty boolean, p_alone boolean,
  out o_outcome text, out o_revision bigint, out o_place bigint
) language plpgsql as $$
declare
  s @schema@.sessions;
  v_head record;
  v_known record;
  v_base record;
  v_end record;
  v_manifest bigint;
  v_hash bytea;
  v_text text;
  v_nodes integer := cardinality(p_ids);
  v_at integer;
begin
  perform @schema@.enter(p_alone);
  s := @schema@.locked(p_session, p_expected = 0 and not p_faulty);
  if s.state = 2 then
    o_outcome := 'deleted';
    return;
  end if;
  if s.head is not null then
    select c.key, c.revision, c.hash = @schema@.chained(p.hash, p_tail) as same into v_known
      from @schema@.commits c left join @schema@.commits p on p.key = c.parent
      where c.session = s.key and c.operation = p_operation;
    if found then
      o_outcome := case when v_known.same then 'done' else 'mismatch' end;
      o_revision := v_known.revision;
      o_place := v_known.key;
      return;
    end if;
  end if;
  if coalesce(s.revision, 0) <> p_expected then
    o_outcome := 'conflict';
    o_revision := coalesce(s.revision, 0);
    return;
  end if;
  if p_faulty then
    o_outcome := 'faulty';
    return;
  end if;
  if not p_alone and exists (
    select from @schema@.sessions k
    where k.parent = s.key and k.pending = p_operation and k.id <> all (p_children)
  ) then
    o_outcome := 'alone';  -- there's something to remove
    return;
  end if;

  select key, hash, leaf_commit, leaf_place, manifest into v_head
    from @schema@.commits where key = s.head;
  v_manifest := v_head.manifest;
  if v_nodes > 0 then
    select n.id into v_text from @schema@.nodes n where n.id = any (p_ids) limit 1;
    if found then
      raise exception 'node is there already' using errcode = 'LA001', detail = v_text;
    end if;
  end if;
  if p_base is not null then
    select * into v_base from @schema@.seen(s.key, p_base);
    if v_base.o_commit is null then
      raise exception 'no such node' using errcode = 'LA002', detail = p_base;
    end if;
  else
    select null::bigint as o_commit, null::integer as o_place into v_base;
  end if;
  if p_restore is not null then
    select * into v_end from @schema@.seen(s.key, p_restore);
    if v_end.o_commit is null then
      raise exception 'no such node' using errcode = 'LA002', detail = p_restore;
    elsif not v_end.o_ends then
      raise exception 'node ends no commit' using errcode = 'LA003', detail = p_restore;
    end if;
    v_manifest := v_end.o_manifest;
  end if;

  if cardinality(p_consumed) > 0 then
    foreach v_text in array p_consumed loop
      update @schema@.inbox set body = null
        where session = s.key and key = v_text and body is not null;
      if not found then
        raise exception 'input does not wait' using errcode = 'LA004', detail = v_text;
      end if;
    end loop;
  end if;
  if cardinality(p_children) > 0 then
    foreach v_text in array p_children loop
      -- those that wait with it are seen with it, or wait as their maker does
      with recursive line (key) as (
        select k.key from @schema@.sessions k
          where k.id = v_text and k.state = 1 and k.parent = s.key and k.pending = p_operation
        union all
        select k.key from line
          join @schema@.sessions k on k.parent = line.key and k.pending = p_operation
      )
      update @schema@.sessions set pending = s.pending
        where key in (select key from line);
      if not found then
        raise exception 'not a pending child' using errcode = 'LA005', detail = v_text;
      end if;
    end loop;
  end if;
  if cardinality(p_blobs) > 0 then
    perform @schema@.keep(p_blobs, p_bytes);
    select encode(b, 'hex') into v_text from unnest(p_blobs) b
      where not exists (select from @schema@.blobs o where o.hash = b) limit 1;
    if found then
      raise exception 'blob is not there' using errcode = 'LA006', detail = v_text;
    end if;
  end if;
  if cardinality(p_names) > 0 then
    perform @schema@.keep(p_refs, p_values);
    v_manifest := @schema@.merged(v_manifest, p_names, p_refs);
  end if;

  v_hash := @schema@.chained(v_head.hash, p_tail);
  o_outcome := 'done';
  o_revision := p_expected + 1;
  o_place := nextval('@schema@.places');
  if p_parent is not null then
    s.parent := @schema@.named(p_parent);
  end if;
  s.pending := coalesce(p_pending, s.pending);
  insert into @schema@.commits values (
    o_place, s.key, s.head, o_revision, p_operation, p_at, p_turns, v_nodes,
    case when v_nodes > 0 then v_base.o_commit end,
    case when v_nodes > 0 then v_base.o_place end,
    case when v_nodes > 0 then o_place else v_base.o_commit end,
    case when v_nodes > 0 then v_nodes - 1 else v_base.o_place end,
    v_manifest, s.parent, s.pending, v_hash, p_hashes);
  if v_nodes > 0 then
    insert into @schema@.nodes (commit, place, id, kind, body)
      select o_place, n.at - 1, n.id, n.kind, n.body
      from unnest(p_ids, p_kinds, p_bodies) with ordinality as n (id, kind, body, at);
  end if;
  v_at := v_nodes + cardinality(p_names);
  if cardinality(p_blobs) > 0 then
    insert into @schema@.attachments
      select o_place, v_at + b.at - 1, b.hash from unnest(p_blobs) with ordinality as b (hash, at);
  end if;
  v_at := v_at + cardinality(p_blobs);
  if cardinality(p_usage_ids) > 0 then
    insert into @schema@.usage
      select o_place, v_at + u.at - 1, s.key, u.id, u.body
      from unnest(p_usage_ids, p_usage) with ordinality as u (id, body, at)
      order by u.at
      on conflict do nothing;
  end if;
  v_at := v_at + cardinality(p_usage_ids) + cardinality(p_consumed) + cardinality(p_children);
  if cardinality(p_plugins) > 0 then
    insert into @schema@.plugin_rows
      select o_place, v_at + r.at - 1, r.plugin, r.name, r.body
      from unnest(p_plugins, p_row_names, p_rows) with ordinality as r (plugin, name, body, at);
  end if;

  -- the revision once more, in the statement that moves it: nobody can move it twice
  update @schema@.sessions set state = 1, revision = o_revision, head = o_place, updated = p_at,
      parent = s.parent, pending = s.pending
    where key = s.key and revision = p_expected;
  if not found then
    raise exception 'the session moved' using errcode = '40001';
  end if;
  perform @schema@.tell(p_session);
  if p_turn is not null then
    delete from @schema@.journal where session = s.key and turn = p_turn;
  end if;
  if p_alone then
    perform @schema@.orphan(s.key, p_operation);
  end if;
end $$;

-- Make a session on the nodes of another: two rows, whatever its length.
create or replace function @schema@.fork(
  p_session text, p_id text, p_at text, p_part bytea, p_tail bytea, p_now double precision,
  p_call text,
  out o_outcome text, out o_commit bigint
) language plpgsql as $$
declare
  s @schema@.sessions;
  f @schema@.sessions;
  v_end record;
  v_origin @schema@.commits;
begin
  perform @schema@.enter(false);
  s := @schema@.locked(p_session, false);
  if s.state = 2 then
    o_outcome := 'deleted';
    return;
  end if;
  f := @schema@.locked(p_id, true);
  if f.state = 2 then
    o_outcome := 'gone';
    return;
  elsif f.state = 1 then
    -- until a claim writes, the holder is the call that made a fork: its reply may be lost
    o_outcome := case when f.holder = p_call and f.revision = 1 then 'done' else 'exists' end;
    o_commit := f.head;
    return;
  end if;
  if s.head is null then
    raise exception 'session has no commit' using errcode = 'LA008', detail = p_session;
  end if;
  if p_at is null then
    select * into v_origin from @schema@.commits where key = s.head;
  else
    select * into v_end from @schema@.seen(s.key, p_at);
    if v_end.o_commit is null then
      raise exception 'no such node' using errcode = 'LA002', detail = p_at;
    elsif not v_end.o_ends then
      raise exception 'node ends no commit' using errcode = 'LA003', detail = p_at;
    end if;
    select * into v_origin from @schema@.commits where key = v_end.o_commit;
  end if;
  o_outcome := 'done';
  o_commit := nextval('@schema@.places');
  insert into @schema@.commits values (
    o_commit, f.key, v_origin.key, 1, null, p_now, v_origin.turns, 0, null, null,
    v_origin.leaf_commit, v_origin.leaf_place, v_origin.manifest, null, null,
    @schema@.chained(v_origin.hash, p_tail), p_part);
  update @schema@.sessions
    set state = 1, revision = 1, head = o_commit, origin = v_origin.key, updated = p_now,
      holder = p_call
    where key = f.key;
end $$;

-- Delete a session for good: 'done', 'gone' if it was before, 'none' if there was none.
create or replace function @schema@.delete(p_session text, p_call text) returns text
language plpgsql as $$
declare
  s @schema@.sessions;
begin
  perform @schema@.enter(true);
  s := @schema@.locked(p_session, false);
  if s.state = 2 then
    -- the holder of what's gone is the call that deleted it: its reply may be lost
    return case when s.holder = p_call then 'done' else 'gone' end;
  elsif s.key is null
    or (s.state = 0 and not exists (select from @schema@.journal j where j.session = s.key))
  then
    return 'none';
  end if;
  perform @schema@.remove(s.key);
  update @schema@.sessions set holder = p_call where key = s.key;
  return 'done';
end $$;

-- Remove the children that still wait for a turn of a session. Alone.
create or replace function @schema@.orphan(p_session bigint, p_turn text) returns void
language plpgsql as $$
declare
  v_key bigint;
begin
  for v_key in
    select key from @schema@.sessions where parent = p_session and pending = p_turn
  loop
    perform @schema@.remove(v_key);
  end loop;
end $$;

-- Take a session out, all but its id, and those that wait for a turn of its. Alone.
create or replace function @schema@.remove(p_key bigint) returns void
language plpgsql as $$
declare
  v_left bigint[] := array[p_key];
  v_key bigint;
  v_dead bigint[];
begin
  while cardinality(v_left) > 0 loop
    v_key := v_left[1];
    v_left := v_left[2:] || array(
      select k.key from @schema@.sessions k where k.parent = v_key and k.pending is not null);
    delete from @schema@.journal where session = v_key;
    delete from @schema@.inbox where session = v_key;
    update @schema@.sessions set state = 2, updated = null, parent = null, pending = null,
        generation = 0, holder = null
      where key = v_key;
    perform @schema@.tell((select id from @schema@.sessions where key = v_key));
    -- it and those it came from, of which a part may be of no more use either
    v_dead := array(
      with recursive line (key) as (
        values (v_key)
        union all
        select o.session from line
        join @schema@.sessions s on s.key = line.key join @schema@.commits o on o.key = s.origin
      )
      select line.key from line join @schema@.sessions s on s.key = line.key where s.state = 2);
    perform @schema@.free((select head from @schema@.sessions where key = v_key));
    perform @schema@.sweep(v_dead);
  end loop;
end $$;

-- Remove a commit and those before it, up to one that something comes after. Alone.
create or replace function @schema@.free(p_commit bigint) returns void
language plpgsql as $$
declare
  v_at bigint := p_commit;
  v_row record;
begin
  while v_at is not null loop
    select c.session, c.revision, c.parent,
        s.state = 2
        and not exists (select from @schema@.commits n
          where n.session = c.session and n.revision = c.revision + 1)
        and not exists (select from @schema@.sessions f where f.origin = c.key) as free
      into v_row
      from @schema@.commits c join @schema@.sessions s on s.key = c.session where c.key = v_at;
    exit when not found or not v_row.free;
    delete from @schema@.nodes where commit = v_at;
    delete from @schema@.usage where commit = v_at;
    delete from @schema@.plugin_rows where commit = v_at;
    delete from @schema@.attachments where commit = v_at;
    delete from @schema@.commits where key = v_at;
    if v_row.revision = 1 then
      update @schema@.sessions set origin = null where key = v_row.session;
    end if;
    v_at := v_row.parent;
  end loop;
end $$;

-- Remove what no living session reaches from commits of these that had to stay. Alone.
create or replace function @schema@.sweep(p_sessions bigint[]) returns void
language plpgsql as $$
declare
  v_commit bigint;
begin
  if not exists (select from @schema@.commits where session = any (p_sessions)) then
    return;
  end if;
  with recursive roots (commit, place) as (
    select h.leaf_commit, h.leaf_place
      from @schema@.sessions s join @schema@.commits h on h.key = s.head
      where s.origin is not null and s.state = 1
    union
    select o.leaf_commit, o.leaf_place
      from @schema@.sessions s join @schema@.commits o on o.key = s.origin
      where s.origin is not null and s.state = 1
    union
    select b.base_commit, b.base_place
      from @schema@.sessions s join @schema@.commits b on b.session = s.key
      where s.origin is not null and s.state = 1
  ), path (commit, place) as (
    select commit, place from roots where commit is not null
    union
    select c.base_commit, c.base_place
      from path join @schema@.commits c on c.key = path.commit
      where c.base_commit is not null
  ), live (commit, place) as (
    select commit, max(place) from path group by commit
  )
  delete from @schema@.nodes n using @schema@.commits c
    where c.session = any (p_sessions) and n.commit = c.key
    and not exists (select from live l where l.commit = n.commit and l.place >= n.place);
  for v_commit in select key from @schema@.commits where session = any (p_sessions) loop
    delete from @schema@.usage where commit = v_commit;
    delete from @schema@.plugin_rows where commit = v_commit;
    if not exists (select from @schema@.nodes where commit = v_commit) then
      delete from @schema@.attachments where commit = v_commit;
      update @schema@.commits set manifest = null where key = v_commit;
    end if;
  end loop;
end $$;

-- Hide nodes that a session wrote; return how many were visible.
create or replace function @schema@.tombstone(p_session text, p_ids text[]) returns bigint
language plpgsql as $$
declare
  v_ids text[];
  v_text text;
begin
  perform @schema@.enter(true);
  v_ids := array(
    select n.id from @schema@.nodes n join @schema@.commits c on c.key = n.commit
    join @schema@.sessions s on s.key = c.session
    where n.id = any (p_ids) and not n.hidden and s.id = p_session);
  select n.id into v_text from @schema@.nodes n
    join @schema@.commits c on c.leaf_commit = n.commit and c.leaf_place = n.place
    join @schema@.sessions s on s.head = c.key
    where n.id = any (v_ids) and s.state = 1 limit 1;
  if found then
    raise exception 'a head stands on the node' using errcode = 'LA009', detail = v_text;
  end if;
  select n.id into v_text from @schema@.nodes n
    where n.id = any (v_ids) and (
      exists (
        select from @schema@.nodes k
        where k.commit = n.commit and k.place = n.place + 1
        and not k.hidden and k.id <> all (v_ids)
      ) or exists (
        select from @schema@.commits c join @schema@.nodes k on k.commit = c.key and k.place = 0
        where c.base_commit = n.commit and c.base_place = n.place
        and not k.hidden and k.id <> all (v_ids)
      )
    ) limit 1;
  if found then
    raise exception 'a visible node stands on the node' using errcode = 'LA010', detail = v_text;
  end if;
  update @schema@.nodes set hidden = true where id = any (v_ids);
  return cardinality(v_ids);
end $$;

-- Forget what is hidden, but not that it was; return how many nodes.
create or replace function @schema@.vacuum() returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  perform @schema@.enter(true);
  update @schema@.nodes set kind = '', body = null where hidden and body is not null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Return the hashes and sizes of the blobs that nothing reaches.
create or replace function @schema@.garbage() returns table (hash bytea, size bigint)
language sql stable as $$
  with live (hash) as (
    select unnest(m.refs) from @schema@.manifests m
      where exists (select from @schema@.commits c where c.manifest = m.key)
    union
    select a.blob from @schema@.attachments a join @schema@.commits c on c.key = a.commit
      where c.nodes = 0
      or exists (select from @schema@.nodes n where n.commit = c.key and not n.hidden)
    union
    select unnest(j.refs) from @schema@.journal j
  )
  select b.hash, length(b.body)::bigint from @schema@.blobs b
  where not exists (select from live l where l.hash = b.hash)
$$;

-- Remove the blobs that nothing reaches; return how many bytes.
create or replace function @schema@.collect() returns bigint
language plpgsql as $$
declare
  v_size bigint;
begin
  perform @schema@.enter(true);
  with dead as (
    delete from @schema@.blobs b using @schema@.garbage() g where b.hash = g.hash
    returning g.size
  )
  select coalesce(sum(size), 0) into v_size from dead;
  delete from @schema@.attachments a
    where not exists (select from @schema@.blobs b where b.hash = a.blob);
  delete from @schema@.manifests m
    where not exists (select from @schema@.commits c where c.manifest = m.key);
  return v_size;
end $$;

-- Keep an item until a turn uses it, unless it is or was there.
create or replace function @schema@.enqueue(
  p_session text, p_key text, p_hash bytea, p_body bytea, p_now double precision
) returns text language plpgsql as $$
declare
  s @schema@.sessions;
  v_hash bytea;
begin
  perform @schema@.enter(false);
  s := @schema@.locked(p_session, true);
  if s.state = 2 then
    return 'deleted';
  end if;
  select hash into v_hash from @schema@.inbox where session = s.key and key = p_key;
  if found then
    return case when v_hash = p_hash then 'done' else 'mismatch' end;
  end if;
  if s.state = 0 then
    update @schema@.sessions set state = 1, updated = p_now where key = s.key;
  end if;
  insert into @schema@.inbox (session, key, hash, body) values (s.key, p_key, p_hash, p_body);
  return 'done';
end $$;

-- Take a waiting item back: 'done', 'used', or 'none' if there's none of that key.
create or replace function @schema@.withdraw(p_session text, p_key text) returns text
language plpgsql as $$
declare
  s @schema@.sessions;
begin
  perform @schema@.enter(false);
  s := @schema@.locked(p_session, false);
  delete from @schema@.inbox where session = s.key and key = p_key and body is not null;
  if found then
    return 'done';
  end if;
  return case
    when exists (select from @schema@.inbox where session = s.key and key = p_key) then 'used'
    else 'none' end;
end $$;

-- Take the lock of a session, on this connection, and say where it stands.
create or replace function @schema@.claim(
  p_session text, p_lock bigint,
  out o_taken boolean, out o_deleted boolean, out o_generation bigint, out o_revision bigint,
  out o_unfinished boolean, out o_waiting boolean
) language plpgsql as $$
declare
  s @schema@.sessions;
begin
  o_taken := pg_try_advisory_lock(p_lock);
  select * into s from @schema@.sessions where id = p_session;
  o_deleted := coalesce(s.state = 2, false);
  o_generation := coalesce(s.generation, 0);
  o_revision := coalesce(s.revision, 0);
  o_unfinished := exists (select from @schema@.journal j where j.session = s.key);
  o_waiting := exists (
    select from @schema@.inbox i where i.session = s.key and i.body is not null);
  if o_taken and o_deleted then
    perform pg_advisory_unlock(p_lock);
    o_taken := false;
  end if;
end $$;

-- Return a session's row, locked, if a claim may write its journal: key null if it may not.
create or replace function @schema@.fenced(
  p_session text, p_generation bigint, p_holder text, p_backend integer,
  p_started bigint, out o_outcome text, out o_key bigint, out o_fresh boolean
) language plpgsql as $$
declare
  s @schema@.sessions;
begin
  s := @schema@.locked(p_session, true);
  if s.state = 2 then
    o_outcome := 'deleted';
  elsif s.generation > p_generation
    or (s.generation = p_generation and s.holder is distinct from p_holder)
  then
    o_outcome := 'stale';
  elsif not exists (
    select from pg_stat_get_activity(p_backend) a
    where (extract(epoch from a.backend_start) * 1000000)::bigint = p_started
  ) then
    o_outcome := 'lost';  -- the connection that held the lock is gone, and so is the lock
  else
    o_outcome := 'done';
    o_key := s.key;
    o_fresh := s.generation < p_generation;
  end if;
end $$;

-- Keep journal rows that aren't there yet, and the claim as the newest that wrote any.
create or replace function @schema@.journal_put(
  p_session text, p_generation bigint, p_holder text, p_backend integer, p_started bigint,
  p_turns text[], p_keys text[], p_kinds text[], p_bodies bytea[], p_blobs bytea[],
  p_refs text[], p_hashes bytea[], p_blob_hashes bytea[], p_bytes bytea[],
  p_now double precision
) returns text language plpgsql as $$
declare
  f record;
begin
  perform @schema@.enter(false);
  select * into f from @schema@.fenced(p_session, p_generation, p_holder, p_backend, p_started);
  if f.o_key is null then
    return f.o_outcome;
  end if;
  if f.o_fresh then
    update @schema@.sessions set generation = p_generation, holder = p_holder,
      updated = case state when 0 then p_now else updated end where key = f.o_key;
  end if;
  insert into @schema@.journal (session, turn, key, kind, body, blobs, refs, hash)
    select f.o_key, r.turn, r.key, r.kind, r.body, r.blobs, r.refs::bytea[], r.hash
    from unnest(p_turns, p_keys, p_kinds, p_bodies, p_blobs, p_refs, p_hashes)
      with ordinality as r (turn, key, kind, body, blobs, refs, hash, at)
    order by r.at
    on conflict do nothing;
  if cardinality(p_blob_hashes) > 0 then
    perform @schema@.keep(p_blob_hashes, p_bytes);
  end if;
  return 'done';
end $$;

-- Remove the rows of a turn that will never be committed, and its children.
create or replace function @schema@.journal_drop(
  p_session text, p_generation bigint, p_holder text, p_backend integer, p_started bigint,
  p_turn text
) returns text language plpgsql as $$
declare
  f record;
begin
  perform @schema@.enter(true);
  select * into f from @schema@.fenced(p_session, p_generation, p_holder, p_backend, p_started);
  if f.o_key is null then
    return f.o_outcome;
  end if;
  delete from @schema@.journal where session = f.o_key and turn = p_turn;
  perform @schema@.orphan(f.o_key, p_turn);
  return 'done';
end $$;
