"""The officers' command `segelctl`. It speaks to the daemon through `segel.Officer` and nothing else."""
