"""Sample users for the demo, benchmarks and tests. The same number and seed give the same user."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from jobs.common import users

if TYPE_CHECKING:
    from opsconsole.sql import Database

CHUNK = 4000
"""Rows per transaction: large enough to be fast, small enough not to block other writers."""
ACTIVE_SHARE = 0.95
FIRST_JOINED = datetime(2025, 1, 1, 4, 30, tzinfo=UTC)

STREAMS = ("science", "commerce", "arts", None)
GRADES = ("8", "9", "10", "11", "12", None)

GIVEN_NAMES = (
    *("Asha", "Ben", "Chen", "Aarav", "Vihaan", "Aditya", "Arjun", "Sai", "Reyansh", "Krishna", "Ishaan"),
    *("Ananya", "Diya", "Aadhya", "Saanvi", "Pari", "Myra", "Kavya", "Meera", "Lakshmi", "Priya", "Sneha"),
    *("Fatima", "Zoya", "Ayesha", "Imran", "Farhan", "Yusuf", "Gurpreet", "Harleen", "Jaspreet", "Simran"),
    *("Thangam", "Murugan", "Selvi", "Kannan", "Nila", "Lhamo", "Tenzin", "Zothanpuii", "Bikram", "Debjani"),
    *("José", "Núria", "Íñigo", "Zoë", "Chloé", "Noël", "Anaïs", "Jürgen", "Käthe", "Søren", "Åse", "Łukasz"),
    *("Ștefan", "Čeněk", "Růžena", "Győző", "Þóra", "Ðorđe", "İbrahim", "Şule", "Nguyệt", "Đức", "Oisín"),
    *("आशा", "रोहित", "प्रिया", "সৌরভ", "தமிழ்", "కావ్య", "ഗീത", "ਹਰਪ੍ਰੀਤ", "Ольга", "Юрій", "Ελένη", "Արմեն"),
    *("محمد", "زینب", "נועה", "陈伟", "美咲", "さくら", "지우", "สมชาย", "დავით", "Żaneta", "Siân"),
    *("D'Arcy", "Jean-Luc", "Mary Ann", "X Æ", "Bo", "Q", "Rohan", "Tara", "Manmeet", "Sourav"),
)
FAMILY_NAMES = (
    *("Sharma", "Verma", "Gupta", "Iyer", "Iyengar", "Nair", "Menon", "Pillai", "Reddy", "Rao", "Naidu"),
    *("Patel", "Shah", "Mehta", "Desai", "Joshi", "Kulkarni", "Deshpande", "Chatterjee", "Mukhopadhyay"),
    *("Singh", "Kaur", "Gill", "Khan", "Ansari", "Qureshi", "D'Souza", "Fernandes", "Pinto", "Lepcha", "Ao"),
    *("Müller-Lüdenscheidt", "García Márquez", "Muñoz", "Gonçalves", "O'Brien", "Ó Súilleabháin", "MacLeòd"),
    *("Sørensen", "Þorsteinsdóttir", "Dvořák", "Kovács", "Wójcik", "Țepeș", "Ångström", "Đặng", "Nguyễn"),
    *("शर्मा", "चौधरी", "বসু", "அய்யர்", "రెడ్డి", "നായർ", "ਸਿੰਘ", "Иванова", "Шевченко", "Παπαδοπούλου"),
    *("خان", "کریمی", "כהן", "王", "李", "佐藤", "김", "ใจดี", "Պետրոսյան", "ბერიძე", "van der Berg"),
    *("Venkatanarasimharajuvaripeta", "Li", "Wu", "E", "Gowda", "Shetty", "Bose", "Das", "Hmar"),
)


def user_id(number: int) -> str:
    """The id of a user; numbers start at 1."""
    return f"u{number:05}"


def is_active(number: int, *, seed: int = 1) -> bool:
    """Whether a user is active."""
    return Random(f"{seed}/{user_id(number)}").random() < ACTIVE_SHARE


def add_users(data: Database, count: int, *, seed: int = 1) -> None:
    """Writes the users that do not exist yet. They are added in order, so if the last one exists, all do."""
    with data.reading() as db:
        if db.execute(select(users.c.id).where(users.c.id == user_id(count))).first():
            return
    add_missing(data, users, (_user(number, seed) for number in range(1, count + 1)))


def add_missing(data: Database, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Writes the rows whose keys do not exist yet, in short transactions."""
    statement = inserting(data, table).on_conflict_do_nothing()
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        with data.writing() as db:
            db.execute(statement, chunk)


def inserting(data: Database, table: Table) -> Any:
    """An INSERT that supports ON CONFLICT on both databases."""
    # Imported here: it takes 0.1 s, and workers load this module without needing it.
    from sqlalchemy.dialects import postgresql, sqlite

    return sqlite.insert(table) if data.is_sqlite else postgresql.insert(table)


def _user(number: int, seed: int) -> dict[str, Any]:
    rng = Random(f"{seed}/{user_id(number)}")
    active = rng.random() < ACTIVE_SHARE
    return {
        "id": user_id(number),
        "name": f"{rng.choice(GIVEN_NAMES)} {rng.choice(FAMILY_NAMES)}",
        "active": active,
        "stream": rng.choice(STREAMS),
        "grade": rng.choice(GRADES),
        "created_at": FIRST_JOINED + timedelta(seconds=rng.randrange(200 * 86400)),
    }
