create index demo_user_sessions_by_activity on demo_user_sessions (last_activity_at);
