"""`python -m tests.parity` writes docs/parity.md."""

from tests.parity.page import PAGE, text

PAGE.write_text(text())
print(f"wrote {PAGE}")
