"""What the role of a PostgreSQL connection may not do, and the statements that allow it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, Table, text

from opsconsole.core.database import Database

READ = ("SELECT",)
ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")

_TABLES = """
SELECT c.oid::regclass::text AS name, p.privilege
FROM unnest(CAST(:names AS text[])) AS given(name)
JOIN pg_class c ON c.oid = to_regclass(given.name)
CROSS JOIN unnest(CAST(:privileges AS text[])) WITH ORDINALITY AS p(privilege, place)
WHERE NOT has_table_privilege(c.oid, p.privilege)
ORDER BY given.name, p.place
"""
# An identity column needs no right on its sequence, a serial one does.
_SEQUENCES = """
SELECT DISTINCT s.name
FROM unnest(CAST(:names AS text[])) AS given(name)
JOIN pg_class c ON c.oid = to_regclass(given.name)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
CROSS JOIN LATERAL pg_get_serial_sequence(c.oid::regclass::text, a.attname) AS s(name)
WHERE s.name IS NOT NULL AND NOT has_sequence_privilege(s.name, 'USAGE')
ORDER BY s.name
"""
_PATH = """
SELECT given.name, n.oid IS NOT NULL AS present
FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS path(part, place)
CROSS JOIN LATERAL (
    SELECT CASE trim(path.part) WHEN '"$user"' THEN current_user ELSE trim(path.part, ' "') END
) AS given(name)
LEFT JOIN pg_namespace n ON n.nspname = given.name
ORDER BY n.oid IS NULL, path.place DESC
"""


def missing(database: Database, tables: Iterable[Table], privileges: Collection[str]) -> list[str]:
    """The statements that grant the role of this database what it lacks on these tables, those that exist, and on their
    schema and sequences. Empty on SQLite. Raises SQLAlchemyError.
    """
    if database.is_sqlite:
        return []
    with database.reading() as db:
        return list(_statements(db, [table.name for table in tables], privileges))


def missing_to_create(database: Database) -> list[str]:
    """The statements that let the role of this database create tables. Empty on SQLite. Raises SQLAlchemyError."""
    if database.is_sqlite:
        return []
    with database.reading() as db:
        role = _role(db)
        schema = db.execute(text("SELECT quote_ident(current_schema())")).scalar()
        if schema is None:
            return [_open_schema(db, role)]
        may = db.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar()
        return [] if may else [f"GRANT CREATE ON SCHEMA {schema} TO {role}"]


def _statements(db: Connection, names: list[str], privileges: Collection[str]) -> Iterator[str]:
    role = _role(db)
    if db.execute(text("SELECT current_schema()")).scalar() is None:
        yield _open_schema(db, role)
        return
    lacking: dict[str, list[str]] = defaultdict(list)
    for name, privilege in db.execute(text(_TABLES), {"names": names, "privileges": list(privileges)}):
        lacking[name].append(privilege)
    grants: dict[str, list[str]] = defaultdict(list)
    for name, each in lacking.items():
        grants[", ".join(each)].append(name)
    for rights, on in grants.items():
        yield f"GRANT {rights} ON {', '.join(on)} TO {role}"
    if "INSERT" in privileges:
        sequences = db.execute(text(_SEQUENCES), {"names": names}).scalars().all()
        if sequences:
            yield f"GRANT USAGE ON SEQUENCE {', '.join(sequences)} TO {role}"


def _role(db: Connection) -> str:
    return str(db.execute(text("SELECT quote_ident(current_user)")).scalar_one())


def _open_schema(db: Connection, role: str) -> str:
    """The statement for a role that may use no schema of its search path."""
    row = db.execute(text(_PATH)).first()
    quote = db.dialect.identifier_preparer.quote
    if row is None or not row.present:
        return f"CREATE SCHEMA {quote(row.name) if row is not None else 'public'} AUTHORIZATION {role}"
    return f"GRANT USAGE, CREATE ON SCHEMA {quote(row.name)} TO {role}"
