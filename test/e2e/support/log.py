# SPDX-License-Identifier: ISC
"""The gateway's log lines, read by the grammar that proxy/observer/log.h
documents and by nothing looser; events and fields that sallyport-log(5) does
not name are in no line."""
import base64
import json
import re

from . import MARK, TOP

PAIR = re.compile(
    r'([a-z_]+)=(?:([A-Za-z0-9._:/@+\-\[\]]+)'
    r'|"((?:[ !#-\[\]-~]|\\["\\nrt]|\\x[0-9a-f]{2})*)")(?: (?=[a-z])|$)')
ESCAPE = re.compile(r'\\(?:x([0-9a-f]{2})|(.))')
LEVELS = ("error", "warn", "info", "debug")
DOCUMENTED = set(re.findall(
    r"^\.It Ic (\w+)$",
    (TOP / "proxy/observer/sallyport-log.5").read_text(), re.M))
HEAD = ["ts", "level", "event"]


def unescape(text):
    return ESCAPE.sub(
        lambda found: chr(int(found.group(1), 16)) if found.group(1) else
        {"n": "\n", "r": "\r", "t": "\t"}.get(found.group(2),
                                              found.group(2)), text)


def parse_logfmt(line):
    """A dictionary; AssertionError when the line isn't in the grammar."""
    fields = {}
    position = 0
    while position < len(line):
        found = PAIR.match(line, position)
        assert found, f"at {position}: {line!r}"
        key, bare, quoted = found.groups()
        assert key not in fields, f"{key} twice: {line!r}"
        fields[key] = bare if quoted is None else unescape(quoted)
        position = found.end()
    check_head(fields, line)
    return fields


def check_head(fields, line):
    assert list(fields)[:3] == HEAD, line
    assert fields["event"] in DOCUMENTED, line
    assert DOCUMENTED.issuperset(
        name.removesuffix("_truncated") for name in list(fields)[3:]), line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
                        fields["ts"]), line
    assert fields["level"] in LEVELS, line


def parse_json(line):
    fields = json.loads(line)
    assert isinstance(fields, dict), line
    assert all(" " <= octet <= "~" for octet in line), line
    check_head(fields, line)
    return {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in fields.items()}


def parse(line):
    return parse_json(line) if line.startswith("{") else parse_logfmt(line)


def faults(text):
    """What is wrong with a finished log: lines outside the grammar."""
    found = []
    for line in text.decode("latin-1").split("\n")[:-1]:
        try:
            parse(line)
        except (AssertionError, ValueError) as error:
            found.append(f"no line of a log: {error}")
    return found


def marks():
    """The octets of MARK as they are and as they look in base64."""
    found = [MARK.encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + MARK.encode())
        found.append(text[4 if shift else 0:-4])
    return found


def leaks(data):
    return [mark for mark in marks() if mark in data]
