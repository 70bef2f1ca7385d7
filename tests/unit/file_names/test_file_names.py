"""Each file that a page or a comment names exists. After a file is renamed, this test finds the places that still have the old name."""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("bench", "client", "cmake", "common", "config", "docs", "examples", "server", "tests")
SKIPPED = {"CHANGELOG.md", "docs/benchmarks.md", "bench/page_text.py"}  # what was, and what is measured
MADE_BY_THE_BUILD = {"api_document_texts.h", "commit.h", "redis_script_texts.h", "version.h"}
# A name with an ending, alone or after folders; not as part of a longer word, an address or a member of a struct.
NAME = re.compile(r"(?<![\w./<>-])((?:\.\./|[\w-]+/)*[a-z]\w*\.(?:c|h|def|lua|py|md))(?![\w(-]|\.\w)")
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"])//[^\n]*", re.S)


def project_files():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file() and "node_modules" not in path.parts]
    return {path.relative_to(ROOT).as_posix() for path in files}


def missing(text, known):
    """The names in the text that are those of no file."""
    found = []
    for name in dict.fromkeys(NAME.findall(text)):
        plain = re.sub(r"^(\.\./)+", "", name)
        ends = [path for path in known if path == plain or path.endswith("/" + plain)]
        if not ends and plain not in MADE_BY_THE_BUILD:
            found.append(name)
    return found


class FileNames(unittest.TestCase):
    def setUp(self):
        self.known = project_files()

    def test_names_are_found(self):
        known = {"server/net/ws/ws.c", "common/base/errors.def"}
        text = "ws.c, net/ws/ws.c and (errors.def); see old.c, net/http/ws.c, `gone.h`. Not a.b.c, x->y.c, ws.c.in, <uv.h>, example.com."
        self.assertEqual(missing(text, known), ["old.c", "net/http/ws.c", "gone.h"])

    def check(self, endings, text_of):
        wrong = []
        for name in sorted(self.known - SKIPPED):
            if name.endswith(endings):
                wrong += [f"{name} names {other}" for other in missing(text_of((ROOT / name).read_text()), self.known)]
        self.assertEqual(wrong, [])

    def test_pages(self):
        self.check((".md",), str)

    def test_comments(self):
        self.check((".c", ".h", ".def"), lambda text: "\n".join(COMMENT.findall(text)))


if __name__ == "__main__":
    unittest.main()
