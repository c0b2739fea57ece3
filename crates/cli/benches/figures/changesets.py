"""Resets and undoes by SQLite's session extension, for whoever asks line by line.

    python3 changesets.py DATABASE STATEMENTS

Runs the statements of a file under a recording session and keeps their changeset. Then each line of standard input,
`reset` or `undo`, applies the inverted changeset or the changeset, and is answered with how long that took in
nanoseconds. The system's library is used, since the bundled SQLite is compiled without the extension. Ends with 3
where the system has none.
"""

import ctypes
import ctypes.util
import sys
import time

# What SQLite says of a change that does not fit, and what can be answered.
NOT_FOUND = 2
OMIT, ABORT = 0, 2


def library():
    """The system's SQLite, if it has the extension."""
    name = ctypes.util.find_library("sqlite3")
    loaded = ctypes.CDLL(name) if name else None
    return loaded if hasattr(loaded, "sqlite3session_create") else None


def checked(code, what):
    if code != 0:
        sys.exit(f"{what}: SQLite's error {code}")


def recorded(sqlite, connection, statements):
    """The changeset of these statements, and the one that takes them back: each a size and a pointer."""
    session = ctypes.c_void_p()
    checked(sqlite.sqlite3session_create(connection, b"main", ctypes.byref(session)), "create")
    checked(sqlite.sqlite3session_attach(session, None), "attach")
    checked(sqlite.sqlite3_exec(connection, statements, None, None, None), "statements")
    size, changes = ctypes.c_int(), ctypes.c_void_p()
    checked(sqlite.sqlite3session_changeset(session, ctypes.byref(size), ctypes.byref(changes)), "changeset")
    sqlite.sqlite3session_delete(session)
    back_size, back = ctypes.c_int(), ctypes.c_void_p()
    checked(
        sqlite.sqlite3changeset_invert(size, changes, ctypes.byref(back_size), ctypes.byref(back)), "invert"
    )
    return (size, changes), (back_size, back)


def main(database, statements):
    sqlite = library()
    if sqlite is None:
        sys.exit(3)
    connection = ctypes.c_void_p()
    checked(sqlite.sqlite3_open(database.encode(), ctypes.byref(connection)), "open")
    pragmas = b"pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on"
    checked(sqlite.sqlite3_exec(connection, pragmas, None, None, None), "pragmas")
    with open(statements, "rb") as file:
        undo, reset = recorded(sqlite, connection, b"begin immediate;" + file.read() + b"; commit")
    conflict_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    # There is nobody else: a row that is not found was deleted by a cascade, and anything else is a mistake.
    conflict = conflict_type(lambda context, kind, iterator: OMIT if kind == NOT_FOUND else ABORT)
    print("ready", flush=True)
    for line in sys.stdin:
        size, changes = reset if line.strip() == "reset" else undo
        started = time.perf_counter_ns()
        code = sqlite.sqlite3changeset_apply(connection, size, changes, None, conflict, None)
        took = time.perf_counter_ns() - started
        checked(code, line.strip())
        print(took, flush=True)


main(*sys.argv[1:])
