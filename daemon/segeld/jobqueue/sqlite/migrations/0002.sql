-- How many items a caller's jobs have, those that have ended too.
CREATE INDEX job_items ON job (caller, count);

-- How many items have no outcome yet, of all callers.
CREATE INDEX job_unsigned ON job (ended, count, signed, failed) WHERE ended IS NULL;
