create index demo_user_sessions_by_activity on demo.demo_user_sessions (last_activity_at);
