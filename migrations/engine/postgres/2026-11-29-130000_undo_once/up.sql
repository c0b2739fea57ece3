-- An undo that is asked for again by the same request is the one that was done. Whoever loses the connection on the way
-- asks again, and need not ask before each undo whether the connection lives. The request has an id of its own: the time
-- of an undo may be another one's too, and which layer is live may have changed again since.
alter table demo.demo_archives add column restored_by uuid;

drop function demo.undo_reset(uuid, uuid, timestamptz);
create function demo.undo_reset(session uuid, wanted uuid, request uuid, undone_at timestamptz)
  returns table (id uuid, counts jsonb) language plpgsql as $$
declare
  found_session demo.demo_user_sessions;
  archive demo.demo_archives;
begin
  -- A first attempt that is still at work is waited for here.
  select * into found_session from demo.demo_user_sessions s where s.id = session for update;
  select * into archive from demo.demo_archives a
    where a.session_number = found_session.number and a.restored_by = request;
  if found then
    return query select archive.id, archive.counts;
    return;
  end if;
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
  update demo.demo_archives a set restored_at = undone_at, restored_by = request
    where a.session_number = archive.session_number and a.ordinal = archive.ordinal;
  return query select archive.id, archive.counts;
end
$$;
