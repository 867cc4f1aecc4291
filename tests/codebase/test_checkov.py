"""What checkov is told to leave out is left out for a reason, and it looks at all templates."""

import re

import yaml

from infra.paths import ROOT

SETTINGS = (ROOT / ".checkov.yaml").read_text(encoding="utf-8")
SKIP = re.compile(r"^  - (CKV\w*)(?: # (.+))?$", re.MULTILINE)


def test_every_skip_says_why() -> None:
    skipped = dict(SKIP.findall(SETTINGS))
    assert list(skipped) == yaml.safe_load(SETTINGS)["skip-check"]
    assert all(len(why.split()) > 4 for why in skipped.values()), skipped
    assert len(skipped) == len(SKIP.findall(SETTINGS))


def test_it_looks_at_every_template_and_workflow_and_asks_nobody() -> None:
    settings = yaml.safe_load(SETTINGS)
    templates = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "template.yaml", *(ROOT / "infra").glob("*.yaml"))
        if "AWSTemplateFormatVersion" in file.read_text(encoding="utf-8")
    }
    workflows = {str(file.relative_to(ROOT)) for file in (ROOT / ".github" / "workflows").iterdir()}
    assert set(settings["file"]) == templates | workflows
    assert settings["skip-download"] is True


def test_a_skip_in_a_template_says_why_too() -> None:
    for name in yaml.safe_load(SETTINGS)["file"]:
        text = (ROOT / name).read_text(encoding="utf-8")
        for line in re.findall(r".*checkov:skip=.*", text):
            assert re.search(r"checkov:skip=CKV\w+: ?\w+", line), line
