"""The words of segel as values: parsed once at the edge, checked by construction, free of I/O."""
