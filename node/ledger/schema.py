"""The tables of the ledger, and the version they carry."""

from __future__ import annotations

from node.ledger.feedback_schema import FEEDBACK
from node.ledger.service_schema import SERVICE

SCHEMA_VERSION = 9

#: Times are seconds since the epoch, UTC. Paths are relative to the storage folder.
TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS instance (
    sop_instance_uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    -- where its Part 10 stream lies
    path TEXT NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER,
    size_bytes INTEGER NOT NULL,
    calling_ae_title TEXT NOT NULL,
    received_at REAL NOT NULL,
    -- 1: the instance that is analysed; 0: same UID with other bytes, kept apart
    current INTEGER NOT NULL,
    PRIMARY KEY (sop_instance_uid, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS instance_by_study ON instance (study_uid);
CREATE INDEX IF NOT EXISTS instance_by_path ON instance (path);

-- how far each segment of the store has been indexed
CREATE TABLE IF NOT EXISTS segment (use TEXT PRIMARY KEY, indexed INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS study (
    study_uid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    interrupted INTEGER NOT NULL DEFAULT 0,
    completed_at REAL,
    confidence TEXT NOT NULL DEFAULT '',
    cause TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS study_by_state ON study (state);

CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    study_uid TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS event_by_study ON event (study_uid, id);

CREATE TABLE IF NOT EXISTS verdict (
    study_uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    series_uid TEXT NOT NULL,
    model TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    facts TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL,
    PRIMARY KEY (study_uid, generation, series_uid, model)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS job (
    key TEXT PRIMARY KEY,
    study_uid TEXT NOT NULL,
    -- series UIDs, best first, one a line
    candidates TEXT NOT NULL,
    model TEXT NOT NULL,
    generation INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    predecessor TEXT NOT NULL DEFAULT '',
    destinations TEXT NOT NULL DEFAULT '',
    -- '' for an analysis, else the reason that is to be reported without one
    report_reason TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_until REAL NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    finished_at REAL,
    summary TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_by_state ON job (state, priority, created_at);
CREATE INDEX IF NOT EXISTS job_by_study ON job (study_uid, model, created_at);

CREATE TABLE IF NOT EXISTS result_object (
    sop_instance_uid TEXT PRIMARY KEY,
    job_key TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    instance_number INTEGER NOT NULL,
    path TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_by_job ON result_object (job_key);

CREATE TABLE IF NOT EXISTS delivery (
    sop_instance_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    job_key TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    cause TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    finished_at REAL,
    PRIMARY KEY (sop_instance_uid, destination)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (destination, state, created_at);
"""

_ALERTS = """
CREATE TABLE IF NOT EXISTS alert (
    -- the same for the same thing to tell on the same channel, so that it is told once
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    rule TEXT NOT NULL,
    -- '' for a trouble of the node
    study_uid TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    finding TEXT NOT NULL DEFAULT '',
    job_key TEXT NOT NULL DEFAULT '',
    -- 1 the first time a finding is told, one more each time after it was taken back
    episode INTEGER NOT NULL DEFAULT 1,
    urgency INTEGER NOT NULL DEFAULT 0,
    -- JSON object of texts: what its message says, without anything about the patient
    facts TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    cause TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    finished_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alert_due ON alert (channel, state, not_before);
CREATE INDEX IF NOT EXISTS alert_by_study ON alert (study_uid, model, finding);

CREATE TABLE IF NOT EXISTS trouble (
    event TEXT NOT NULL,
    about TEXT NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (event, about)
) WITHOUT ROWID;
"""

_PROOF = """
-- what is known of an object at a destination beyond its state
CREATE TABLE IF NOT EXISTS proof (
    sop_instance_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    -- 'commitment', 'query', or '' while nothing is chosen
    how TEXT NOT NULL DEFAULT '',
    -- when the destination accepted it last
    sent_at REAL,
    proved_at REAL,
    -- of the storage commitment that is or was asked for (PS3.4 J.3)
    transaction_uid TEXT NOT NULL DEFAULT '',
    -- when to look next, and until when to wait
    next_at REAL NOT NULL DEFAULT 0,
    until REAL NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    -- how often it was accepted and then not there
    forgotten INTEGER NOT NULL DEFAULT 0,
    -- the first of the failures in a row
    failing_since REAL,
    PRIMARY KEY (sop_instance_uid, destination)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS proof_by_transaction ON proof (transaction_uid);
CREATE INDEX IF NOT EXISTS proof_by_time ON proof (destination, sent_at);

-- objects in another form, for one destination that does not take the first
CREATE TABLE IF NOT EXISTS fallback (
    sop_instance_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    replaces TEXT NOT NULL,
    PRIMARY KEY (sop_instance_uid, destination)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fallback_by_replaced ON fallback (replaces, destination);

-- what was learnt about a destination, and under which of its settings
CREATE TABLE IF NOT EXISTS peer_fact (
    destination TEXT NOT NULL,
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    at REAL NOT NULL,
    settings_digest TEXT NOT NULL,
    PRIMARY KEY (destination, subject)
) WITHOUT ROWID;

UPDATE delivery SET state='unproved', cause='it was sent before proof was asked for'
    WHERE state='accepted';
"""

_KNOWLEDGE = """
-- why a study was taken as complete, each time it was
CREATE TABLE IF NOT EXISTS completion (
    study_uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    -- 'certain', 'likely' or 'assumed'
    certainty TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (study_uid, generation)
) WITHOUT ROWID;

-- performed procedure steps that modalities announced (PS3.4 F.7)
CREATE TABLE IF NOT EXISTS procedure_step (
    step_uid TEXT PRIMARY KEY,
    -- 'IN PROGRESS', 'COMPLETED' or 'DISCONTINUED'
    status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    calling_ae_title TEXT NOT NULL,
    created_at REAL NOT NULL,
    ended_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS procedure_step_study (
    study_uid TEXT NOT NULL,
    step_uid TEXT NOT NULL,
    PRIMARY KEY (study_uid, step_uid)
) WITHOUT ROWID;

-- instances that a step or an availability notification (PS3.4 R.3) names
CREATE TABLE IF NOT EXISTS announced_series (
    -- SOP Instance UID of the step or notification
    notice_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    -- SOP Instance UIDs, one a line
    instances TEXT NOT NULL,
    PRIMARY KEY (notice_uid, series_uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS availability (
    study_uid TEXT NOT NULL,
    notice_uid TEXT NOT NULL,
    calling_ae_title TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (study_uid, notice_uid)
) WITHOUT ROWID;

-- how a sender sends: a histogram of the gaps between its instances and associations
CREATE TABLE IF NOT EXISTS pace (
    calling_ae_title TEXT NOT NULL,
    -- 'instance' or 'association'
    kind TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (calling_ae_title, kind, bucket)
) WITHOUT ROWID;

-- what a job really looked at: the series up to the one that was analysed
CREATE TABLE IF NOT EXISTS analysed (
    job_key TEXT PRIMARY KEY,
    series_uid TEXT NOT NULL,
    -- how many of its candidates were looked at, and the digest of these
    looked_at INTEGER NOT NULL,
    input TEXT NOT NULL
) WITHOUT ROWID;

-- findings of a result, so that the next one keeps their tracking identifiers
CREATE TABLE IF NOT EXISTS tracked (
    job_key TEXT NOT NULL,
    tracking_uid TEXT NOT NULL,
    identifier TEXT NOT NULL,
    finding TEXT NOT NULL,
    laterality TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    x_mm REAL NOT NULL,
    y_mm REAL NOT NULL,
    z_mm REAL NOT NULL,
    radius_mm REAL NOT NULL,
    PRIMARY KEY (job_key, tracking_uid)
) WITHOUT ROWID;

-- results that somebody took back by hand
CREATE TABLE IF NOT EXISTS withdrawal (
    job_key TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;

-- instances that came again with other bytes, by study and series of the newer ones
CREATE TABLE IF NOT EXISTS discrepancy (
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    -- study in which the instances came first; the same, or the one they were moved from
    earlier_study_uid TEXT NOT NULL,
    -- 'identity' or 'content'
    kind TEXT NOT NULL,
    instances INTEGER NOT NULL,
    -- keywords of the attributes that differ, by commas; never values
    attributes TEXT NOT NULL,
    -- 'taken', 'held back' or 'kept apart'
    decision TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (study_uid, series_uid)
) WITHOUT ROWID;
"""

_IDENTITY = """
DROP TABLE IF EXISTS held_identity;
-- whose study the results say it is, where a PACS is asked
CREATE TABLE IF NOT EXISTS held_identity (
    study_uid TEXT PRIMARY KEY,
    -- JSON object of attributes by keyword
    attributes TEXT NOT NULL,
    differing TEXT NOT NULL,
    -- 1: the PACS told; 0: it did not know the study, or did not answer
    checked INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
"""

_FACTS = """
-- typed facts of the newest generation of each study, which `plan` replays
CREATE TABLE IF NOT EXISTS study_facts (
    study_uid TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    -- when the study was complete here
    at REAL NOT NULL,
    -- what finds its priors; patient data
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    faults TEXT NOT NULL,
    -- JSON: a list with one object a stack
    series TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS study_facts_by_time ON study_facts (at);
CREATE INDEX IF NOT EXISTS study_facts_by_patient ON study_facts (patient_id, study_date);

-- code of the reason of a verdict; `series_uid` of a verdict and `candidates` of a job: "#2"
-- behind a UID is its second stack
CREATE TABLE IF NOT EXISTS verdict_reason (
    study_uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    series_uid TEXT NOT NULL,
    model TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (study_uid, generation, series_uid, model)
) WITHOUT ROWID;

-- what a job analyses together with each of its candidates
CREATE TABLE IF NOT EXISTS companion (
    job_key TEXT NOT NULL,
    candidate TEXT NOT NULL,
    role TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    stack_id TEXT NOT NULL,
    PRIMARY KEY (job_key, candidate, role)
) WITHOUT ROWID;
"""

#: Version -> what brings a ledger of the version before there.
MIGRATIONS = {
    3: _ALERTS,
    4: _PROOF,
    5: _KNOWLEDGE,
    6: _IDENTITY,
    7: _FACTS,
    8: FEEDBACK,
    9: SERVICE,
}
