"""Checks of the settings that a plan reports before anything is created."""
