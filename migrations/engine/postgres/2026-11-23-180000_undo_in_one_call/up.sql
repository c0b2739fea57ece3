-- The undo of most days in one call: nothing was changed since the reset and the base is the same, so that the archived
-- layer becomes the live one as it is. Nothing is done, and no row returned, where that cannot be.
create function demo.undo_reset(session uuid, wanted uuid, undone_at timestamptz)
  returns table (id uuid, counts jsonb) language plpgsql as $$
declare
  found_session demo.demo_user_sessions;
  archive demo.demo_archives;
begin
  select * into found_session from demo.demo_user_sessions s where s.id = session for update;
  -- The newest that is available, or the wanted one: as `choose_archive` has it.
  select * into archive from demo.demo_archives a
    where a.session_number = found_session.number and a.restored_at is null and a.expires_at > undone_at
      and (wanted is null or a.id = wanted)
    order by a.ordinal desc limit 1;
  if archive.epoch is distinct from (select b.epoch from demo.demo_base b) or exists (
    select from demo.demo_layer_counts c
    where c.layer = found_session.live_layer and c.created + c.edited + c.deleted > 0) then
    return;
  end if;
  update demo.demo_user_sessions s set writes = s.writes + 1, live_layer = archive.layer, live_epoch = archive.epoch
    where s.number = found_session.number;
  update demo.demo_archives a set restored_at = undone_at
    where a.session_number = archive.session_number and a.ordinal = archive.ordinal;
  return query select archive.id, archive.counts;
end
$$;

-- A session is made by one INSERT: its first layer follows from its number, which only the database knows.
create function demo.number_first_layer() returns trigger language plpgsql as $$
begin
  new.live_layer := new.number * 16777216 + 1;
  return new;
end
$$;
create trigger demo_number_first_layer before insert on demo.demo_user_sessions
  for each row execute function demo.number_first_layer();

create or replace function demo.use_session(organization text, username text, mode text default 'write')
  returns uuid language plpgsql as $$
declare
  session uuid;
begin
  select id into session from demo.demo_user_sessions where organization_id = organization and user_id = username;
  if session is null then
    insert into demo.demo_user_sessions
      (id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
      values (gen_random_uuid(), organization, username, clock_timestamp(), clock_timestamp(), 0,
        (select epoch from demo.demo_base))
      on conflict (organization_id, user_id) do nothing;
    select id into session from demo.demo_user_sessions
      where organization_id = organization and user_id = username;
  end if;
  perform demo.bind_session(session, mode, null);
  return session;
end
$$;
