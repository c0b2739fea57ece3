-- A reader is bound by one look at its session, instead of two from within three functions: every request begins so. What a
-- reader does not ask for, the time of changes and the count of writes, is left unset.
create or replace function demo.bind_user(organization text, username text, mode text, at timestamptz,
    active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
declare
  session uuid;
begin
  if mode = 'read' then
    perform set_config('demo.session', s.id::text, true),
      set_config('demo.session_number', s.number::text, true),
      set_config('demo.layer', s.live_layer::text, true),
      set_config('demo.mode', 'read', true)
      from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  else
    select s.id into session from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  end if;
  if not found then
    raise exception 'demo-reset: there is no such session' using errcode = 'DR001';
  end if;
  if mode <> 'read' then
    perform demo.bind_session(session, mode, at, max_changes);
  end if;
end
$$;

-- Where sessions are suspended, it is refused as demo.bind_session is.
do $do$ begin
  if exists (select 1 from pg_proc where pronamespace = 'demo'::regnamespace and proname = 'bind_session_attached') then
    alter function demo.bind_user rename to bind_user_attached;
    create function demo.bind_user(organization text, username text, mode text, at timestamptz,
        active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
    begin
      raise exception 'demo-reset: sessions are suspended'
        using errcode = '55000', hint = 'demo-reset attach takes them up again.';
    end
    $$;
  end if;
end $do$;
