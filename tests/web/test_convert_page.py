"""A guide is sent, becomes scenario and experiment, and each line shows where it is from; nothing else is read."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from servelab.guides.convert import convert
from servelab.guides.parse import GuideError
from servelab.guides.upload import MOST_IN_ALL, unpacked, uploaded
from tests.guides.test_fuzz import VALUES
from tests.web.served import Served

HELMFILE = (
    "releases:\n- {name: ms, chart: a/llm-d-modelservice, version: v1, values: [ms-x/values.yaml]}\n"
    "environments: {default: {}, amd: {}}\n"
)
GUIDE = {"guides/x/helmfile.yaml": HELMFILE, "guides/x/ms-x/values.yaml": VALUES}


def zipped(files: dict[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return data.getvalue()


def test_rest_converts_what_is_sent(served: Served) -> None:
    files = [{"path": path, "text": text} for path, text in GUIDE.items()]
    archive = base64.b64encode(zipped(dict(GUIDE))).decode()
    asked = {"varying": ["decode_replicas from 1 to 3"], "harness": "guidellm"}
    found = served.ask("/api/v1/convert", {"files": files, **asked}).data
    assert found["name"] == "x"
    assert found["treatments"] == 3
    assert [(one["kind"], one["form"]) for one in found["files"]] == [
        ("scenario", "legacy"),
        ("scenario", "declarative"),
        ("experiment", "legacy"),
        ("experiment", "declarative"),
    ]
    assert served.ask("/api/v1/convert", {"archive": archive, **asked}).data["files"] != []


def test_every_source_names_a_line_that_says_it(served: Served) -> None:
    files = [{"path": path, "text": text} for path, text in GUIDE.items()]
    found = served.ask("/api/v1/convert", {"files": files}).data
    texts = {one["path"]: one["text"].splitlines() for one in found["sources"]}
    assert set(texts) == set(GUIDE)
    for file in found["files"]:
        sourced = [line for line in file["lines"] if line["sources"]]
        assert len(sourced) > 3
        for line in sourced:
            for one in line["sources"]:
                assert 1 <= one["first"] <= one["last"] <= len(texts[one["file"]])
        model = next(line for line in file["lines"] if "a/b" in line["text"] and line["sources"])
        (one,) = model["sources"]
        assert "a/b" in texts[one["file"]][one["first"] - 1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"address": "/etc/passwd"}, "not an https address"),
        ({"address": "file:///etc/passwd"}, "not an https address"),
        ({"address": "https://127.0.0.1/x.yaml"}, "private network"),
        ({"address": "https://localhost:8640/x.yaml"}, "private network"),
        ({"files": [{"path": "../values.yaml", "text": "a: 1"}]}, "is no path"),
        ({"files": [{"path": "/etc/values.yaml", "text": "a: 1"}]}, "is no path"),
        ({"files": [{"path": "values.yaml", "text": "a: [1"}]}, "values.yaml:"),
        ({"files": [{"path": "values.yaml", "text": "a: 1"}]}, "neither values"),
        ({"archive": "AAAA"}, "no zip"),
        ({"archive": "%%%"}, "no base64"),
        ({"archive": base64.b64encode(zipped({"../../evil.yaml": "a: 1"})).decode()}, "is no path"),
        ({"files": [{"path": "values.yaml", "text": VALUES}], "harness": "guidelm"}, "did you mean"),
        ({"files": [{"path": "values.yaml", "text": VALUES}], "varying": ["nonsense from 1 to 2"]}, "can vary"),
        ({"files": [{"path": "values.yaml", "text": VALUES}], "address": "https://a.b/c.yaml"}, "exactly one"),
    ],
)
def test_what_cannot_be_converted_is_said(served: Served, asked: dict, said: str) -> None:
    answer = served.ask("/api/v1/convert", asked)
    assert answer.status == 422, answer.body
    assert said in answer.body.decode()


def test_no_more_is_unpacked_than_may_be_there() -> None:
    bomb = zipped({f"a/{n}.yaml": b"\0" * (1 << 20) for n in range(9)})
    assert len(bomb) < 100_000
    with pytest.raises(GuideError, match="unpacked"):
        unpacked(bomb)
    with pytest.raises(GuideError, match="larger than"):
        unpacked(zipped({"a.yaml": b"\0" * ((1 << 20) + 1)}))
    with pytest.raises(GuideError, match="more than 200 files"):
        uploaded((f"{n}.yaml", b"") for n in range(201))
    assert MOST_IN_ALL < 64 << 20


def test_a_guide_in_memory_reads_nothing_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(VALUES)
    helmfile = HELMFILE.replace("ms-x/values.yaml", str(secret))
    sent = uploaded([("guides/x/helmfile.yaml", helmfile.encode())])
    with pytest.raises(GuideError, match="installs no model server"):
        convert((sent, "guides/x"))
    out = HELMFILE.replace("ms-x/values.yaml", "../../../../../../.." + str(secret))
    with pytest.raises(GuideError, match="outside"):
        convert((uploaded([("guides/x/helmfile.yaml", out.encode())]), "guides/x"))


def test_the_page_shows_where_a_line_is_from(served: Served, page: Page, tmp_path: Path) -> None:
    page.goto(f"{served.url}/convert")
    page.get_by_label("Values of the modelservice chart").fill("a: [1")
    page.get_by_role("button", name="Convert", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("values.yaml:")
    archive = tmp_path / "guide.zip"
    archive.write_bytes(zipped(dict(GUIDE)))
    page.get_by_role("tab", name="Files").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(archive)
    expect(page.locator("span.muted", has_text="guide.zip")).to_be_visible()
    page.get_by_label("What varies").fill("decode_replicas from 1 to 4")
    page.get_by_role("button", name="Convert", exact=True).click()
    line = page.locator(".made-line", has_text="DEPLOY_MODEL_LIST=a/b")
    expect(line).to_be_visible(timeout=120_000)
    line.hover()
    source = page.locator(".lit[data-at]")
    expect(source).to_have_count(1)
    expect(source).to_contain_text("a/b")
    line.focus()
    page.keyboard.press("ArrowDown")
    expect(line).not_to_be_focused()
    expect(page.locator(".guide-said")).to_contain_text("values.yaml, line")
    page.get_by_role("tab", name="Experiment, legacy").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").last.click()
    assert "DECODE_REPLICAS" in Path(download.value.path()).read_text()


def test_a_file_that_is_too_large_is_refused_by_name(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/convert")
    page.get_by_role("tab", name="Files").click()
    large = FilePayload(name="large.yaml", mimeType="application/yaml", buffer=b"a: b\n" * 300_000)
    page.locator("input[type=file]").set_input_files(large)
    expect(page.get_by_text("large.yaml is larger than 1 MB.")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
