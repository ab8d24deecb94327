"""The audit log: what is recorded, and the Merkle tree over it. Knows files, no database."""
