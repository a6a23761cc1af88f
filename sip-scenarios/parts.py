"""Scenario files made of parts: what SIPp reads is written out in full, what people read is not.

    <with me="operator" port="41000"/>      values for every part of this file
    <part name="answers" port="41002"/>     common/parts/answers.xml stands here; its own values come first
    {{port}}  {{cseq|1}}                    a value, and one that has a default
    {{here}}                                a word that no other part of the file has: for labels

A flow.toml gives a party values with `with = { … }`; they go before those of the file. `<Reference>` is added by itself:
SIPp refuses a variable that is only assigned.
"""

import html
import pathlib
import re

PARTS = pathlib.Path(__file__).resolve().parent / "common/parts"
PART = re.compile(r'[ \t]*<part((?:\s+\w+="[^"]*")*)\s*/>\n?')
WITH = re.compile(r'[ \t]*<with((?:\s+\w+="[^"]*")*)\s*/>\n?')
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
VALUE = re.compile(r"\{\{(\w+)(?:\|([^{}]*))?\}\}")
ASSIGNED = re.compile(r'assign_to="([^"]*)"')
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


class Unreadable(Exception):
    """A part that does not exist, or a value that nobody gave."""


def expand(path, given):
    """The scenario's text with every part and value in its place."""
    text = path.read_text(encoding="utf-8")
    values = {}
    for attributes in WITH.findall(text):
        values |= attributes_of(attributes)
    values |= given
    uses = iter(range(1, 1000))
    text = fill(put_in(WITH.sub("", text), values, uses), values, path.name)
    if "<Reference" not in text:
        names = sorted({name.strip() for names in ASSIGNED.findall(text) for name in names.split(",")})
        if names:
            text = text.replace("</scenario>", f'  <Reference variables="{",".join(names)}"/>\n</scenario>')
    return text


def put_in(text, values, uses):
    """Replaces the `<part>`s of a text, those within parts too."""

    def one(match):
        own = {name: fill(value, values, "a part's value") for name, value in attributes_of(match[1]).items()}
        path = PARTS / f"{own.pop('name')}.xml"
        if not path.is_file():
            raise Unreadable(f"there is no part {path.name}")
        inner = values | own | {"here": f"p{next(uses)}"}
        return fill(put_in(COMMENT.sub("", path.read_text(encoding="utf-8"), count=1), inner, uses), inner, path.name)

    return PART.sub(one, text)


def attributes_of(text):
    return {name: html.unescape(value) for name, value in ATTRIBUTE.findall(text)}


def fill(text, values, where):
    def one(match):
        value = values.get(match[1], match[2])
        if value is None:
            raise Unreadable(f"{where}: nobody says what {{{{{match[1]}}}}} is")
        return str(value)

    # A default may have values in it: the inner ones first.
    while (filled := VALUE.sub(one, text)) != text:
        text = filled
    return text
