"""The keeper: the only process that holds PINs. It lends one to one worker at a time and awaits the outcome."""
