"""Makes what Schemathesis generates name records that exist, so that most requests get past validation.

Only values that are well-formed already are replaced: what was generated to be refused still is.
"""

import atexit
import collections
import os
import random
import re
import uuid

import requests
import schemathesis

BASE = os.environ["CONTRACT_URL"] + "/api/v1"
# Reads that fill one pool of ids each.
LISTS = {
    "cases": "cases",
    "rius": "rius",
    "investigations": "investigations",
    "categories": "categories",
    "locations": "locations",
    "employees": "employees",
    "users": "users",
}
# Fields that name a record, and the pool they are answered from.
FIELDS = {
    "caseId": "cases",
    "riuId": "rius",
    "investigationId": "investigations",
    "categoryId": "categories",
    "locationId": "locations",
    "employeeId": "employees",
    "primaryInvestigatorId": "users",
    "archiveId": "archives",
}
CHILDREN = {
    "subjects": ("cases", "subjects"),
    "messages": ("cases", "messages"),
    "associations": ("cases", "rius"),
    "notes": ("investigations", "notes"),
}

# Attempts to sign in are limited for each of them.
PEOPLE = [f"demo-{name}@acme.example" for name in ("admin", "cco", "triage", "investigator", "manager", "employee")]

chance = random.Random(int(os.environ["CONTRACT_SEED"]))
pools = {}
token = None
writes = 0
# What was generated and asked, by method, path and status; what these hooks ask themselves is not in it.
asked = collections.Counter()
# What steps along links know, see `stays`.
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
named = set()
touched = set()
unsure = set()


@atexit.register
def tell():
    with open(os.environ["CONTRACT_ASKED"], "w", encoding="utf-8") as file:
        for (method, path, status), count in sorted(asked.items()):
            file.write(f"{method}\t{path}\t{status}\t{count}\n")


def call(method, path, **arguments):
    global token
    if token is None:
        account = {"email": os.environ["CONTRACT_EMAIL"], "password": os.environ["CONTRACT_PASSWORD"]}
        answer = requests.post(BASE + "/auth/login", json=account, timeout=30)
        answer.raise_for_status()
        token = answer.json()["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.request(method, BASE + path, headers=headers, timeout=30, **arguments)
    return answer.json() if answer.ok and answer.content else {}


def ids(path, name="id"):
    return [item[name] for item in call("GET", path).get("items", [])]


def pool(name):
    """Ids of base records of one kind: a reset brings them back whatever was done to them."""
    if name in pools:
        return pools[name]
    if name in LISTS:
        pools[name] = ids(f"/{LISTS[name]}?limit=200")
    elif name in CHILDREN:
        of, children = CHILDREN[name]
        found = []
        for parent in pool(of)[:120]:
            found += ids(f"/{of}/{parent}/{children}")
        pools[name] = found
    elif name == "archives":
        return ids("/demo/archives", "archiveId")
    elif name == "sessions":
        # Those of others are left alone: another process asks with one of them, and must not lose its records between two steps.
        return [call("GET", "/demo/session")["sessionId"]]
    else:
        pools[name] = []
    return pools[name]


def is_step(case):
    """Whether it may follow another request, whose records must still be there."""
    return case.meta is not None and case.meta.phase.name == "stateful"


def stays(case, kind, value):
    """Whether an id of a step is the one to ask: one that an answer has named, as those of links are.

    Schemathesis follows what was created and deleted to judge a 404, and knows nothing of what a reset or an undo does to it.
    """
    return is_step(case) and kind != "sessions" and value in named and value not in unsure


def remember(case, response):
    """What an answer to a step has named, created, deleted, or brought back."""
    named.update(UUID.findall(response.text))
    method, path = case.method.upper(), case.operation.path
    if not 200 <= response.status_code < 300:
        return
    if method == "DELETE":
        touched.update((case.path_parameters or {}).values())
    elif response.status_code == 201:
        touched.add(response.headers["location"][0].rsplit("/", 1)[-1])
    elif method == "POST" and path.endswith(("/reset", "/undo")):
        unsure.update(touched)


def is_account(body):
    return isinstance(body, dict) and set(body) == {"email", "password"} and all(
        isinstance(value, str) and 0 < len(value) <= 320 for value in body.values()
    )


def is_id(value):
    try:
        return isinstance(value, str) and len(value) == 36 and bool(uuid.UUID(value))
    except ValueError:
        return False


def some(name, value):
    # A few ids stay as they are: those of nothing.
    known = [id for id in pool(name) if id not in unsure] if chance.random() < 0.9 else []
    return chance.choice(known) if known else value


def of_path(path):
    parts = path.removeprefix("/api/v1/").split("/")
    if parts[0] == "demo":
        return "archives" if parts[1] == "archives" else "sessions"
    return parts[0]


def make_ids_known(value):
    if isinstance(value, list):
        for item in value:
            make_ids_known(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in FIELDS and is_id(inner):
                value[name] = some(FIELDS[name], inner)
            else:
                make_ids_known(inner)


@schemathesis.hook
def before_call(context, case, kwargs):
    for name, value in (case.path_parameters or {}).items():
        kind = of_path(case.operation.path)
        if is_id(value) and not stays(case, kind, value):
            case.path_parameters[name] = some(kind, value)
    if isinstance(case.query, dict) and isinstance(case.query.get("cursor"), str) and chance.random() < 0.9:
        # A cursor that the server did not write is refused, and nothing else of the request is looked at.
        del case.query["cursor"]
    if isinstance(case.query, dict):
        make_ids_known(case.query)
    if case.operation.path.endswith("/auth/login") and is_account(case.body) and chance.random() < 0.95:
        # Nobody guesses a password.
        case.body = {"email": chance.choice(PEOPLE), "password": os.environ["CONTRACT_PASSWORD"]}
    if case.operation.path.endswith("/demo/undo") and not is_step(case) and chance.random() < 0.8:
        # There is something to undo.
        call("POST", "/cases", json={"details": "to be undone"})
        call("POST", "/demo/reset", json={"confirmationToken": "CONFIRM_RESET"})
    if isinstance(case.body, dict):
        if "{parent}" in case.operation.path:
            # The parent stands in the path already.
            case.body.pop("caseId" if "/cases/" in case.operation.path else "investigationId", None)
        make_ids_known(case.body)


@schemathesis.hook
def after_call(context, case, response):
    global writes
    asked[case.method.upper(), case.operation.path, response.status_code] += 1
    if is_step(case):
        remember(case, response)
    if case.operation.method.upper() != "GET" and response.status_code < 300 and not is_step(case):
        writes += 1
        if writes % 25 == 0:
            # Brings back the base records that were deleted.
            call("POST", "/demo/reset", json={"confirmationToken": "CONFIRM_RESET"})
