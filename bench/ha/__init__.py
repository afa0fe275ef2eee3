"""High availability, tried for real: Patroni fails over under load."""
