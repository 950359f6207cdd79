"""The tables of reader feedback: what brings a ledger of version 7 to version 8."""

from __future__ import annotations

FEEDBACK = """
-- findings as the report of each result states them
CREATE TABLE IF NOT EXISTS finding (
    job_key TEXT NOT NULL,
    tracking_uid TEXT NOT NULL,
    -- its place in the report
    position INTEGER NOT NULL,
    study_uid TEXT NOT NULL,
    -- Study Instance UID in the report: that of the PACS, where one is asked
    report_study_uid TEXT NOT NULL,
    report_uid TEXT NOT NULL,
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    identifier TEXT NOT NULL,
    finding TEXT NOT NULL,
    site TEXT NOT NULL,
    -- JSON: a list with one object a measurement
    measurements TEXT NOT NULL,
    PRIMARY KEY (job_key, tracking_uid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS finding_by_study ON finding (study_uid);
CREATE INDEX IF NOT EXISTS finding_by_model ON finding (model, model_version);
CREATE INDEX IF NOT EXISTS finding_by_report_study ON finding (report_study_uid);

-- reports of ours whose findings stand above; `cause`: why they cannot
CREATE TABLE IF NOT EXISTS read_report (
    sop_instance_uid TEXT PRIMARY KEY,
    at REAL NOT NULL,
    cause TEXT NOT NULL
) WITHOUT ROWID;

-- what readers answered about findings; only ever added to
CREATE TABLE IF NOT EXISTS feedback (
    -- the same for the same answer, so that a document read twice answers once
    key TEXT NOT NULL UNIQUE,
    study_uid TEXT NOT NULL,
    job_key TEXT NOT NULL,
    report_uid TEXT NOT NULL,
    tracking_uid TEXT NOT NULL,
    finding TEXT NOT NULL,
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    -- user of the API, or observer of the document
    reader TEXT NOT NULL,
    -- 'api' or 'sr'
    source TEXT NOT NULL,
    -- 'accepted', 'rejected' or 'corrected'
    answer TEXT NOT NULL,
    at REAL NOT NULL,
    received_at REAL NOT NULL,
    measurements TEXT NOT NULL,
    comment TEXT NOT NULL,
    document_uid TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS feedback_by_finding ON feedback (job_key, tracking_uid, reader);
CREATE INDEX IF NOT EXISTS feedback_by_study ON feedback (study_uid);
CREATE INDEX IF NOT EXISTS feedback_by_model ON feedback (model, model_version, answer, source);

-- structured reports that were sent here
CREATE TABLE IF NOT EXISTS reader_document (
    sop_instance_uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    calling_ae_title TEXT NOT NULL,
    received_at REAL NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (sop_instance_uid, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reader_document_by_state ON reader_document (state, received_at);
CREATE INDEX IF NOT EXISTS reader_document_by_study ON reader_document (study_uid);

-- what came before this version is read too
INSERT OR IGNORE INTO reader_document
    SELECT sop_instance_uid, digest, study_uid, calling_ae_title, received_at, 'waiting', 0, ''
    FROM instance WHERE current=1 AND sop_class_uid IN (
        '1.2.840.10008.5.1.4.1.1.88.11', '1.2.840.10008.5.1.4.1.1.88.22',
        '1.2.840.10008.5.1.4.1.1.88.33', '1.2.840.10008.5.1.4.1.1.88.34',
        '1.2.840.10008.5.1.4.1.1.88.35');
"""
