"""Rules. Pure: no I/O, no clock, the standard library only."""
