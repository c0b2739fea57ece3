create or replace function demo.bind_user(organization text, username text, mode text, at timestamptz,
    active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
declare
  session uuid;
begin
  select s.id into session from demo.demo_user_sessions s
    where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  if not found then
    raise exception 'demo-reset: there is no such session' using errcode = 'DR001';
  end if;
  perform demo.bind_session(session, mode, at, max_changes);
end
$$;
drop function if exists demo.bind_user_attached;
