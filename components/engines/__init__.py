"""The engines of `Datastore`: one file each, with one `Engine` in it."""
