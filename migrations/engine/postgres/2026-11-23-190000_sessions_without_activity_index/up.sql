-- A cleanup walks the sessions by their number; every recorded activity had to move an entry of this index.
drop index demo.demo_user_sessions_by_activity;
