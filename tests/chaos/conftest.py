"""What the chaos suite shares: silence while it runs."""

import pytest


@pytest.fixture(autouse=True)
def _silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of runs need not tell of each of their requests."""
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
