"""What officers decide, and what is kept of it: changes, the policy in force, keys that are withdrawn."""
