-- A user's session in one call: found, and touched where the last record of activity is of `due_since` or before; made
-- where there is none. It looks first, since an upsert would wait for the session's writer.
create function demo.session_of(organization text, username text, new_session uuid, at timestamptz, due_since timestamptz)
  returns setof demo.demo_user_sessions language plpgsql as $$
declare
  found_session demo.demo_user_sessions;
begin
  loop
    select * into found_session from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username;
    if not found then
      insert into demo.demo_user_sessions
        (id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
        values (new_session, organization, username, at, at, 0, (select b.epoch from demo.demo_base b))
        on conflict (organization_id, user_id) do nothing returning * into found_session;
    elsif found_session.last_activity_at <= due_since then
      update demo.demo_user_sessions s set last_activity_at = greatest(s.last_activity_at, at)
        where s.number = found_session.number returning * into found_session;
    end if;
    -- Otherwise somebody else has made it meanwhile, or a cleanup has removed it.
    if found then
      return next found_session;
      return;
    end if;
  end loop;
end
$$;
