-- Answers of resets and undos, kept so that a repeated request gets the same one. They go when they expire, and with
-- their session.
create table demo_idempotency_keys (
  session_number integer not null references demo_user_sessions (number) on delete cascade,
  idempotency_key text not null,
  -- What was asked: the same key with another request is refused.
  request text not null,
  answer text not null,
  created_at text not null,
  primary key (session_number, idempotency_key)
) without rowid;
create index demo_idempotency_keys_by_age on demo_idempotency_keys (created_at);
