import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
collect_ignore_glob = []
if (ROOT / "tools").is_dir():
    sys.path.insert(0, str(ROOT))  # the tools are not part of the wheel
else:
    collect_ignore_glob.append("test_*.py")
