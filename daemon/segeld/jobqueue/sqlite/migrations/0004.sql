-- Who created it: the SAN by which the policy knew them, and SHA-256 of their certificate. Rows from before have neither, and
-- their checksum is over the others.
ALTER TABLE job ADD COLUMN created_by TEXT CHECK (created_by <> '');
ALTER TABLE job ADD COLUMN created_with BLOB CHECK ((created_with IS NULL) = (created_by IS NULL));
