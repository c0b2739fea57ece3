drop function demo.reset_session(uuid, uuid, timestamptz, timestamptz);
