"""The tables of models in use, version 9 of the ledger."""

from __future__ import annotations

SERVICE = """
-- the models in use: whether they can be, and how they did on this computer
CREATE TABLE IF NOT EXISTS model (
    model TEXT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'loading',
    cause TEXT NOT NULL DEFAULT '',
    since REAL NOT NULL DEFAULT 0,
    -- of the package and of this computer, when it reproduced its golden case last
    digest TEXT NOT NULL DEFAULT '',
    fingerprint TEXT NOT NULL DEFAULT '',
    -- JSON object: what its networks cannot be run on here -> cause
    barred TEXT NOT NULL DEFAULT '{}',
    -- JSON object: the last proof
    proof TEXT NOT NULL DEFAULT '{}',
    proved_at REAL,
    -- when somebody asked to try it again
    asked_at REAL
) WITHOUT ROWID;

-- memory that the newest jobs of each model took
CREATE TABLE IF NOT EXISTS job_use (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    voxels INTEGER NOT NULL,
    peak_mb INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS job_use_by_model ON job_use (model, id);
"""
