"""Tables of runs on a PostgreSQL server, and the statements that keep and read runs."""

from __future__ import annotations

from typing import LiteralString

from .postgres_news import NOTIFY, STOPS

_HAS_OWNER: LiteralString = "(status = 'running' OR unsaved)"
MIGRATION_LOCK = 0x636F70696C6F74
MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE copilotkit_runs (
        thread_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        run_id text NOT NULL,
        agent_name text NOT NULL,
        owner text NOT NULL,
        status text NOT NULL DEFAULT 'running',
        stop boolean NOT NULL DEFAULT false,
        expires_at timestamptz NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        last bigint NOT NULL DEFAULT 0,
        about bytea NOT NULL,
        base_last bigint NOT NULL DEFAULT 0,
        base bytea NOT NULL DEFAULT '[]',
        PRIMARY KEY (thread_id, number)
    );
    CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (expires_at) WHERE status = 'running';
    CREATE INDEX copilotkit_runs_by_age ON copilotkit_runs (updated_at);
    CREATE TABLE copilotkit_run_events (
        thread_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        last bigint NOT NULL,
        first bigint NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (thread_id, number, last),
        FOREIGN KEY (thread_id, number) REFERENCES copilotkit_runs ON DELETE CASCADE
    );
    """,
    "ALTER TABLE copilotkit_runs ADD COLUMN takeovers integer NOT NULL DEFAULT 0",
    # Room in each page for the next version of its rows: batches change no index then.
    "ALTER TABLE copilotkit_runs SET (fillfactor = 50)",
    # Until when the runs that have ended have been trimmed: one row, which keeps processes from doing it twice.
    """
    CREATE TABLE copilotkit_run_trimming (until timestamptz NOT NULL);
    INSERT INTO copilotkit_run_trimming VALUES ('-infinity');
    """,
    f"""
    ALTER TABLE copilotkit_runs ADD COLUMN unsaved boolean NOT NULL DEFAULT false;
    DROP INDEX copilotkit_runs_by_lease;
    CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (expires_at) WHERE {_HAS_OWNER};
    """,
)
# A sign of life every tenth of a lease is enough; between them a batch changes nothing that is in an index.
_SIGN_OF_LIFE = """
    expires_at = CASE WHEN expires_at < clock_timestamp() + 0.9 * %(lease)s::interval
        THEN clock_timestamp() + %(lease)s ELSE expires_at END
"""

_RECORD: LiteralString = (
    "thread_id, number, run_id, agent_name, status, last, about, started_at, updated_at, takeovers, unsaved"
)
_AHEAD: LiteralString = "set_config('synchronous_commit', 'off', true)"
"""In what a statement returns: its commit does not wait for the server's disk."""
SETTLE = """
    SELECT pg_logical_emit_message(true, 'copilotkit', ''), EXISTS (
        SELECT FROM copilotkit_runs
        WHERE thread_id = %(thread_id)s AND number = %(number)s AND run_id = %(run_id)s
            AND owner = coalesce(%(owner)s::text, owner)
    )
"""
"""Commits something that is written, so that all that was committed before it is on the disk, too.

Returns whether a run is there, and its owner's: a crash before it may have forgotten that."""

# Of two who open a run of one thread at once, the second waits for the first, inserts nothing, and does it again.
OPEN: LiteralString = """
    INSERT INTO copilotkit_runs (thread_id, number, run_id, agent_name, owner, expires_at, about)
    SELECT %(thread_id)s, coalesce(max(number), 0) + 1, %(run_id)s, %(agent_name)s, %(owner)s,
        clock_timestamp() + %(lease)s, %(about)s
    FROM copilotkit_runs WHERE thread_id = %(thread_id)s
    ON CONFLICT DO NOTHING RETURNING number, started_at
"""
OPEN_AHEAD: LiteralString = f"{OPEN}, {_AHEAD}"
# One row comes back: notes are sent though there is nothing to report.
_STORE: LiteralString = f"""
    WITH given AS (
        SELECT thread_id, number, first, last, substring(%(payloads)b::bytea FROM start FOR size) AS payload, place
        FROM ROWS FROM (
            json_array_elements_text(%(threads)s::json), unnest(%(numbers)s::bigint[]), unnest(%(firsts)s::bigint[]),
            unnest(%(lasts)s::bigint[]), unnest(%(starts)s::integer[]), unnest(%(sizes)s::integer[])
        ) WITH ORDINALITY AS batches (thread_id, number, first, last, start, size, place)
    ), run AS (
        UPDATE copilotkit_runs AS runs SET last = greatest(runs.last, given.last), {_SIGN_OF_LIFE},
            updated_at = CASE WHEN expires_at < clock_timestamp() + 0.9 * %(lease)s::interval
                THEN clock_timestamp() ELSE updated_at END
        FROM given WHERE runs.thread_id = given.thread_id AND runs.number = given.number
            AND owner = %(owner)s AND status = 'running'
        RETURNING place, stop
    ), stored AS (
        INSERT INTO copilotkit_run_events (thread_id, number, last, first, payload)
        SELECT thread_id, number, last, first, payload FROM given JOIN run USING (place)
        ON CONFLICT DO NOTHING
    ), news AS MATERIALIZED ({NOTIFY})
"""  # noqa: S608 - of constants
_REPORT: LiteralString = """
    SELECT (SELECT * FROM news), array_agg(place) FILTER (WHERE stop IS NULL), array_agg(place) FILTER (WHERE stop)
"""
APPEND: LiteralString = f"{_STORE} {_REPORT} FROM given LEFT JOIN run USING (place)"
APPEND_AHEAD: LiteralString = f"{_STORE} {_REPORT}, {_AHEAD} FROM given LEFT JOIN run USING (place)"
COMPACT: LiteralString = """
    UPDATE copilotkit_runs SET base = %(payload)s, base_last = %(last)s, last = greatest(last, %(last)s),
        updated_at = clock_timestamp(), status = %(status)s, about = coalesce(%(about)s, about),
        unsaved = %(unsaved)s, expires_at = coalesce(clock_timestamp() + %(lease)s::interval, expires_at),
        owner = %(owner)s
    WHERE thread_id = %(thread_id)s AND number = %(number)s
        AND CASE WHEN %(amends)s THEN status = 'broken' ELSE owner = %(owner)s AND status = 'running' END
"""
CLOSE: LiteralString = f"""
    WITH run AS ({COMPACT} RETURNING number), stored AS (
        INSERT INTO copilotkit_run_events (thread_id, number, last, first, payload)
        SELECT %(thread_id)s, number, %(last)s, %(first)s::bigint, %(rest)s::bytea FROM run
        WHERE %(rest)s::bytea IS NOT NULL
        ON CONFLICT DO NOTHING
    ), news AS MATERIALIZED ({NOTIFY})
    SELECT (SELECT * FROM news), count(*) FROM run
"""  # noqa: S608 - of constants
DROP = """
    DELETE FROM copilotkit_run_events
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND last <= %(last)s
"""
DROP_ENDED = """
    DELETE FROM copilotkit_run_events WHERE thread_id = %(thread_id)s AND number IN (
        SELECT number FROM copilotkit_runs
        WHERE thread_id = %(thread_id)s AND status <> 'running'
            AND (updated_at < clock_timestamp() - %(grace)s OR number <= %(settled)s)
    )
"""
PRUNE: LiteralString = f"""
    DELETE FROM copilotkit_runs WHERE thread_id = %(thread_id)s AND NOT {_HAS_OWNER} AND number IN (
        SELECT number FROM (
            SELECT number, row_number() OVER newer AS place, sum(length(base) + length(about)) OVER newer AS size
            FROM copilotkit_runs WHERE thread_id = %(thread_id)s WINDOW newer AS (ORDER BY number DESC)
        ) AS counted WHERE place > 1 AND (place > %(max_runs)s OR size > %(max_bytes)s)
    )
"""  # noqa: S608 - of constants
NOTE_SAVED = "UPDATE copilotkit_runs SET unsaved = false WHERE thread_id = %(thread_id)s AND number = %(number)s"
SWEEP = """
    DELETE FROM copilotkit_runs WHERE (thread_id, number) IN (
        SELECT thread_id, number FROM copilotkit_runs
        WHERE updated_at < statement_timestamp() - %(ttl)s::interval AND status <> 'running'
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
"""
# Whoever finds the mark locked does nothing. No index can be searched for what ``clock_timestamp`` returns.
TRIM = """
    WITH mark AS (
        SELECT until FROM copilotkit_run_trimming FOR UPDATE SKIP LOCKED
    ), seen AS (
        SELECT thread_id, number, status, updated_at FROM copilotkit_runs
        WHERE updated_at >= (SELECT until FROM mark) AND updated_at < statement_timestamp() - %(grace)s::interval
        ORDER BY updated_at LIMIT %(limit)s
    ), gone AS (
        DELETE FROM copilotkit_run_events AS events USING seen
        WHERE events.thread_id = seen.thread_id AND events.number = seen.number AND seen.status <> 'running'
    ), moved AS (
        UPDATE copilotkit_run_trimming SET until = (SELECT max(updated_at) FROM seen) WHERE EXISTS (SELECT FROM seen)
    )
    SELECT count(*) FROM seen
"""
_KEYS = "SELECT * FROM unnest(%(threads)s::text[], %(numbers)s::bigint[]) AS wanted (thread_id, number)"
RENEW: LiteralString = f"""
    UPDATE copilotkit_runs AS runs SET {_SIGN_OF_LIFE} FROM ({_KEYS}) AS wanted
    WHERE runs.thread_id = wanted.thread_id AND runs.number = wanted.number
        AND owner = %(owner)s AND {_HAS_OWNER}
    RETURNING runs.thread_id, runs.number, stop
"""  # noqa: S608 - of constants
PEEK: LiteralString = f"""
    SELECT thread_id, number, last, status, started_at
    FROM ({_KEYS}) AS wanted JOIN copilotkit_runs USING (thread_id, number)
"""  # noqa: S608 - of constants
STOP: LiteralString = f"""
    WITH asked AS (
        UPDATE copilotkit_runs SET stop = true
        WHERE thread_id = %(thread_id)s AND number = %(number)s AND status = 'running' RETURNING number
    )
    SELECT pg_notify({STOPS}, %(name)s) FROM asked
"""  # noqa: S608
CLAIM: LiteralString = f"""
    UPDATE copilotkit_runs SET owner = %(owner)s, expires_at = clock_timestamp() + %(lease)s,
        takeovers = takeovers + 1
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND {_HAS_OWNER}
        AND expires_at < clock_timestamp()
"""  # noqa: S608 - of constants
TAKE: LiteralString = f"""
    UPDATE copilotkit_runs SET owner = %(owner)s, expires_at = clock_timestamp() + %(lease)s
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND status = 'running' AND owner = %(held_by)s
    RETURNING {_RECORD}, {_AHEAD}
"""  # noqa: S608 - of constants
RELEASE: LiteralString = f"""
    UPDATE copilotkit_runs SET expires_at = to_timestamp(0), takeovers = takeovers - 1
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND owner = %(owner)s AND {_HAS_OWNER}
"""  # noqa: S608 - of constants
RUNS: LiteralString = f"""
    SELECT {_RECORD} FROM copilotkit_runs WHERE thread_id = %(thread_id)s ORDER BY number DESC LIMIT %(limit)s
"""  # noqa: S608 - of constants
ABANDONED: LiteralString = f"""
    SELECT {_RECORD} FROM copilotkit_runs WHERE {_HAS_OWNER} AND expires_at < statement_timestamp()
    LIMIT %(limit)s
"""  # noqa: S608 - of constants
BATCHES = """
    SELECT place, runs.last, status, started_at, events.first, events.last, payload
    FROM unnest(%(threads)s::text[], %(numbers)s::bigint[], %(afters)s::bigint[]) WITH ORDINALITY
            AS wanted (thread_id, number, after, place)
        JOIN copilotkit_runs AS runs USING (thread_id, number)
        LEFT JOIN LATERAL (
            SELECT first, last, payload FROM copilotkit_run_events AS events
            WHERE events.thread_id = wanted.thread_id AND events.number = wanted.number AND events.last > wanted.after
            ORDER BY events.last LIMIT %(limit)s
        ) AS events ON true
    ORDER BY place, events.last
"""
BASE = "SELECT base_last, base FROM copilotkit_runs WHERE thread_id = %(thread_id)s AND number = %(number)s"
DELETE = "DELETE FROM copilotkit_runs WHERE thread_id = %(thread_id)s RETURNING number"
DISCARD = "DELETE FROM copilotkit_runs WHERE thread_id = %(thread_id)s AND number = %(number)s AND owner = %(owner)s"
