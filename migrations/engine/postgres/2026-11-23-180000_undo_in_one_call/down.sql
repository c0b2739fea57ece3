create or replace function demo.use_session(organization text, username text, mode text default 'write')
  returns uuid language plpgsql as $$
declare
  session uuid;
  session_number bigint;
begin
  select id into session from demo.demo_user_sessions where organization_id = organization and user_id = username;
  if session is null then
    insert into demo.demo_user_sessions
      (id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
      values (gen_random_uuid(), organization, username, clock_timestamp(), clock_timestamp(), 0,
        (select epoch from demo.demo_base))
      on conflict (organization_id, user_id) do nothing returning number into session_number;
    update demo.demo_user_sessions set live_layer = number * 16777216 + 1 where number = session_number;
    select id into session from demo.demo_user_sessions
      where organization_id = organization and user_id = username;
  end if;
  perform demo.bind_session(session, mode, null);
  return session;
end
$$;
drop trigger demo_number_first_layer on demo.demo_user_sessions;
drop function demo.number_first_layer();
drop function demo.undo_reset(uuid, uuid, timestamptz);
