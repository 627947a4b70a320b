"""The application's parts, without Docker."""
