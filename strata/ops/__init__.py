"""The commands of day two: `python -m strata.ops backup FOLDER`, `python -m strata.ops restore FOLDER`."""
