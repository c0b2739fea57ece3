create index demo_archives_by_expiry on demo.demo_archives (expires_at);
