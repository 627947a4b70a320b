"""The rules, one function each, in one file a topic and one folder a platform."""
