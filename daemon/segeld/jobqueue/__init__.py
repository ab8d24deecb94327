"""The durable queue: jobs, claims, answers and leaves, behind one narrow protocol. The only place with a database driver."""
