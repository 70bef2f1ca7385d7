"""count.py FOLDER KIND... - counts the tests that passed and failed in the JUnit files FOLDER/KIND.xml of ctest and pytest. It prints a
table and ends with `total: N passed, N failed`. Fails when anything failed, or when a kind ran no test at all. A KIND that
ran in several parts is written with all of their names, as first+second.

One ctest test is a whole cmocka program: its own lines count its test functions."""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count_all(paths):
    return [sum(column) for column in zip(*map(count, paths))]


def count(path):
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        output = case.findtext("system-out") or ""
        functions = output.count("[ RUN      ]")
        functions_passed = output.count("[       OK ]")
        if case.find("skipped") is not None:
            skipped += 1
        elif bad:
            failed += max(1, functions - functions_passed)
            passed += functions_passed
        else:
            passed += max(1, functions_passed)
    return passed, failed, skipped


def main():
    folder, kinds = Path(sys.argv[1]), sys.argv[2:]
    total_passed = total_failed = 0
    print()
    for kind in kinds:
        try:
            passed, failed, skipped = count_all(folder / f"{part}.xml" for part in kind.split("+"))
            remark = f", {skipped} skipped" if skipped else ""
        except (OSError, ElementTree.ParseError):
            passed, failed, remark = 0, 1, ": did not run"
        if passed + failed == 0:
            failed, remark = 1, remark + ": no test ran"
        print(f"{kind.split('+')[0]:12} {passed:5} passed {failed:5} failed{remark}")
        total_passed += passed
        total_failed += failed
    print(f"total: {total_passed} passed, {total_failed} failed")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
