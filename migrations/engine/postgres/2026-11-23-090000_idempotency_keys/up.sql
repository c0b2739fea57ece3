-- Answers of resets and undos, kept so that a repeated request gets the same one. They go when they expire, and with
-- their session.
create table demo.demo_idempotency_keys (
  session_number bigint not null references demo.demo_user_sessions (number) on delete cascade,
  idempotency_key text not null,
  -- What was asked: the same key with another request is refused.
  request text not null,
  answer jsonb not null,
  created_at timestamptz not null,
  primary key (session_number, idempotency_key)
);
create index demo_idempotency_keys_by_age on demo.demo_idempotency_keys (created_at);

-- A database that is attached already gives the server's role its rights only when something else changes.
do $$
begin
  if exists (select from pg_roles where rolname = 'demo_app') then
    grant select, insert, update, delete on demo.demo_idempotency_keys to demo_app;
  end if;
end
$$;
