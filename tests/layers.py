#!/usr/bin/python3
"""layers.py [ROOT] - checks how the source files depend on each other. It reads the text of the files and builds nothing.

1. Each folder with source files is a CMake target or several. A file includes only headers of targets that its own target links.
   Links that no file needs are named too: so the lists in the CMakeLists.txt are the one picture of what depends on what.
   The list of folders in docs/architecture.md has that order: a target of common/ or server/ links only targets of folders
   above its own, and of folders within it.
2. No module depends on itself through others. A module is a source file with its header. It depends on another module if one of its two
   files includes the header of the other one, or names a function or a table that the other one defines. A source may define functions of
   another module's header. Headers without a source file must not include each other in a circle either.
3. A name is used once: a file name, and the tag of a struct, union or enum.
4. In server/ the time comes with the turn (common/base/mailbox.h: turn_now_us, turn_wall_ms, turn_start_timer). Only the files
   in CLOCKS read a clock or start a timer of the loop.
5. A handle of libuv is passed as its base type by UV_HANDLE (common/base/uv_handle.h), which the compiler checks, and not by
   a cast.
"""
import re
import sys
from pathlib import Path

FOLDERS = ("common", "server", "bench/load")
PAGE = "docs/architecture.md"

# Circles that are known, each with its modules and the reason why it is there. A circle may lose modules but not gain any.
# When a circle is open, its lines must go.
KNOWN = [
]

# The files of server/ that may read a clock or start a timer of the loop, each with the reason. A folder ends with a slash.
# When a file no longer does, its line must go.
CLOCKS = {
    "server/cli/": "the commands are programs without turns",
    "server/app/server.c": "starts, reloads and drains the process, also while no loop runs",
    "server/app/server_api.c": "gives the API its time",
    "server/dev/farewell.c": "waits for clients in real time, whatever the clock says",
    "server/dev/held_call.c": "has calls wait in real time, whatever the clock says",
    "server/dev/dev_clock.c": "is the clock of a server for development",
    "server/outbound/dispatch.c": "measures calls, which may begin and end in one turn",
    "server/net/worker.c": "measures how long the writes of a turn took, and has the tick of its hub",
    "server/dev/terminal.c": "counts the lines of a real second",
    "server/net/http/listener.c": "accepts again after a pause",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
SKIPPED = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
# A function begins in the first column, and its brace has a line of its own (clang-format sees to both).
FUNCTION = re.compile(r"^(?!static\b)\w[\w \t*]*?\b(\w+)\((?:[^;{}()]|\([^;{}]*?\))*\)\n\{", re.M)
EXTERN = re.compile(r"^extern\b([^;()]*);", re.M)  # variables, several in one declaration too
NAME_OF_EXTERN = re.compile(r"(\w+)(?:\[[^\]]*\])*\s*(?:,|$)")
OWN_NAME = re.compile(r"^static\b[^;={}(]*?\b(\w+)(?=\(|\[| =|;)", re.M)
USE = re.compile(r"(?<![\w.])(?<!->)([A-Za-z_]\w*)")
TAG = re.compile(r"\b(struct|union|enum)\s+(\w+)\s*\{")
CLOCK = re.compile(r"\b(?:clock_now_us|clock_wall_ms|clock_gettime|gettimeofday|uv_(?:now|hrtime|update_time|timer_start))\b")
CAST = re.compile(r"\(uv_handle_t \*\)\s*[&\w(]")
HANDLES = "common/base/uv_handle.h"
LISTED = re.compile(r"^ {4}((?:  )*)([\w./-]+)/(?: {2,}\S|$)", re.M)
COMMAND = re.compile(r"^\s*(\w+)\(([^()]*(?:\$\{[^()]*\}[^()]*)*)\)", re.M)


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.text = {}
        for folder in FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in (".c", ".h", ".def"):
                    self.text[path.relative_to(self.root).as_posix()] = path.read_text()
        self.includes = {name: [(text.count("\n", 0, match.start()) + 1, match[1]) for match in INCLUDE.finditer(text)]
                         for name, text in self.text.items()}
        self.plain = {name: SKIPPED.sub(" ", INCLUDE.sub("", text)) for name, text in self.text.items()}


def stem(name):
    return name.rsplit(".", 1)[0]


def folder(name):
    return name.rpartition("/")[0]


# ---- targets ----

def targets(root):
    """What CMake builds: the files and the links of each target."""
    files, links = {}, {}
    for folder in (*FOLDERS, "bench"):
        for path in sorted((root / folder).rglob("CMakeLists.txt")):
            for command, words in COMMAND.findall(re.sub(r"#[^\n]*", "", path.read_text())):
                if command not in ("carillon_library", "add_executable", "add_library", "target_link_libraries"):
                    continue
                name, *rest = words.split()
                if command == "target_link_libraries" or "LINKS" in rest:
                    listed = rest[rest.index("LINKS") + 1:] if "LINKS" in rest else rest
                    links.setdefault(name, set()).update(listed)
                if command != "target_link_libraries":
                    inside = {(path.parent / word).resolve().relative_to(root.resolve()).as_posix()
                              for word in rest if word.endswith(".c")}
                    files[name] = (path.parent.relative_to(root).as_posix(), inside)
    return files, links


def owners(tree, files):
    """The targets of each file: a header goes with its source. One without a source belongs to those of its folder's targets
    that include it, or to all of them."""
    by_stem, by_folder = {}, {}
    for target, (place, inside) in files.items():
        by_folder.setdefault(place, set()).add(target)
        for name in inside:
            by_stem.setdefault(stem(name), set()).add(target)
    found = {}
    for name in tree.text:
        place = folder(name)
        while place and place not in by_folder:
            place = folder(place)
        found[name] = by_stem.get(stem(name), set())
        if not found[name] and not name.endswith(".c"):
            found[name] = by_folder.get(place, set())
    for kind in (".h", ".def"):
        for name in tree.text:
            if name.endswith(kind) and len(found[name]) > 1:
                users = [found[other] for other, includes in tree.includes.items() if any(name == used for _, used in includes)]
                found[name] = found[name].intersection(set().union(*users)) or found[name]
    return found


def wrong_directions(tree):
    files, links = targets(tree.root)
    owner = owners(tree, files)
    needed, told = {}, set()
    for name, includes in tree.includes.items():
        if name.endswith(".c"):
            for target in sorted(owner[name]):
                needed.setdefault(target, set())
                if files[target][0] != folder(name):
                    yield f"{name}: its target {target} is made in {files[target][0]}; give the folder a CMakeLists.txt of its own"
            if not owner[name]:
                yield f"{name}: no CMake target has this file; name it in the CMakeLists.txt of its folder"
        for line, other in includes:
            if other not in tree.text:
                continue
            for target in sorted(owner[name]):
                used = owner[other] & ({target} | links.get(target, set()))
                needed.setdefault(target, set()).update(used)
                theirs = " or ".join(sorted(owner[other])) or "no target"
                if not used and (target, theirs) not in told:
                    told.add((target, theirs))
                    yield (f"{name}:{line}: includes \"{other}\" of {theirs}, which {target} does not link; link it if it is below, "
                           f"or move what both need to a target below, or pass it in through a table of functions "
                           f"(docs/architecture.md)")
    for target in sorted(needed):
        for link in sorted(links.get(target, set()) & needed.keys() - needed[target]):
            yield f"{files[target][0]}/CMakeLists.txt: {target} links {link} but includes no header of it; take the link out"
    for circle in circles({target: links.get(target, set()) for target in files}):
        yield f"CMake targets link each other: {', '.join(sorted(circle))}; take one of the links out"


def listed_folders(root):
    """The folders of the list in the page, in their order, each with its whole path."""
    section = (root / PAGE).read_text(encoding="utf-8").partition("\n## Folders\n")[2].partition("\n## ")[0]
    found, path = [], []
    for indent, name in LISTED.findall(section):
        path[len(indent) // 2:] = [name]
        found.append("/".join(path))
    return found


def wrong_order(root):
    files, links = targets(root)
    listed = listed_folders(root)
    for place in listed:
        if not (root / place).is_dir():
            yield f"{PAGE}: the list of folders names {place}, which is not there"
    ours = {target: place for target, (place, _) in files.items() if place.startswith(("common/", "server/"))}
    for place in sorted(set(ours.values()) - set(listed)):
        yield f"{PAGE}: the list of folders lacks {place}; give it a line, below the folders that it links"
    for target, place in sorted(ours.items()):
        if place not in listed:
            continue
        for link in sorted(links.get(target, set()) & files.keys()):
            other = files[link][0]
            if other in listed[listed.index(place) + 1:] and not other.startswith(place + "/"):
                yield (f"{PAGE}: {place} links {link} of {other}, which is below it in the list of folders; move the line of "
                       f"{other} above that of {place}, or take the link out")


# ---- circles ----

def circles(edges):
    """The sets of nodes that reach each other (Tarjan's algorithm without recursion)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for start in sorted(edges):
        if start in index:
            continue
        work = [(start, iter(sorted(edges[start])))]
        while work:
            node, others = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            for other in others:
                if other not in edges:
                    continue
                if other not in index:
                    work.append((other, iter(sorted(edges[other]))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    part, stack = stack[at:], stack[:at]
                    on_stack -= set(part)
                    if len(part) > 1:
                        found.append(frozenset(part))
    return found


def module_edges(tree):
    """For each module, the modules that it depends on, each with an example of why."""
    modules = {stem(name) for name in tree.text if name.endswith(".c")}
    defined = {}
    for name, text in tree.plain.items():
        if name.endswith(".c"):
            for function in FUNCTION.findall(text):
                defined.setdefault(function, stem(name))
    variables = {variable for text in tree.plain.values() for told in EXTERN.findall(text) for variable in NAME_OF_EXTERN.findall(told)}
    for variable in variables:
        definition = re.compile(rf"^(?!static\b|extern\b)\w[\w \t*]*\b{variable}(?:\[[^\]]*\])*\s*[=;]", re.M)
        for name, text in tree.plain.items():
            if name.endswith(".c") and definition.search(text):
                defined.setdefault(variable, stem(name))
    edges = {module: {} for module in modules}
    for name, text in tree.plain.items():
        module = stem(name)
        if module not in modules:
            continue
        own_functions = set(FUNCTION.findall(text))
        for _, other in tree.includes[name]:
            # A header may have several sources: none of them depends on it from outside.
            if stem(other) in modules and stem(other) != module and not own_functions & set(USE.findall(tree.plain.get(other, ""))):
                edges[module].setdefault(stem(other), f"{name} includes {other}")
        if name.endswith(".h"):
            continue
        own = set(OWN_NAME.findall(text))
        for use in sorted(set(USE.findall(text)) - own):
            other = defined.get(use)
            if other and other != module:
                edges[module].setdefault(other, f"{name} uses {use}")
        # A row of a table may name a function of the folder that includes the table. Others take different columns of it.
        for _, table in tree.includes[name]:
            for use in set(USE.findall(tree.plain[table])) if table.endswith(".def") and table in tree.plain else ():
                other = defined.get(use)
                if other and other != module and folder(other) == folder(module):
                    edges[module].setdefault(other, f"{name} uses {use} of {table}")
    return edges


def header_edges(tree):
    return {name: {other: f"{name} includes {other}" for _, other in tree.includes[name] if other in tree.text}
            for name in tree.text if not name.endswith(".c")}


def shortest(edges, circle):
    """The fewest steps from a node back to itself inside the circle, in words."""
    best = None
    for start in sorted(circle):
        way, ahead = {start: None}, [start]
        for node in ahead:
            for other in sorted(set(edges[node]) & circle):
                if other == start:
                    steps, at = [edges[node][other]], node
                    while way[at] is not None:
                        steps.append(edges[way[at]][at])
                        at = way[at]
                    if best is None or len(steps) < len(best):
                        best = steps[::-1]
                if other not in way:
                    way[other] = node
                    ahead.append(other)
    return "; ".join(best)


def wrong_circles(tree, known):
    headers = header_edges(tree)
    for circle in circles(headers):
        yield f"headers include each other: {shortest(headers, circle)}; move what they share to a header below them"
    edges = module_edges(tree)
    left = [(frozenset(modules.split()), reason) for modules, reason in known]
    found = circles(edges)
    for circle in found:
        if not any(circle <= modules for modules, _ in left):
            yield (f"{len(circle)} modules depend on each other: {', '.join(sorted(circle))}. The shortest way round: "
                   f"{shortest(edges, circle)}. Call upwards through a table of functions that the caller gives, or move what both "
                   f"need below them (docs/architecture.md)")
    for modules, reason in left:
        if not any(circle <= modules for circle in found):
            yield f"tests/layers.py: this circle is open, so take its line out of KNOWN: {', '.join(sorted(modules))} ({reason})"


# ---- names ----

def double_names(tree):
    places = {}
    for name in tree.text:
        if not name.endswith(".def"):
            places.setdefault(stem(name).rpartition("/")[2], set()).add(folder(name))
    for name, folders in sorted(places.items()):
        if len(folders) > 1:
            yield f"{name}.c or {name}.h is in {' and in '.join(sorted(folders))}: give one of them a name that says what it is of"


def double_tags(tree):
    places = {}
    for name, text in tree.plain.items():
        for kind, tag in set(TAG.findall(text)):
            places.setdefault(tag, []).append(f"{kind} {tag} of {name}")
    for tag, found in sorted(places.items()):
        if len(found) > 1:
            yield f"{' and '.join(sorted(found))} have one tag; give one of them a name that says what it is of"


# ---- clocks ----

def wrong_clocks(tree, clocks):
    used = set()
    for name, text in tree.plain.items():
        read = CLOCK.search(text) if name.startswith("server/") else None
        if not read:
            continue
        allowed = {place for place in clocks if name == place or (place.endswith("/") and name.startswith(place))}
        used |= allowed
        if not allowed:
            yield (f"{name} uses {read[0]}; take the time of the turn (turn_now_us, turn_wall_ms, turn_start_timer) or get it as "
                   f"an argument")
    for place in sorted(set(clocks) - used):
        yield f"tests/layers.py: {place} reads no clock any more, so take its line out of CLOCKS ({clocks[place]})"


def casts(tree):
    for name, text in tree.plain.items():
        if name != HANDLES and CAST.search(text):
            yield f"{name} casts to uv_handle_t; UV_HANDLE of {HANDLES} does not compile for what is no handle"


def faults(root, known=(), clocks=()):
    tree = Tree(root)
    return [*wrong_directions(tree), *wrong_order(tree.root), *wrong_circles(tree, known), *double_names(tree), *double_tags(tree),
            *wrong_clocks(tree, clocks), *casts(tree)]


if __name__ == "__main__":
    found = faults(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1], KNOWN, CLOCKS)
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)
