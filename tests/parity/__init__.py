"""What each field of the plain data becomes on each platform: one table, which the tests hold both
platforms to (tests/components/test_parity.py) and docs/parity.md is made from (`python -m tests.parity`).
"""
