"""Fetching a model: whole, resumed, wrong sum, no model; from a server on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fixtures.stored_model import write_model
from seismag.domain import SeismagError, UsageError
from seismag.files import file_sha256
from seismag.models.fetch import describe_fetch, download, fetch_model, shown
from seismag.training.checkpoint import load_checkpoint

HALF = 100_000


class Server:
    """Files by path, and how badly they are served."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.ranges = True
        self.tag = '"one"'
        self.asked: list[tuple[str, str | None]] = []
        self.authorizations: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        wanted = request.headers.get("Range")
        self.asked.append((path, wanted))
        self.authorizations.append(request.headers.get("Authorization"))
        if path not in self.files:
            request.send_error(404)
            return
        content, start = self.files[path], 0
        if wanted and self.ranges and request.headers.get("If-Range", self.tag) == self.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("ETag", self.tag)
        request.end_headers()
        end = len(content) if self.break_after is None or path.endswith(".json") else start + self.break_after
        request.wfile.write(content[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("institute") / "good.pth")


@pytest.fixture
def served(server: Server, model: Path) -> Server:
    server.files = {"/m/good.pth": model.read_bytes(), "/m/good.json": model.with_suffix(".json").read_bytes()}
    return server


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


def test_a_model_comes_with_its_card(served: Server, model: Path) -> None:
    shown_stages: list[str] = []
    result = fetch_model(f"{served.url}/m/good.pth?token=s", progress=lambda stage, *_: shown_stages.append(stage))
    assert (result.file, result.fetched, result.resumed_at) == ("models/good.pth", True, 0)
    assert Path("models/good.pth").read_bytes() == model.read_bytes()
    card = load_checkpoint("models/good.pth").card
    assert card.run_id == result.run_id == "trial_20210101_000000"
    assert json.loads(Path("models/good.json").read_text())["fetched_from"] == f"{served.url}/m/good.pth"
    assert sorted(path.name for path in Path("models").iterdir()) == ["good.json", "good.pth"]
    assert set(shown_stages) == {"download, bytes"}
    assert "sha256" in describe_fetch(result)


def test_user_and_password_of_an_address_are_sent_and_not_kept(served: Server) -> None:
    result = fetch_model(served.url.replace("//", "//me:p%40ss@") + "/m/good.pth")
    basic = "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert served.authorizations == [basic, basic]
    assert result.fetched
    assert "ss@" not in json.dumps(result.to_json()) + Path("models/good.json").read_text()


def test_a_broken_download_goes_on_where_it_stopped(served: Server, model: Path) -> None:
    served.break_after = HALF
    with pytest.raises(
        SeismagError, match=r"the connection broke .*100000 bytes are kept\. Run the same command again"
    ):
        fetch_model(f"{served.url}/m/good.pth")
    assert not Path("models/good.pth").exists()
    served.break_after = None
    result = fetch_model(f"{served.url}/m/good.pth")
    assert result.resumed_at == HALF
    assert served.asked[-1] == ("/m/good.pth", f"bytes={HALF}-")
    assert Path("models/good.pth").read_bytes() == model.read_bytes()
    assert sorted(path.name for path in Path("models").iterdir()) == ["good.json", "good.pth"]


@pytest.mark.parametrize("change", ["no ranges", "another tag"])
def test_a_download_begins_anew_where_it_cannot_go_on(change: str, served: Server, model: Path) -> None:
    served.break_after = HALF
    with pytest.raises(SeismagError, match="connection broke"):
        fetch_model(f"{served.url}/m/good.pth")
    served.break_after = None
    served.ranges, served.tag = (False, served.tag) if change == "no ranges" else (True, '"two"')
    assert fetch_model(f"{served.url}/m/good.pth").resumed_at == 0
    assert Path("models/good.pth").read_bytes() == model.read_bytes()


def test_a_part_that_is_whole_already_is_taken(served: Server, model: Path) -> None:
    partial = Path("x.partial")
    download(f"{served.url}/m/good.pth", partial)
    assert download(f"{served.url}/m/good.pth", partial) == model.stat().st_size
    assert partial.read_bytes() == model.read_bytes()


def test_a_card_that_a_killed_call_has_written_is_replaced_and_another_is_not(served: Server, here: Path) -> None:
    fetch_model(f"{served.url}/m/good.pth")
    Path("models/good.pth").rename("models/good.pth.partial")  # what is there before the last step
    assert fetch_model(f"{served.url}/m/good.pth").fetched
    assert sorted(path.name for path in Path("models").iterdir()) == ["good.json", "good.pth"]
    write_model(here / "models" / "good.pth", run_id="other").unlink()
    with pytest.raises(UsageError, match=r"models/good\.json: the model card of another model is here"):
        fetch_model(f"{served.url}/m/good.pth")


def test_a_wrong_sum_keeps_nothing(served: Server) -> None:
    served.files["/m/good.pth"] = served.files["/m/good.pth"][:-1] + b"x"
    with pytest.raises(SeismagError, match=r"good\.pth: its sha256 is .*Nothing was kept; fetch it again"):
        fetch_model(f"{served.url}/m/good.pth")
    assert list(Path("models").iterdir()) == []


def test_a_sum_that_contradicts_the_card_is_refused_before_the_download(served: Server) -> None:
    with pytest.raises(SeismagError, match=r"--sha256 is 00000000.*its model card has"):
        fetch_model(f"{served.url}/m/good.pth", sha256="0" * 64)
    assert [path for path, _ in served.asked] == ["/m/good.json"]


def test_without_card_and_sum_nothing_is_downloaded(served: Server) -> None:
    del served.files["/m/good.json"]
    with pytest.raises(UsageError, match=r"no model card \(\.json\) next to it.*--sha256"):
        fetch_model(f"{served.url}/m/good.pth")
    assert [path for path, _ in served.asked] == ["/m/good.json"]


def test_a_checkpoint_without_a_card_beside_it_gets_the_one_inside(served: Server, model: Path) -> None:
    del served.files["/m/good.json"]
    fetch_model(f"{served.url}/m/good.pth", sha256=file_sha256(model).upper())
    assert load_checkpoint("models/good.pth").card.backbone == "convnext_atto"


def test_what_is_no_model_is_refused_although_its_sum_is_right(server: Server) -> None:
    page = b"<html>please log in</html>"
    total = hashlib.sha256(page).hexdigest()
    server.files = {"/m.pth": page, "/m.json": json.dumps({"sha256": total}).encode()}
    with pytest.raises(SeismagError, match="not a model"):
        fetch_model(f"{server.url}/m.pth", sha256=total)
    assert list(Path("models").iterdir()) == []


def test_weights_of_an_earlier_system_are_fetched_without_a_card(here: Path) -> None:
    import torch

    torch.save({"features.0.0.weight": torch.ones(2)}, here / "old.pth")
    result = fetch_model(str(here / "old.pth"), sha256=file_sha256(here / "old.pth"))
    assert result.card is None
    assert "legacy weights" in describe_fetch(result)


def test_a_path_is_copied_and_a_run_folder_means_its_best_model(model: Path, here: Path) -> None:
    (here / "run").mkdir()
    shutil.copy(model, here / "run" / "best_model.pth")
    shutil.copy(model.with_suffix(".json"), here / "run" / "best_model.json")
    assert fetch_model("run", here / "mine.pth").file == str(here / "mine.pth")
    assert json.loads((here / "mine.json").read_text())["file"] == "mine.pth"
    assert fetch_model(str(model), here).file == str(here / "good.pth")


def test_a_model_that_is_here_is_not_fetched_again_and_another_not_written_over(served: Server, here: Path) -> None:
    fetch_model(f"{served.url}/m/good.pth")
    again = fetch_model(f"{served.url}/m/good.pth")
    assert not again.fetched
    assert again.card == "models/good.json"
    assert sum(path.endswith(".pth") for path, _ in served.asked) == 1
    write_model(here / "models" / "good.pth", run_id="other")
    with pytest.raises(UsageError, match=r"models/good\.pth: another file of this name is here"):
        fetch_model(f"{served.url}/m/good.pth")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (None, {}, r"no SOURCE given.*make demo.*seismag train.*models fetch"),
        ("nowhere.pth", {}, r"nowhere\.pth: no such file"),
        ("ftp://example.org/m.pth", {}, "only http and https"),
        ("m.pth", {"sha256": "12"}, "64 hexadecimal digits"),
        ("http://127.0.0.1:9/m.pth", {}, r"cannot be reached .*Check the address"),
        ("http://127.0.0.1:9/", {}, r"ends in \.pth.*--out"),
    ],
)
def test_a_source_that_cannot_be_had_names_the_way_out(source: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(SeismagError, match=message):
        fetch_model(source, **options)


def test_a_missing_file_and_a_page_in_place_of_the_card_are_named(served: Server) -> None:
    del served.files["/m/good.pth"]
    with pytest.raises(SeismagError, match=r"m/good\.pth: the server answers 404"):
        fetch_model(f"{served.url}/m/good.pth")
    served.files["/m/good.json"] = b"<html></html>"
    with pytest.raises(SeismagError, match=r"good\.json: not a model card"):
        fetch_model(f"{served.url}/m/good.pth")


def test_an_output_that_cannot_be_written_is_named(model: Path, here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(SeismagError, match=r"file/m\.pth: cannot be written .*Choose another --out"):
        fetch_model(str(model), here / "file" / "m.pth")


def test_secrets_in_an_address_are_not_shown() -> None:
    assert shown("https://me:pass@host.org/a/m.pth?key=1#x") == "https://host.org/a/m.pth"
