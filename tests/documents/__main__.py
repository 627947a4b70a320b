"""`python -m tests.documents` writes the pages of docs/systems."""

from tests.documents import overview
from tests.documents.page import page, text
from tests.documents.table import DOCUMENTS

overview.PAGE.write_text(overview.text())
print(f"wrote {overview.PAGE}")

for document in DOCUMENTS:
    page(document.system).write_text(text(document))
    print(f"wrote {page(document.system)}")
