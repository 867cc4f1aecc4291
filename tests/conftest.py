"""What holds for every test: no credentials of yours, no real account."""

from __future__ import annotations

import os

from hypothesis import settings

# Set before any test module is imported: some make their clients at import.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

# For those who have an hour: `pytest --hypothesis-profile=long tests/test_many_actors.py`
settings.register_profile("long", max_examples=5_000)
