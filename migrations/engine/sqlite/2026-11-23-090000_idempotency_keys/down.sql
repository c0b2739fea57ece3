drop table demo_idempotency_keys;
