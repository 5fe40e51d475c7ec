"""What looks at a store imports little: `servelab status` is as fast as its imports (docs/benchmarks/loop.md)."""

from __future__ import annotations

import subprocess
import sys

from servelab.store.store import Store
from tests.lab.studies import small

SLOW_TO_IMPORT = {"alembic", "sqlalchemy.orm", "pydantic", "psycopg"}


def test_what_a_summary_imports(tmp_path):
    path = str(tmp_path / "x.db")
    Store(path).create_study(small(name="alpha"))
    code = (
        "import sys; from servelab.store.store import Store; store = Store(sys.argv[1])\n"
        "store.summary(store.find_study().id); print('\\n'.join(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    imported = set(ran.stdout.split())
    assert "sqlalchemy" in imported
    assert not imported & SLOW_TO_IMPORT
