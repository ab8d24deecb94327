-- An officer paused it: `state` is where it goes on. Rows from before have no value in the three new columns, and their
-- checksum is over the others.
ALTER TABLE job ADD COLUMN paused INTEGER CHECK (paused IS NULL OR (paused = 1 AND state IN ('queued', 'running')));

-- Who approved or rejected it, and when.
ALTER TABLE job ADD COLUMN decided_by TEXT CHECK (decided_by <> '');
ALTER TABLE job ADD COLUMN decided REAL CHECK ((decided IS NULL) = (decided_by IS NULL));

-- What waits for approvers, and what each of them decided.
CREATE INDEX job_held ON job (id) WHERE state = 'held';
CREATE INDEX job_decided ON job (decided_by, decided) WHERE decided_by IS NOT NULL;
