"""tests/layers.py finds what it is for: each test plants one fault in a small tree. The last test checks the project itself."""
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests"))
import layers  # noqa: E402

LIST = "# Code\n\n## Folders\n\n    common/\n      base/        low\n    server/        high\n      core/        middle\n      app/         top\n"
TREE = {
    "docs/architecture.md": LIST,
    "common/base/CMakeLists.txt": "carillon_library(low\n    SOURCES low.c\n    LINKS PkgConfig::LIBUV)\n",
    "common/base/low.h": "void low_note(void);\n",
    "common/base/low.c": '#include "common/base/low.h"\n\nvoid low_note(void)\n{\n}\n',
    "server/core/CMakeLists.txt": "# The middle.\ncarillon_library(middle SOURCES alpha.c beta.c LINKS low)\n",
    "server/core/alpha.h": "void alpha_go(void);\n",
    "server/core/alpha.c": '#include "server/core/alpha.h"\n#include "common/base/low.h"\n\nvoid alpha_go(void)\n{\n    low_note();\n}\n',
    "server/core/beta.h": '#include "server/core/alpha.h"\n\nint beta_go(int count, void (*done)(void));\n',
    "server/core/beta.c": '#include "server/core/beta.h"\n\nint beta_go(int count, void (*done)(void))\n{\n    alpha_go();\n'
                          "    return count;\n}\n",
    "server/app/CMakeLists.txt": "add_executable(program main.c)\ntarget_link_libraries(program PRIVATE low middle)\n",
    "server/app/main.c": '#include "common/base/low.h"\n#include "server/core/beta.h"\n\nint main(void)\n{\n    low_note();\n'
                         "    return beta_go(0, 0);\n}\n",
}


class Layers(unittest.TestCase):
    def faults(self, changed=(), known=(), clocks=()):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**TREE, **dict(changed)}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return layers.faults(folder, known, clocks)

    def one(self, changed, known=()):
        found = self.faults(changed, known)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_a_tree_in_order_is_fine(self):
        self.assertEqual(self.faults(), [])

    def test_an_include_against_the_links(self):
        text = TREE["common/base/low.c"].replace("\n\n", '\n#include "server/core/beta.h"\n\n')
        fault, circle = self.faults({"common/base/low.c": text})
        self.assertTrue(fault.startswith('common/base/low.c:2: includes "server/core/beta.h" of middle, which low does not link'))
        self.assertIn("common/base/low.c includes server/core/beta.h", circle)

    def test_a_header_has_the_links_of_its_source(self):
        text = TREE["common/base/low.h"] + '#include "server/app/extra.h"\n'
        self.assertIn("common/base/low.h:2: ", self.one({"common/base/low.h": text, "server/app/extra.h": ""}))

    def test_a_private_header_belongs_to_the_folder(self):
        text = TREE["server/core/alpha.c"] + '#include "server/app/main_private.h"\n'
        fault = self.one({"server/core/alpha.c": text, "server/app/main_private.h": ""})
        self.assertIn("of program, which middle does not link", fault)

    def test_a_target_that_is_not_linked_any_more(self):
        found = self.faults({"server/app/CMakeLists.txt": "add_executable(program main.c)\n"})
        self.assertEqual([fault.partition(" ")[0] for fault in found], ["server/app/main.c:1:", "server/app/main.c:2:"])

    def test_a_link_that_only_another_target_has(self):
        changed = {"server/app/CMakeLists.txt": "add_executable(program main.c)\ntarget_link_libraries(program PRIVATE middle)\n"}
        self.assertIn('server/app/main.c:1: includes "common/base/low.h" of low, which program does not link', self.one(changed))

    def test_a_link_that_no_file_needs(self):
        text = TREE["server/app/main.c"].replace('#include "common/base/low.h"\n', "")
        self.assertIn("server/app/CMakeLists.txt: program links low but includes no header of it", self.one({"server/app/main.c": text}))

    def test_targets_that_link_each_other(self):
        changed = {"common/base/CMakeLists.txt": "carillon_library(low SOURCES low.c LINKS middle)\n",
                   "common/base/low.c": TREE["common/base/low.c"] + '#include "server/core/beta.h"\n'}
        self.assertIn("CMake targets link each other: low, middle", self.faults(changed)[0])

    def test_a_page_that_lists_a_folder_above_one_that_it_links(self):
        core = "      core/        middle\n"
        page = LIST.replace(core, "").replace("      app/         top\n", "      app/         top\n" + core)
        self.assertIn("server/app links middle of server/core, which is below it", self.one({"docs/architecture.md": page}))

    def test_a_folder_may_link_the_folders_within_it(self):
        page = LIST.replace("app/         top\n", "app/         top\n        part/       within\n")
        changed = {"docs/architecture.md": page, "server/app/part/part.h": "void part_go(void);\n",
                   "server/app/part/CMakeLists.txt": "carillon_library(part SOURCES part.c)\n",
                   "server/app/part/part.c": '#include "server/app/part/part.h"\n',
                   "server/app/CMakeLists.txt": "add_executable(program main.c)\ntarget_link_libraries(program PRIVATE low middle part)\n",
                   "server/app/main.c": TREE["server/app/main.c"] + '#include "server/app/part/part.h"\n'}
        self.assertEqual(self.faults(changed), [])

    def test_a_page_without_a_folder(self):
        page = LIST.replace("      core/        middle\n", "")
        self.assertIn("the list of folders lacks server/core", self.one({"docs/architecture.md": page}))

    def test_a_page_with_a_folder_that_is_not_there(self):
        self.assertIn("names server/gone, which is not there", self.one({"docs/architecture.md": LIST + "      gone/        was here\n"}))

    def test_a_folder_without_a_target_of_its_own(self):
        changed = {"server/core/deep/gamma.c": "", "server/core/CMakeLists.txt":
                   "carillon_library(middle SOURCES alpha.c beta.c deep/gamma.c LINKS low)\n"}
        self.assertIn("server/core/deep/gamma.c: its target middle is made in server/core", self.one(changed))

    def test_a_source_of_no_target(self):
        self.assertIn("no CMake target has this file", self.one({"server/core/gamma.c": ""}))

    def test_a_circle_by_calls(self):
        text = TREE["server/core/alpha.c"].replace("low_note();", "beta_go(1, low_note);")
        fault = self.one({"server/core/alpha.c": text})
        self.assertIn("2 modules depend on each other: server/core/alpha, server/core/beta", fault)
        self.assertIn("server/core/alpha.c uses beta_go", fault)

    def test_a_circle_by_a_table_of_functions(self):
        text = TREE["server/core/alpha.c"] + "\nstatic const struct ops ops = {.go = beta_go};\n"
        self.assertIn("server/core/alpha.c uses beta_go", self.one({"server/core/alpha.c": text}))

    def test_a_circle_by_an_include_of_a_source(self):
        text = TREE["server/core/alpha.c"] + '#include "server/core/beta.h"\n'
        self.assertIn("server/core/alpha.c includes server/core/beta.h", self.one({"server/core/alpha.c": text}))

    def test_a_header_with_two_sources(self):
        changed = {"server/core/beta.h": TREE["server/core/beta.h"] + "void beta_help(void);\n",
                   "server/core/beta.c": TREE["server/core/beta.c"].replace("alpha_go();", "beta_help();"),
                   "server/core/help.c": '#include "server/core/beta.h"\n\nvoid beta_help(void)\n{\n}\n',
                   "server/core/CMakeLists.txt": TREE["server/core/CMakeLists.txt"].replace("beta.c", "beta.c help.c")}
        self.assertEqual(self.faults(changed), [])

    def test_a_circle_by_a_table_that_another_file_defines(self):
        changed = {"server/core/rows.h": "extern const struct row first_rows[], rows[];\n",
                   "server/core/beta.c": TREE["server/core/beta.c"] + "\nconst struct row rows[] = {{0}};\n",
                   "server/core/alpha.c": TREE["server/core/alpha.c"].replace("low_note();", "low_note(); walk(rows);")}
        self.assertIn("server/core/alpha.c uses rows", self.one(changed))

    def test_a_circle_by_the_rows_of_a_table(self):
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"] + '#include "common/base/rows.def"\n',
                   "common/base/rows.def": "ROW(beta_go)\n"}
        self.assertIn("server/core/alpha.c uses beta_go of common/base/rows.def", self.one(changed))

    def test_rows_with_functions_of_another_folder(self):
        changed = {"common/base/low.c": TREE["common/base/low.c"] + '#include "common/base/rows.def"\n',
                   "common/base/rows.def": "ROW(beta_go)\n"}
        self.assertEqual(self.faults(changed), [])

    def test_a_circle_by_headers(self):
        fault = self.faults({"server/core/alpha.h": '#include "server/core/beta.h"\n'})
        self.assertTrue(any("headers include each other" in text for text in fault), fault)

    def test_what_only_looks_like_a_call(self):
        text = TREE["server/core/alpha.c"].replace("low_note();", '/* beta_go(); */ note("beta_go"); self->beta_go(); it.beta_go = 1;')
        self.assertEqual(self.faults({"server/core/alpha.c": text}), [])

    def test_a_static_function_is_the_files_own(self):
        text = TREE["server/core/alpha.c"] + "\nstatic int beta_go(void)\n{\n    return beta_go();\n}\n"
        self.assertEqual(self.faults({"server/core/alpha.c": text}), [])

    def test_a_known_circle_may_shrink_but_not_grow(self):
        text = TREE["server/core/alpha.c"].replace("low_note();", "beta_go(1, low_note);")
        known = "server/core/alpha server/core/beta server/core/gone"
        self.assertEqual(self.faults({"server/core/alpha.c": text}, [(known, "why")]), [])
        self.assertIn("depend on each other", self.faults({"server/core/alpha.c": text}, [("server/core/alpha", "why")])[0])

    def test_a_known_circle_that_is_open(self):
        self.assertIn("take its line out of KNOWN", self.one({}, [("server/core/alpha server/core/beta", "why")]))

    def test_a_name_twice(self):
        changed = {"server/app/alpha.c": "", "server/app/CMakeLists.txt":
                   "add_executable(program main.c alpha.c)\ntarget_link_libraries(program PRIVATE low middle)\n"}
        self.assertIn("alpha.c or alpha.h is in server/app and in server/core", self.one(changed))

    def test_a_tag_twice(self):
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"] + "\nstruct entry {\n    int a;\n};\n",
                   "server/app/main.c": TREE["server/app/main.c"] + "\nenum entry {\n    ONE\n};\n"}
        self.assertIn("enum entry of server/app/main.c and struct entry of server/core/alpha.c", self.one(changed))

    def test_a_tag_that_is_only_named(self):
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"] + "\nstruct entry {\n    int a;\n};\n",
                   "server/app/main.c": TREE["server/app/main.c"] + "\nstruct entry;\n/* struct entry { */\n"}
        self.assertEqual(self.faults(changed), [])

    def test_a_file_that_reads_a_clock(self):
        for name, use in (("clock_now_us", "clock_now_us()"), ("uv_now", "uv_now(loop)"), ("clock_wall_ms", "start(clock_wall_ms)")):
            changed = {"server/core/alpha.c": TREE["server/core/alpha.c"].replace("low_note();", f"{use}; low_note();")}
            self.assertIn(f"server/core/alpha.c uses {name};", self.one(changed))

    def test_a_clock_that_is_only_named(self):
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"].replace("low_note();", "low_note(); /* clock_now_us() */")}
        self.assertEqual(self.faults(changed), [])

    def test_a_file_or_folder_that_may_read_a_clock(self):
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"].replace("low_note();", "clock_now_us();\n    low_note();")}
        self.assertEqual(self.faults(changed, clocks={"server/core/alpha.c": "why"}), [])
        self.assertEqual(self.faults(changed, clocks={"server/core/": "why"}), [])
        self.assertEqual(len(self.faults(changed, clocks={"server/core/beta.c": "why"})), 2)

    def test_a_file_that_reads_no_clock_any_more(self):
        fault = "\n".join(self.faults(clocks={"server/core/alpha.c": "why"}))
        self.assertIn("server/core/alpha.c reads no clock any more", fault)

    def test_a_cast_to_a_handle(self):
        close = "uv_close((uv_handle_t *)&timer, NULL)"
        changed = {"server/core/alpha.c": TREE["server/core/alpha.c"].replace("low_note();", f"{close}; low_note();")}
        self.assertIn("server/core/alpha.c casts to uv_handle_t;", self.one(changed))


class Source(unittest.TestCase):
    def test_it_keeps_the_rules(self):
        self.assertEqual(layers.faults(ROOT, layers.KNOWN, layers.CLOCKS), [])


if __name__ == "__main__":
    unittest.main()
