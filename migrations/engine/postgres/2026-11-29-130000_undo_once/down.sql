drop function demo.undo_reset(uuid, uuid, uuid, timestamptz);
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
alter table demo.demo_archives drop column restored_by;
