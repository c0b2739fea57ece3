drop table demo_cleanup_runs;
