"""Keeps workers and the keeper alive, and knows which tokens and keys there are."""
