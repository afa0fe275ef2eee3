"""Argos at scale, on your own machine: fill a database, then measure what it does."""
