create index demo_archives_by_expiry on demo_archives (expires_at);
