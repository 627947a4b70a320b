"""A stack on a Docker engine, for the day-to-day commands."""
