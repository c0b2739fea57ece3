-- What a unit of work begins with, in one call, so that it can be sent along with BEGIN.

-- demo.bind_session, refused for writing where the session's layer holds as many changes as it may.
create function demo.bind_session(session uuid, mode text, at timestamptz, max_changes bigint) returns void
  language plpgsql as $$
begin
  perform demo.bind_session(session, mode, at);
  if mode = 'write' and max_changes <= (select coalesce(sum(c.created + c.edited + c.deleted), 0)
      from demo.demo_layer_counts c where c.layer = demo.live_layer()) then
    raise exception 'demo-reset: the layer is full: %', max_changes using errcode = 'DR002';
  end if;
end
$$;

-- The same for a user's session that was active since then; any other is to be made, or touched, first.
create function demo.bind_user(organization text, username text, mode text, at timestamptz, active_since timestamptz,
    max_changes bigint) returns void language plpgsql as $$
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
