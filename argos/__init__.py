"""Argos watches websites."""

VERSION = "1.0.0.dev0"
