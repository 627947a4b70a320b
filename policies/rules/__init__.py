"""The rules: one folder per platform, one file per topic."""
