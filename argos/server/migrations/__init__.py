"""The schema's history. Alembic is its only owner: nothing else creates tables."""
