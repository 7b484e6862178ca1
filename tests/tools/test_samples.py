"""The samples of a page that have a file's name are written, and nothing is written over."""

from pathlib import Path

import pytest

from tools.samples import main

PAGE = """
```python
print("no file")
```

```python title="a.py"
print("a")
```

```python title="shop/b.py"
print("b")
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, "utf-8")
    return path


def test_named_samples_are_written(page: Path, tmp_path: Path) -> None:
    """Each sample with a name becomes that file, also in a folder of its own."""
    assert 0 == main([str(page), str(tmp_path / "new")])
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "new").rglob("*.py")}
    assert {"a.py": 'print("a")\n', "b.py": 'print("b")\n'} == written


def test_what_is_there_is_left_alone(page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is named and kept, the others are written, and the exit code says so."""
    (tmp_path / "a.py").write_text("mine", "utf-8")
    assert 1 == main([str(page), str(tmp_path)])
    assert ("mine", True) == ((tmp_path / "a.py").read_text("utf-8"), (tmp_path / "shop" / "b.py").exists())
    assert f"{tmp_path}/a.py is there already" in capsys.readouterr().out
