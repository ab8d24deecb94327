-- Everything that must survive: jobs with their items and outcomes, claims, answers, and leaves on their way to the log.
-- Blobs named `data`, `items` and `outcomes` begin with their own checksum (segeld.jobqueue.codec).

CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id < 1 << 30),
  name BLOB NOT NULL UNIQUE CHECK (length(name) = 16),
  caller TEXT NOT NULL,
  request_id TEXT NOT NULL,
  key BLOB NOT NULL CHECK (length(key) = 32),
  algorithm INTEGER NOT NULL,
  encoding TEXT NOT NULL,
  priority INTEGER NOT NULL,
  labels TEXT NOT NULL,
  deadline REAL NOT NULL,
  retention REAL NOT NULL,
  approval INTEGER NOT NULL CHECK (approval IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN (
    'open', 'held', 'queued', 'running', 'ending', 'succeeded', 'failed', 'cancelled', 'expired', 'rejected'
  )),
  -- Where 'ending' leads.
  towards TEXT CHECK (towards IN ('cancelled', 'expired')),
  reason TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count BETWEEN 0 AND 0xFFFFFFFF),
  signed INTEGER NOT NULL CHECK (signed >= 0),
  failed INTEGER NOT NULL CHECK (failed >= 0),
  read INTEGER NOT NULL CHECK (read BETWEEN 0 AND count),
  -- Over the blocks that are complete.
  chain BLOB NOT NULL CHECK (length(chain) = 32),
  items_hash BLOB NOT NULL CHECK (length(items_hash) IN (0, 32)),
  created REAL NOT NULL,
  sealed REAL,
  started REAL,
  ended REAL,
  expires REAL,
  -- Over all of the above.
  checksum INTEGER NOT NULL,
  UNIQUE (caller, request_id),
  CHECK (signed + failed <= count),
  CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'expired', 'rejected')) = (ended IS NOT NULL)),
  CHECK ((state = 'ending') = (towards IS NOT NULL)),
  CHECK (state <> 'succeeded' OR signed = count),
  CHECK (state <> 'failed' OR (failed > 0 AND signed + failed = count)),
  CHECK (state IN ('open', 'cancelled', 'expired') OR (sealed IS NOT NULL AND length(items_hash) = 32 AND count > 0)),
  CHECK ((sealed IS NOT NULL) = (length(items_hash) = 32)),
  CHECK (state <> 'open' OR sealed IS NULL),
  CHECK (state NOT IN ('open', 'held', 'queued', 'rejected') OR (started IS NULL AND signed + failed = 0)),
  CHECK (state NOT IN ('running', 'ending', 'succeeded', 'failed') OR started IS NOT NULL)
) STRICT;
CREATE INDEX job_signable ON job (id) WHERE state IN ('queued', 'running');
CREATE INDEX job_by_deadline ON job (deadline) WHERE ended IS NULL;
CREATE INDEX job_by_expiry ON job (expires) WHERE expires IS NOT NULL;
CREATE INDEX job_in_use ON job (caller, count) WHERE ended IS NULL;
CREATE INDEX job_of_caller ON job (caller, id);

-- Jobs that are gone: their request ids, while a repetition of one would be a mistake.
CREATE TABLE tombstone (
  caller TEXT NOT NULL,
  request_id TEXT NOT NULL,
  expires REAL NOT NULL,
  PRIMARY KEY (caller, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_expiry ON tombstone (expires);

-- Jobs that are gone: their blocks are removed bit by bit.
CREATE TABLE remains (
  job INTEGER PRIMARY KEY
) STRICT;

-- Up to 256 consecutive items of a job, and what came of them when all have ended.
CREATE TABLE block (
  -- The job's id, then the offset of the first item in the low 32 bits: a job's blocks lie together, in order.
  id INTEGER PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count BETWEEN 1 AND 256),
  items BLOB NOT NULL,
  outcomes BLOB
) STRICT;
CREATE INDEX block_unfinished ON block (id) WHERE outcomes IS NULL;

-- Outcomes of a block that is not finished: what one claim brought. Gone into the block when it is.
CREATE TABLE piece (
  id INTEGER PRIMARY KEY,
  block INTEGER NOT NULL REFERENCES block (id),
  ended INTEGER NOT NULL CHECK (ended > 0),
  data BLOB NOT NULL
) STRICT;
CREATE INDEX piece_of_block ON piece (block, ended);

-- Attempts of a job's items whose outcome is unknown, until the item ends.
CREATE TABLE lost_item (
  job INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  attempts INTEGER NOT NULL CHECK (attempts > 0),
  PRIMARY KEY (job, offset)
) STRICT, WITHOUT ROWID;

-- Interactive requests with an id.
CREATE TABLE answer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  caller TEXT NOT NULL,
  request_id TEXT NOT NULL,
  count INTEGER NOT NULL,
  expires REAL NOT NULL,
  -- The hash of what was asked.
  data BLOB NOT NULL,
  UNIQUE (caller, request_id)
) STRICT;
CREATE INDEX answer_by_expiry ON answer (expires);

-- Signatures of a request: what one claim brought.
CREATE TABLE answer_piece (
  id INTEGER PRIMARY KEY,
  answer INTEGER NOT NULL REFERENCES answer (id) ON DELETE CASCADE,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX answer_piece_of_answer ON answer_piece (answer);

CREATE TABLE lost_input (
  answer INTEGER NOT NULL REFERENCES answer (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  attempts INTEGER NOT NULL CHECK (attempts > 0),
  PRIMARY KEY (answer, position)
) STRICT, WITHOUT ROWID;

-- What tokens hold. The id is the index of the intent's leaf; data is what its outcome's leaf will need.
CREATE TABLE claim (
  id INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

-- The items of jobs among them.
CREATE TABLE claimed (
  claim INTEGER NOT NULL REFERENCES claim (id) ON DELETE CASCADE,
  job INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (job, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX claimed_by_claim ON claimed (claim);

-- Leaves that the log's files have not got yet, and the last one.
CREATE TABLE leaf (
  id INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;
