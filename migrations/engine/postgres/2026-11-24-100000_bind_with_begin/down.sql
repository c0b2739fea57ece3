drop function demo.bind_user(text, text, text, timestamptz, timestamptz, bigint);
drop function demo.bind_session(uuid, text, timestamptz, bigint);
