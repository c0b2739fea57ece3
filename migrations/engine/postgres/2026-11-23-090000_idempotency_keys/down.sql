drop table demo.demo_idempotency_keys;
