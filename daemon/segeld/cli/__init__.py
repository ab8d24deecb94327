"""The command segeld: serve, check-config, probe, dev. Arguments and printing; the work is done below."""
