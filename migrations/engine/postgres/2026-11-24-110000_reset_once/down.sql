create or replace function demo.reset_session(session uuid, new_archive uuid, reset_at timestamptz, undoable_until timestamptz)
  returns table (counts jsonb, seal text) language plpgsql as $$
declare
  found_session demo.demo_user_sessions;
  archived jsonb;
begin
  select * into found_session from demo.demo_user_sessions s where s.id = session for update;
  if not found then
    return;
  end if;
  select jsonb_object_agg(c.table_name, jsonb_build_array(c.created, c.edited, c.deleted)) into archived
    from demo.demo_layer_counts c
    where c.layer = found_session.live_layer and c.created + c.edited + c.deleted > 0;
  if archived is not null then
    insert into demo.demo_archives
      (session_number, ordinal, id, session_id, layer, epoch, archived_at, expires_at, counts)
      values (found_session.number, found_session.archives_made + 1, new_archive, session, found_session.live_layer,
        found_session.live_epoch, reset_at, undoable_until, archived);
    -- The layer after the last one used: number * 2^24 + n.
    update demo.demo_user_sessions s set writes = s.writes + 1,
      live_layer = s.number * 16777216 + s.layers_used + 1, live_epoch = (select b.epoch from demo.demo_base b),
      layers_used = s.layers_used + 1, archives_made = s.archives_made + 1 where s.number = found_session.number;
  end if;
  return query select archived, (select b.sealed_at::text from demo.demo_base b);
end
$$;
