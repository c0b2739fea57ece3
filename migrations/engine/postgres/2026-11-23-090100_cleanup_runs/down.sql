drop table demo.demo_cleanup_runs;
