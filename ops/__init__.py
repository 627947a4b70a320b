"""The commands of day two: `python -m ops backup FOLDER`, `python -m ops restore FOLDER`."""
