"""A memory answers only while every input and every output is as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standby import memo

NAME = memo.key("work")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a source, a source folder and what was made of them, remembered."""
    monkeypatch.chdir(tmp_path)
    Path("source").write_text("a = 1")
    Path("sources/deep").mkdir(parents=True)
    Path("sources/one").write_text("1")
    Path("sources/deep/two").write_text("2")
    Path("made").mkdir()
    Path("made/it").write_text("done")
    remember()
    return tmp_path


def remember() -> None:
    inputs = {path: memo.digest(path) for path in ("source", "sources", "absent")}
    memo.store("records", NAME, summary="done", inputs=inputs, outputs=["made"])


def test_unchanged_work_is_remembered(folder: Path) -> None:
    assert memo.recall("records", NAME) == "done"


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("source").write_text("a = 2"),
        lambda: Path("source").unlink(),
        lambda: Path("absent").touch(),
        lambda: Path("sources/deep/two").write_text("3"),
        lambda: Path("sources/deep/three").touch(),
        lambda: Path("sources/deep/empty").mkdir(),
        lambda: Path("sources/one").unlink(),
        lambda: Path("sources/one").rename("sources/uno"),
        lambda: Path("sources/one").rename("sources/deep/one"),
        lambda: Path("made/it").write_text("half"),
        lambda: Path("made/it").unlink(),
        lambda: Path("made/more").touch(),
    ],
)
def test_a_changed_input_or_output_is_done_again(
    change: Callable[[], object], folder: Path
) -> None:
    change()
    assert memo.recall("records", NAME) is None


def test_what_is_as_it_was_again_is_remembered_again(folder: Path) -> None:
    Path("source").write_text("a = 2")
    Path("source").write_text("a = 1")
    assert memo.recall("records", NAME) == "done"


def test_compiled_code_is_no_content(folder: Path) -> None:
    Path("sources/__pycache__").mkdir()
    Path("sources/__pycache__/one.pyc").touch()
    assert memo.recall("records", NAME) == "done"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", "{}", '{"summary": 1}', '{"inputs": 1, "outputs": 2}', "\xff"]
)
def test_a_damaged_record_is_no_record(damage: str, folder: Path) -> None:
    record = folder / "records" / f"{NAME}.json"
    whole = record.read_text()
    record.write_text(damage, encoding="latin-1")
    assert memo.recall("records", NAME) is None
    record.write_text(whole[: len(whole) // 2])
    assert memo.recall("records", NAME) is None


def test_a_record_without_its_files_digests_is_no_record(folder: Path) -> None:
    record = folder / "records" / f"{NAME}.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"inputs": {"source": None}}))
    assert memo.recall("records", NAME) is None


def test_other_work_has_another_name(folder: Path) -> None:
    assert memo.recall("records", memo.key("work", "other")) is None
    assert memo.key({"a": 1, "b": 2}) == memo.key({"b": 2, "a": 1})
    assert memo.key("a", "b") != memo.key("ab")


def test_only_the_latest_records_are_kept(folder: Path) -> None:
    for number in range(40):
        memo.store("records", memo.key(number), summary=str(number), inputs={}, outputs=[])
    assert len(list((folder / "records").iterdir())) == 32
    assert memo.recall("records", memo.key(39)) == "39"


class TestDigest:
    trees = st.dictionaries(st.sampled_from(["a", "b", "a/b", "b/a", "ab"]), st.binary(max_size=3))

    @given(one=trees, other=trees)
    def test_is_equal_for_equal_folders_and_no_others(
        self,
        one: dict[str, bytes],
        other: dict[str, bytes],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        same = self.tree(one) == self.tree(other)
        digests = [
            memo.digest(self.write(tmp_path_factory.mktemp("tree"), tree)) for tree in (one, other)
        ]
        assert (digests[0] == digests[1]) is same

    def test_of_nothing_is_that_of_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        assert memo.digest(tmp_path / "none") == memo.ABSENT
        assert memo.digest(tmp_path / "empty") != memo.ABSENT

    def tree(self, files: dict[str, bytes]) -> dict[str, bytes]:
        """Give the files that can be on disk together: a name with others below is a folder."""
        folders = {name.rpartition("/")[0] for name in files}
        return {name: content for name, content in files.items() if name not in folders}

    def write(self, folder: Path, files: dict[str, bytes]) -> Path:
        for name, content in self.tree(files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder
