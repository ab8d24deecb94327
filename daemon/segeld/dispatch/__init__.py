"""Who is served next: orders wait in lanes, chunks go to workers, results come back to whoever waits."""
