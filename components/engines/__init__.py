"""The engines of `Datastore`, one file each: `describe` gives an engine's plain data."""
