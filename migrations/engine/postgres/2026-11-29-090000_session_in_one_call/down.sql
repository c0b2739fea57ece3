drop function demo.session_of(text, text, uuid, timestamptz, timestamptz);
